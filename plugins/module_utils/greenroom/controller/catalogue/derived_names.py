# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Names that hosts and servers get from the catalog's names: no two may be equal, and none may be taken already."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...common.container_mac import mac_address
from ...data_stores.databases import own_databases
from ...switch.bluegreen import SLOTS
from .job_schema import HOOKS, job_container

Service = Mapping[str, Any]

FOLDER = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]|[a-z]")
FOLDER_RULE = "at most 40 lowercase letters, digits and -, with a letter first, and not - last"
# PostgreSQL has these databases and roles, reads these words in pg_hba.conf, or reserves the name.
_DATABASES = {
    **dict.fromkeys(("postgres", "template0", "template1"), "PostgreSQL's own"),
    **dict.fromkeys(("all", "replication", "samegroup", "samerole", "sameuser"), "a word of pg_hba.conf"),
    **dict.fromkeys(("none", "public"), "a name that PostgreSQL reserves"),
    "backup": "the login of the backup",
}
_PREFIX = "pg_"
_SERVICES = {"environment": "the environment's own folder in Vault", "localhost": "the name of the container itself"}
_VARIABLES = "GREENROOM_"
# The containers of a service that run once, which are names in the slots' networks, too.
_ONCE = ("migrate", "prepare", "seed", "run", "console")


def taken(service: Service) -> Iterator[str]:
    """Yield why names of a service are not free in any environment, as `<key>: <problem>`."""
    if why := _SERVICES.get(service["name"]):
        yield f'the folder\'s name "{service["name"]}" is {why}; choose another one'
    for database in own_databases(service):
        why = "a name that PostgreSQL reserves" if database.startswith(_PREFIX) else _DATABASES.get(database)
        if why:
            yield f'{_key(service, database)}: "{database}" is {why}; choose another name'
    for key in ("environment", "secrets"):
        for variable in service[key]:
            if variable.startswith(_VARIABLES):
                yield f"{key}.{variable}: Greenroom sets the variables {_VARIABLES}*; choose another name"
    for toggle, value in service["toggles"].items():
        if value["variable"].startswith(_VARIABLES):
            yield f"toggles.{toggle}.variable: Greenroom sets the variables {_VARIABLES}*; choose another name"


def containers(name: str, slot: str, service: Service) -> list[str]:
    """Return the names of all containers that a service may have in a slot's network.

    `service` is what the catalog says of it, or a bundle's description, which may be of an earlier version.
    """
    jobs = [f"{job_container(name, job)}-{slot}" for job in service.get("schedule", ())]
    hooks = [hook for hook in HOOKS if hook in service.get("hooks", ())]
    return [*(f"{name}-{part}" for part in (slot, f"{slot}-trial", *_ONCE, *hooks)), *jobs]


def derived(service: Service) -> Iterator[tuple[str, str, str, str]]:
    """Yield (what it names, name, the catalog's name that it is made of, the key of that) for a service's names.

    Others can't be equal: a folder's name has no _ and a queue's no dot, for example, so `<service>_<port>` and
    `<queue>.dead` can be taken apart.
    """
    name = service["name"]
    for container in dict.fromkeys([name, *(own for slot in SLOTS for own in containers(name, slot, service))]):
        yield "container or network name", container, name, "the folder's name"
    for database in own_databases(service):
        for part in ("", *SLOTS):
            yield "PostgreSQL role", f"{database}_{part}".removesuffix("_"), database, _key(service, database)


def _key(service: Service, database: str) -> str:
    return "database" if database == service["database"] else "databases"


def equal(catalogue: Mapping[str, Service]) -> Iterator[tuple[str, str]]:
    """Yield (service, line) if equal names follow from different names of two services."""
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    for own, service in catalogue.items():
        for kind, name, source, key in derived(service):
            owner, its = owners.setdefault((kind, name), (own, source))
            if its != source:
                yield own, f'{key}: the {kind} "{name}" is also one of {owner}; choose another name'


def equal_addresses(catalogue: Mapping[str, Service]) -> Iterator[tuple[str, str]]:
    """Yield (service, line) if containers have equal addresses: the firewall would take one for the other."""
    found: dict[str, str] = {}
    for own, service in catalogue.items():
        for container in (container for slot in SLOTS for container in containers(own, slot, service)):
            other = found.setdefault(mac_address(container), container)
            if other != container:
                yield own, f"the Ethernet address of {container} would be that of {other}; choose another folder's name"
