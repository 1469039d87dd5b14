# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Sign-in providers (OpenID Connect): where an environment's client lies, and whose it is.

A provider here is one item of the variable ``identity_providers``: {name, label, issuer, client_id}, and optionally
``smoke_login``. Its client, as whoever runs the provider registered it, lies in Vault below the environment:
{client_id, client_secret, redirect_uri}, and with ``smoke_login`` the ``password`` of the provider's test accounts.
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
    """Return the path of the client of provider `name` below `<environment>/`."""
    return f"environment/oidc/{name}"


def secret_paths(providers: Iterable[Provider]) -> list[str]:
    """Return the paths of all clients below `<environment>/`."""
    return [secret_path(provider["name"]) for provider in providers]


def redirect_uri(public_url: str, name: str) -> str:
    """Return the address to which provider `name` sends people back: Kratos' own, at the public address."""
    return f"{public_url.rstrip('/')}{CALLBACK}{name}"


def origins(providers: Iterable[Provider]) -> list[str]:
    """Return the origins (scheme, host, port) of the issuers, each once."""
    parts = [urlsplit(str(provider["issuer"])) for provider in providers]
    return list(dict.fromkeys(f"{part.scheme}://{part.netloc}" for part in parts))


def passwords(providers: Iterable[Provider], secrets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return {variable: password} for the smoke checks that log in: `provider_<name>_password`.

    `secrets` are the run's secrets by path.
    """
    return {
        f"provider_{provider['name']}_password": str(secrets[secret_path(provider["name"])]["password"])
        for provider in providers
        if provider.get("smoke_login")
    }


def setting_problems(providers: Sequence[Provider]) -> Iterator[str]:
    """Yield what is wrong with the variable itself, one line each; its keys and types are checked elsewhere."""
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
    """Return why the clients in Vault are not those of `environment`, one line for each provider.

    `secrets` are the run's secrets by path, `public_url` is where people reach this environment. No line holds a
    secret: an identifier and an address of a client are none.
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
