"""The sign-in provider (OpenID Connect) on control1, with one client per environment."""

from __future__ import annotations

import json
import secrets

from . import inventory, keys, network, paths
from .console import run
from .hosts import ssh

NAME = "company"
"""The provider's name in the inventories."""

PORT = 9443

RENEW = (
    "sudo cmp -s /srv/lab/clients.json /etc/sign-in-provider/clients.json || "
    "{ sudo /usr/local/lib/greenroom-lab/control && sudo systemctl restart sign-in-provider; }"
)


def issuer() -> str:
    """Return the provider's URL, which is also the issuer in its tokens."""
    return f"https://{inventory.control().address}:{PORT}"


def plan() -> None:
    """Write the provider's configuration: its address, and one client per environment, created once."""
    folder = keys.seed(inventory.control())
    paths.write(folder / "provider", f"ISSUER={issuer()}\n")
    file = folder / "clients.json"
    known = {client["client_id"]: client for client in (json.loads(file.read_text()) if file.exists() else [])}
    wanted = [_client(environment, known.get(_identifier(environment), {})) for environment in inventory.environments()]
    if wanted != list(known.values()):
        paths.write(file, json.dumps(wanted, indent=1), 0o600)


def renew() -> None:
    """Restart the provider if its clients changed, as they do when an environment is added."""
    hint = "If an earlier version of the lab created control1, run `make down`, then this command again."
    run(ssh(inventory.control(), RENEW), hint=hint)


def client(environment: str) -> dict[str, str]:
    """Return the secret that an environment has in Vault: its client, and the password of its test accounts."""
    listed = json.loads((keys.seed(inventory.control()) / "clients.json").read_text())
    found = next(item for item in listed if item["client_id"] == _identifier(environment))
    return {key: found[key] for key in ("client_id", "client_secret", "redirect_uri", "password")}


def _identifier(environment: str) -> str:
    return f"greenroom-{environment}"


def _client(environment: str, known: dict[str, str]) -> dict[str, str]:
    """Return an environment's client, with the secrets in `known` if there are any."""
    portal = f"https://portal.{environment}.{network.DOMAIN}"
    return {
        "client_id": _identifier(environment),
        "client_secret": known.get("client_secret") or secrets.token_urlsafe(32),
        "redirect_uri": f"{portal}/self-service/methods/oidc/callback/{NAME}",
        "password": known.get("password") or secrets.token_urlsafe(24),
        # For synthetic users: no real address can end in .invalid.
        "domain": f"people.{environment}.invalid",
    }
