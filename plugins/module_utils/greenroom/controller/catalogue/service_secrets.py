# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Services' secrets: their paths in Vault, and the environment variables and files of containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...data_stores.broker import broker_url
from ...switch.bluegreen import SLOTS
from .connection_forms import Connection, cache_text, database_text

Service = Mapping[str, Any]
Catalogue = Mapping[str, Service]
CA_IN_CONTAINER = "/etc/greenroom/ca.crt"
# Kinds with one secret per slot.
LOGINS = ("login", "broker", "cache")
# The key of a secret's content by its kind.
KEYS = {
    "login": "password",
    "broker": "password",
    "cache": "password",
    "ring": "values",
    "value": "value",
    "given": "value",
    "provider": "value",
}


def provider_key(name: str, field: str) -> str:
    """Return where the run's secrets have a field of a provider for services. No path in Vault is like that."""
    return f"provider:{name}/{field}"


def secret_path(secret: Mapping[str, Any], slot: str) -> str:
    """Return the path of a service's secret, relative to `<environment>/`. A login has one for each slot.

    Each of the `databases` of a service has a login of its own, besides that of its `database`.
    """
    if secret["kind"] == "given":
        return str(secret["name"])
    if secret["kind"] == "provider":
        return provider_key(str(secret["name"]), str(secret.get("field", "key")))
    if secret["kind"] not in LOGINS:
        return f"{secret['owner']}/{secret['kind']}/{secret['name']}"
    return f"{secret['owner']}/{secret['kind']}/{secret['name'] + '_' if secret.get('further') else ''}{slot}"


def secret_paths(catalogue: Catalogue, slots: Iterable[str] = SLOTS) -> list[str]:
    """Return the sorted paths of all services' secrets, relative to `<environment>/`. Providers have their own."""
    secrets = [secret for service in catalogue.values() for secret in service["secrets"].values()]
    own = [secret for secret in secrets if secret["kind"] != "provider"]
    return sorted({secret_path(secret, slot) for secret in own for slot in slots})


def given_paths(catalogue: Catalogue) -> list[str]:
    """Return the sorted paths of the secrets that nothing here generates, relative to `<environment>/`."""
    secrets = [secret for service in catalogue.values() for secret in service["secrets"].values()]
    return sorted({str(secret["name"]) for secret in secrets if secret["kind"] == "given"})


def settable(catalogue: Catalogue) -> dict[str, bool]:
    """Return {path: whether it may have several lines} of the single values that an operator may put into Vault.

    A value that one service wants as a variable has one line, whatever the others want.
    """
    found: dict[str, bool] = {}
    for service in catalogue.values():
        for secret in service["secrets"].values():
            if KEYS.get(secret["kind"]) == "value" and secret["kind"] != "provider":
                path = secret_path(secret, SLOTS[0])
                found[path] = found.get(path, True) and bool(secret.get("file"))
    return found


def database_url(database: str, slot: str, password: str, host: str, port: int = 5432) -> str:
    """Return the URL of `database` for the login of `slot`. Clients verify the server's certificate."""
    return database_text(Connection(host, port, f"{database}_{slot}", password, database, CA_IN_CONTAINER))


def secret_texts(
    service: Service,
    slot: str,
    values: Mapping[str, Any],
    host: str,
    port: int = 5432,
    *,
    broker: Mapping[str, Any] | None = None,
    cache: Mapping[str, Any] | None = None,
    database_ca: str = CA_IN_CONTAINER,
) -> dict[str, str]:
    """Return {environment variable: secret} of a service in `slot`, also of secrets that are in a file.

    `values` maps paths to the run's secrets. `host` and `port` are the database's, `broker` = {host, port, vhost} is
    the broker's address, `cache` = {host, port, prefixes: {service: prefix}} the cache's, as containers reach them.
    Clients verify the database's certificate with `database_ca`.
    """
    result = {}
    for variable, secret in service["secrets"].items():
        if secret.get("optional") and secret_path(secret, slot) not in values:
            continue
        content = values[secret_path(secret, slot)]
        name, login, text = secret["name"], f"{secret['name']}_{slot}", content.get(KEYS[secret["kind"]])
        if secret["kind"] == "login":
            connection = Connection(host, int(port), login, text, name, database_ca)
            part = secret.get("part")
            result[variable] = (
                connection.part(part) if part else database_text(connection, secret.get("form"), secret.get("options"))
            )
        elif secret["kind"] == "broker":
            given: dict[str, Any] = {"host": "localhost", "port": 5671, "vhost": "/"} | dict(broker or {})
            connection = Connection(given["host"], given["port"], login, text, given["vhost"], CA_IN_CONTAINER)
            part = secret.get("part")
            result[variable] = connection.part(part) if part else broker_url(name, slot, text, CA_IN_CONTAINER, **given)
        elif secret["kind"] == "cache":
            server: dict[str, Any] = {"host": "localhost", "port": 6379, "prefixes": {}} | dict(cache or {})
            prefix = server["prefixes"].get(secret["owner"], "")
            connection = Connection(server["host"], int(server["port"]), login, text, "0", CA_IN_CONTAINER, prefix)
            part = secret.get("part")
            result[variable] = connection.part(part) if part else cache_text(connection, secret.get("options"))
        else:
            result[variable] = text
    return result


def secret_environment(
    service: Service,
    slot: str,
    values: Mapping[str, Any],
    host: str,
    port: int = 5432,
    **servers: Any,
) -> dict[str, str]:
    """Return {environment variable: value} of a service's secrets in `slot`, with the arguments of `secret_texts`.

    The value of a secret with `file` is the file's path.
    """
    texts = secret_texts(service, slot, values, host, port, **servers)
    return {variable: service["secrets"][variable].get("file") or text for variable, text in texts.items()}
