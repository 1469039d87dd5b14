"""The destination of requests: address, TLS, and common headers."""

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
    """The public address, with credentials."""

    name: str
    """Name in the certificate and the Host header."""
    address: str
    port: int
    headers: tuple[tuple[str, str], ...]
    """Headers of every request; names are lowercase."""
    ca_file: str = ""
    """CA of the certificate; empty: no TLS."""
    path: str = ""
    """Path to request instead of the test endpoints."""

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
        """Build a door from command line options. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{url}: expected http://<name> or https://<name>, optionally with a port")
        tls = parts.scheme == "https"
        if tls and ca_file is None:
            raise ValueError("--ca-file is missing: https needs the CA of the certificate")
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
        """Value of the Host header."""
        return self.name if self.port in (80, 443) else f"{self.name}:{self.port}"

    def context(self, protocol: str) -> ssl.SSLContext | None:
        """Return a TLS context that offers only one protocol (h2 or http/1.1), or None without TLS."""
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
