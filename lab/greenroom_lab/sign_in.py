"""The sign-in provider (OpenID Connect) on control1, with a client for each environment."""

from __future__ import annotations

import json
import secrets

from . import inventory, keys, network, paths
from .console import run
from .hosts import ssh

NAME = "company"
"""What the inventories call the provider."""

PORT = 9443

RENEW = (
    "sudo cmp -s /srv/lab/clients.json /etc/sign-in-provider/clients.json || "
    "{ sudo /usr/local/lib/greenroom-lab/control && sudo systemctl restart sign-in-provider; }"
)


def issuer() -> str:
    """Say under which address the provider answers and signs."""
    return f"https://{inventory.control().address}:{PORT}"


def plan() -> None:
    """Write what the provider needs for its start: its address, and a client for each environment, made once."""
    folder = keys.seed(inventory.control())
    paths.write(folder / "provider", f"ISSUER={issuer()}\n")
    file = folder / "clients.json"
    known = {client["client_id"]: client for client in (json.loads(file.read_text()) if file.exists() else [])}
    wanted = [_client(environment, known.get(_identifier(environment), {})) for environment in inventory.environments()]
    if wanted != list(known.values()):
        paths.write(file, json.dumps(wanted, indent=1), 0o600)


def renew() -> None:
    """Let the running provider read its clients again when they changed, as they do when an environment was added."""
    hint = "Was control1 made by an earlier version of the lab? Then run `make down`, then this again."
    run(ssh(inventory.control(), RENEW), hint=hint)


def client(environment: str) -> dict[str, str]:
    """Return what an environment keeps in its Vault of its client, and the password of its test accounts."""
    listed = json.loads((keys.seed(inventory.control()) / "clients.json").read_text())
    found = next(item for item in listed if item["client_id"] == _identifier(environment))
    return {key: found[key] for key in ("client_id", "client_secret", "redirect_uri", "password")}


def _identifier(environment: str) -> str:
    return f"greenroom-{environment}"


def _client(environment: str, known: dict[str, str]) -> dict[str, str]:
    """Return an environment's client; secrets that are `known` stay."""
    portal = f"https://portal.{environment}.{network.DOMAIN}"
    return {
        "client_id": _identifier(environment),
        "client_secret": known.get("client_secret") or secrets.token_urlsafe(32),
        "redirect_uri": f"{portal}/self-service/methods/oidc/callback/{NAME}",
        "password": known.get("password") or secrets.token_urlsafe(24),
        # The synthetic people's: nobody can have an address there.
        "domain": f"people.{environment}.invalid",
    }
