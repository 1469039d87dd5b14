"""Where requests go in: an address, TLS, and what every request says of itself."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 65536


@dataclass(frozen=True)
class Door:
    """The public address, and how to get in."""

    name: str
    """As in the certificate and the Host header."""
    address: str
    port: int
    headers: tuple[tuple[str, str], ...]
    """What every request has; names in small letters."""
    ca_file: str = ""
    """Empty: no TLS."""
    path: str = ""
    """Asked instead of the test endpoints."""

    @classmethod
    def of(
        cls,
        url: str,
        *,
        connect: str = "",
        ca_file: Path | None = None,
        login: tuple[str, str] | None = None,
        slot: str = "",
        path: str = "",
    ) -> Door:
        """Read the options of the command line. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{url}: expected http://<name> or https://<name>, perhaps with a port")
        tls = parts.scheme == "https"
        if tls and ca_file is None:
            raise ValueError("--ca-file is missing: who signs the certificate?")
        headers = [("user-agent", "greenroom-visitors/openloop")]
        if login:
            headers.append(("authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode()))
        if slot:
            headers.append(("x-greenroom-slot", slot))
        return cls(
            name=parts.hostname,
            address=connect or parts.hostname,
            port=parts.port or (443 if tls else 80),
            headers=tuple(headers),
            ca_file=str(ca_file) if tls else "",
            path=path,
        )

    @property
    def host(self) -> str:
        """What the Host header says."""
        return self.name if self.port in (80, 443) else f"{self.name}:{self.port}"

    def context(self, protocol: str) -> ssl.SSLContext | None:
        """Return how to speak TLS, offering one protocol (h2 or http/1.1) and no other."""
        if not self.ca_file:
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        context.set_alpn_protocols([protocol])
        return context

    async def open(self, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection(
            self.address, self.port, ssl=context, server_hostname=self.name if context else None
        )
