# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sign-in providers (OpenID Connect): the environment's clients in Vault, and their validation.

A provider is one item of the variable ``identity_providers``: {name, label, issuer, client_id}, and optionally
``smoke_login``. Vault has the client that was registered at the provider for the environment: {client_id,
client_secret, redirect_uri}, and with ``smoke_login`` also the ``password`` of the provider's test accounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Provider = Mapping[str, Any]

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
CALLBACK = "/self-service/methods/oidc/callback/"


def secret_path(name: str) -> str:
    """Return the path of the client of provider `name`, relative to `<environment>/`."""
    return f"environment/oidc/{name}"


def secret_paths(providers: Iterable[Provider]) -> list[str]:
    """Return the paths of all clients, relative to `<environment>/`."""
    return [secret_path(provider["name"]) for provider in providers]


def redirect_uri(public_url: str, name: str) -> str:
    """Return the URL that provider `name` redirects to after a login: Kratos at the public URL."""
    return f"{public_url.rstrip('/')}{CALLBACK}{name}"


def origins(providers: Iterable[Provider]) -> list[str]:
    """Return the distinct origins (scheme, host, port) of the issuers."""
    parts = [urlsplit(str(provider["issuer"])) for provider in providers]
    return list(dict.fromkeys(f"{part.scheme}://{part.netloc}" for part in parts))


def passwords(providers: Iterable[Provider], secrets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return {`provider_<name>_password`: password} for the smoke checks that log in.

    `secrets` maps paths to the run's secrets. A password is empty if the run could not read any secrets.
    """
    return {
        f"provider_{provider['name']}_password": str(secrets[secret_path(provider["name"])]["password"])
        if secrets
        else ""
        for provider in providers
        if provider.get("smoke_login")
    }


def setting_problems(providers: Sequence[Provider]) -> Iterator[str]:
    """Yield one line for each problem of the variable. Its keys and types are validated elsewhere."""
    names = [str(provider.get("name")) for provider in providers]
    for index, provider in enumerate(providers):
        where = f"identity_providers[{index}]"
        if not NAME.fullmatch(names[index]):
            yield f'{where}.name: "{names[index]}" is not a name of lowercase letters, digits and _'
        elif names[index] in names[:index]:
            yield f'{where}.name: "{names[index]}" is used twice'
        issuer = urlsplit(str(provider.get("issuer")))
        if issuer.scheme != "https" or not issuer.netloc:
            yield f'{where}.issuer: "{provider.get("issuer")}" is not an https URL'


def client_problems(
    providers: Iterable[Provider], secrets: Mapping[str, Mapping[str, Any]], environment: str, public_url: str
) -> list[str]:
    """Return one line for each provider whose client in Vault is not valid for `environment`.

    `secrets` maps paths to the run's secrets, `public_url` is the environment's public URL. No line contains a secret:
    a client's ID and redirect URI are not secret.
    """
    lines = []
    for provider in providers:
        path = secret_path(provider["name"])
        client = secrets.get(path, {})
        wanted = {"client_id": provider["client_id"], "redirect_uri": redirect_uri(public_url, provider["name"])}
        needed = [*wanted, "client_secret", *(["password"] if provider.get("smoke_login") else [])]
        missing = [key for key in needed if not client.get(key)]
        foreign = [
            f'{key} "{client[key]}" instead of "{value}"'
            for key, value in wanted.items()
            if key not in missing and client[key] != value
        ]
        if foreign:
            lines.append(
                f"{environment}/{path} holds the client of another environment: {', '.join(foreign)}; "
                "each environment needs its own client (docs/sign-in-providers.md)"
            )
        elif missing:
            lines.append(f"{environment}/{path} lacks {', '.join(missing)} (docs/sign-in-providers.md)")
    return lines
