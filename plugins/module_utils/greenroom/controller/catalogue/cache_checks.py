# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Rules for the caches of services: who has one, and that no two share keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...switch.bluegreen import SLOTS

Service = Mapping[str, Any]
Catalogue = Mapping[str, Service]


def cache_problems(service: Service, catalogue: Catalogue) -> Iterator[str]:
    """Yield what is wrong with the cache of a service and with its logins, as `<key>: <problem>`."""
    logins = [variable for variable, secret in service["secrets"].items() if secret["kind"] == "cache"]
    for variable in logins:
        secret = service["secrets"][variable]
        owner = secret["owner"]
        if owner not in catalogue:
            continue  # reported as an unknown service
        if not catalogue[owner]["cache"]:
            hint = "; add `cache: {}` to it" if owner == service["name"] else ""
            yield f"secrets.{variable}.cache: {owner} has no `cache`{hint}"
        elif secret["name"] != owner:
            yield f'secrets.{variable}.cache: the login of {owner} has its name; write "{owner}"'
    if service["cache"] and not logins:
        yield "secrets: no login of the cache; add one, such as `REDIS_URL: {cache: " + service["name"] + "}`"


def cache_collisions(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield (service, line) if a service could use the keys of another one, or two have the same login."""
    prefixes: dict[str, str] = {}
    logins: dict[str, str] = {}
    for name, service in catalogue.items():
        if not service["cache"]:
            continue
        prefix = str(service["cache"]["prefix"])
        for other, its in prefixes.items():
            if prefix.startswith(its) or its.startswith(prefix):
                yield name, f'cache.prefix: keys with "{prefix}" may be those of {other} ("{its}"); choose another one'
        prefixes[name] = prefix
        for slot in SLOTS:
            login = f"{name}_{slot}"
            if logins.setdefault(login, name) != name:
                yield name, f'the login "{login}" of the cache is also one of {logins[login]}; choose another name'
