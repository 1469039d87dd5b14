# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""An environment's secrets in Vault (KV version 2, PKI), through an hvac client that has logged in.

Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from .passwords import new_secret

CERTIFICATE = "environment/certificate/"


class VaultError(Exception):
    """A request to Vault failed; the text names the request, and the client's own exception is the cause."""


@dataclass
class Secrets:
    """The secrets of `environment` on a KV mount; `client` raises `missing_error` for a path without a secret."""

    client: Any
    mount: str
    environment: str
    missing_error: type[Exception]
    versions: dict[str, int] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    """When the present version of each secret was written, as Vault says it."""

    def read(self, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return {path: content} of those `paths` that exist. Raises VaultError."""
        found = {}
        for path in paths:
            content = self._try(f"reading {self._where(path)}", self._read, path)
            if content is not None:
                found[path] = content
        return found

    def create(self, paths: Iterable[str]) -> None:
        """Generate the secrets at `paths`. Raises VaultError, also if another run created one meanwhile."""
        for path in paths:
            self._try(f"creating {self._where(path)}", self._write, path, new_secret(path))

    def put(self, path: str, value: str, owner: str) -> None:
        """Write a value that was issued elsewhere, and who owns it. Raises VaultError, also if another run wrote it."""
        self.replace(path, {"value": value, "owner": owner})

    def replace(self, path: str, content: Mapping[str, Any]) -> None:
        """Write new content over what was read. Raises VaultError, also if another run wrote it meanwhile."""
        self._try(f"writing {self._where(path)}", self._write, path, content)

    def issue(self, path: str, names: Sequence[str], mount: str, role: str) -> None:
        """Issue a certificate for `names` with the PKI's `role` and store it at `path`. Raises VaultError."""
        issued = self._try(f"issuing {names[0]} at {mount}/issue/{role}", self._issue, names, mount, role)
        self._try(f"creating {self._where(path)}", self._write, path, issued)

    def leave(self) -> None:
        """Revoke the login's token. Errors don't matter, because the token expires soon anyway."""
        with contextlib.suppress(Exception):
            self.client.auth.token.revoke_self()

    def _where(self, path: str) -> str:
        return f"{self.mount}/{self.environment}/{path}"

    def _try(self, doing: str, act: Any, *args: Any) -> Any:
        try:
            return act(*args)
        except Exception as error:
            raise VaultError(doing) from error

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            answer = self.client.secrets.kv.v2.read_secret_version(
                path=f"{self.environment}/{path}", mount_point=self.mount, raise_on_deleted_version=False
            )
        except self.missing_error:
            return None
        self.versions[path] = answer["data"]["metadata"]["version"]
        self.written[path] = answer["data"]["metadata"].get("created_time", "")
        content: dict[str, Any] | None = answer["data"]["data"]
        return content

    def _write(self, path: str, content: Mapping[str, Any]) -> None:
        # Version 0 means "only if there is none": if two runs create a secret, only one succeeds.
        self.client.secrets.kv.v2.create_or_update_secret(
            path=f"{self.environment}/{path}",
            secret=dict(content),
            cas=self.versions.get(path, 0),
            mount_point=self.mount,
        )

    def _issue(self, names: Sequence[str], mount: str, role: str) -> dict[str, str]:
        extra = {"alt_names": ",".join(names)}
        answer = self.client.secrets.pki.generate_certificate(
            name=role, common_name=names[0], extra_params=extra, mount_point=mount
        )["data"]
        chain = answer.get("ca_chain") or [answer["issuing_ca"]]
        return {
            "certificate": answer["certificate"],
            "private_key": answer["private_key"],
            "ca_chain": "\n".join(chain),
        }


def needs_issue(
    content: Mapping[str, Any] | None, names: Iterable[str], days: int, now: datetime | None = None
) -> bool:
    """Whether to issue a certificate: there is none, it expires within `days`, or it isn't for exactly `names`."""
    if content is None:
        return True
    certificate = x509.load_pem_x509_certificate(content["certificate"].encode())
    if certificate.not_valid_after_utc - (now or datetime.now(UTC)) < timedelta(days=days):
        return True
    own = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(own.get_values_for_type(x509.DNSName)) != set(names)
