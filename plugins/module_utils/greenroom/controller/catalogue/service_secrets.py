# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Services' secrets: their paths in Vault, and the environment variables of containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ...data.broker import broker_url
from ...switch.bluegreen import SLOTS

Service = Mapping[str, Any]
Catalogue = Mapping[str, Service]
CA_IN_CONTAINER = "/etc/greenroom/ca.crt"
# Kinds with one secret per slot.
LOGINS = ("login", "broker")


def secret_path(secret: Mapping[str, Any], slot: str) -> str:
    """Return the path of a service's secret, relative to `<environment>/`. A login has one for each slot."""
    return f"{secret['owner']}/{secret['kind']}/{slot if secret['kind'] in LOGINS else secret['name']}"


def secret_paths(catalogue: Catalogue, slots: Iterable[str] = SLOTS) -> list[str]:
    """Return the sorted paths of all services' secrets, relative to `<environment>/`."""
    secrets = [secret for service in catalogue.values() for secret in service["secrets"].values()]
    return sorted({secret_path(secret, slot) for secret in secrets for slot in slots})


def database_url(database: str, slot: str, password: str, host: str, port: int = 5432) -> str:
    """Return the URL of `database` for the login of `slot`. Clients verify the server's certificate."""
    login = f"{quote(f'{database}_{slot}', safe='')}:{quote(password, safe='')}"
    options = f"sslmode=verify-full&sslrootcert={CA_IN_CONTAINER}"
    return f"postgres://{login}@{host}:{port}/{quote(database, safe='')}?{options}"


def secret_environment(
    service: Service,
    slot: str,
    values: Mapping[str, Any],
    host: str,
    port: int = 5432,
    *,
    broker: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return {environment variable: value} of a service's secrets in `slot`.

    `values` maps paths to the run's secrets. `host` and `port` are the database's, `broker` = {host, port, vhost} is
    the broker's address, as containers reach them.
    """
    result = {}
    for variable, secret in service["secrets"].items():
        content = values[secret_path(secret, slot)]
        if secret["kind"] == "login":
            result[variable] = database_url(secret["name"], slot, content["password"], host, port)
        elif secret["kind"] == "broker":
            result[variable] = broker_url(secret["name"], slot, content["password"], CA_IN_CONTAINER, **(broker or {}))
        else:
            result[variable] = content["values" if secret["kind"] == "ring" else "value"]
    return result
