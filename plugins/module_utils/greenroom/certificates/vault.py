# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The part of Vault that a host may use: the certificates that are its own, and a PKI role for their names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..common.web import Deadline, Network, Request, WebError, request
from .reading import CertificateError

SECONDS = 30
"""How long each request may take."""
PARTS = ("certificate", "private_key", "ca_chain")
_MISSING, _REFUSED = 404, (400, 403)
_RACE = "check-and-set"


class Vault:
    """A login of one host.

    `settings` has url, namespace, mount, environment, pki, role, role_id, secret_id and ca_file.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Log in. Raises CertificateError."""
        self._settings = settings
        # Vault's certificate may come from a public CA, too.
        self._network = Network(ca_file=settings["ca_file"] or None, public=True)
        self._token = ""
        login = {name: settings[name] for name in ("role_id", "secret_id")}
        answer = self._ask("the login", "POST", "auth/approle/login", login)
        self._token = str(answer["auth"]["client_token"])

    def leave(self) -> None:
        """Revoke the login's token."""
        self._ask("the end of the login", "POST", "auth/token/revoke-self", {})

    def certificate(self, name: str) -> tuple[dict[str, str], int]:
        """Return a certificate, {} if there is none, and its version. Raises CertificateError."""
        answer = self._ask(f"reading the certificate {name}", "GET", self._path(name), None)
        found = (answer.get("data") or {}).get("data") or {}
        return {part: str(found[part]) for part in PARTS if part in found}, (
            int(answer["data"]["metadata"]["version"]) if found else 0
        )

    def issue(self, names: Sequence[str]) -> dict[str, str]:
        """Return a new certificate, as `certificate` does. Raises CertificateError."""
        path = f"{self._settings['pki']}/issue/{self._settings['role']}"
        given = {"common_name": names[0], "alt_names": ",".join(names)}
        data = self._ask(f"issuing {names[0]} at {path}", "POST", path, given)["data"]
        chain = data.get("ca_chain") or [data["issuing_ca"]]
        return {
            "certificate": data["certificate"],
            "private_key": data["private_key"],
            # The form that a run writes, so that neither changes what the other has written.
            "ca_chain": "\n".join(chain),
        }

    def write(self, name: str, content: Mapping[str, str], version: int) -> None:
        """Store a certificate, unless another one than `version` is there. Raises CertificateError."""
        given = {"data": dict(content), "options": {"cas": version}}
        self._ask(f"writing the certificate {name}", "POST", self._path(name), given)

    def _path(self, name: str) -> str:
        return f"{self._settings['mount']}/data/{self._settings['environment']}/environment/certificate/{name}"

    def _ask(self, doing: str, method: str, path: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        url = self._settings["url"].rstrip("/")
        headers = {"X-Vault-Request": "true"}
        headers |= {"X-Vault-Token": self._token} if self._token else {}
        headers |= {"X-Vault-Namespace": space} if (space := self._settings.get("namespace", "")) else {}
        body = None if given is None else json.dumps(given).encode()
        try:
            answer = request(Request(method, f"{url}/v1/{path}", headers, body), self._network, Deadline(SECONDS))
            content = json.loads(answer.text or "{}")
        except WebError as error:
            raise CertificateError(
                f"Vault at {url}: {doing} failed: {error}; check that this host reaches it"
            ) from None
        except ValueError:
            raise CertificateError(f"Vault at {url}: {doing} failed: no JSON; check secrets_url") from None
        if answer.status == _MISSING and method == "GET":
            return {}
        if answer.status >= 300:
            told = ", ".join(str(line).strip() for line in content.get("errors") or []) or f"status {answer.status}"
            what = (
                "; run playbooks/vault-setup.yml -e vault_setup=apply, then site.yml"
                if answer.status in _REFUSED and _RACE not in told
                else ""
            )
            raise CertificateError(f"Vault at {url} refuses {doing}: {' '.join(told.split())}{what}")
        return dict(content)
