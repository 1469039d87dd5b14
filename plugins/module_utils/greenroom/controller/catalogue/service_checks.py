# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Validate services against each other: ports, routes, secrets, configuration. A problem is (service, line).

The catalog must be normalized, and each of its services must fit the schema.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from ...canary.weights import weights
from ...common.names import suggestion
from ...data_stores.databases import own_databases
from . import derived_names
from .cache_checks import cache_collisions, cache_problems
from .collisions import Catalogue, Problem, Service, broker_collisions, closed_collisions, collisions
from .image_checks import image_problems
from .job_schema import job_problems
from .route_checks import route_problems
from .route_collisions import route_collisions
from .secret_checks import database_problems, file_problems, given_problems
from .volume_checks import host_problems, volume_problems

LARGEST_PORT = 65535
# A host and its port, in a URL or alone.
_PLACE = re.compile(r"(?<![\w.-])([a-z][a-z0-9-]*):(\d+)(?!\d)")
# The group whose hosts have slots.
SLOT_HOSTS = "app"


def _ports(service: Service, groups: Collection[str]) -> Iterator[str]:
    for name, port in service["ports"].items():
        for group in port["from"]:
            if group not in groups:
                yield f'ports.{name}.from: unknown group "{group}"{suggestion(group, groups)}'
        for slot, number in port["host"].items():
            if number > LARGEST_PORT:
                yield f"ports.{name}: port {number} in {slot} is above {LARGEST_PORT}; set a lower `host`"


def _pages(service: Service) -> Iterator[str]:
    for page in ("health", "metrics"):
        port = (service[page] or {}).get("port")
        if port and port not in service["ports"]:
            yield f'{page}.port: unknown port "{port}"{suggestion(port, service["ports"])}'
    port = service["identities"]
    if port and port not in service["ports"]:
        yield f'identities: unknown port "{port}"{suggestion(port, service["ports"])}'
    if service["ports"] and not service["health"]:
        yield "health: missing; a service with ports needs a check that shows whether it is ready"
    if port and service["health"] and "port" not in service["health"]:
        yield "health: a service with `identities` needs a check of one of its ports"


def _canary(service: Service) -> Iterator[str]:
    metric = (service["canary"] or {}).get("metric")
    if not metric:
        return
    ports, port = service["ports"], metric["port"]
    if port is None or metric["path"] is None:
        yield "canary.metric: the page is unknown; set `port` and `path`, or give the service `metrics`"
    elif port not in ports:
        yield f'canary.metric.port: unknown port "{port}"{suggestion(str(port), ports)}'
    elif not ports[port]["from"]:
        yield f'canary.metric.port: "{port}" can\'t be reached from other hosts; add `ops` to its `from`'
    elif service["activation"] != "always":
        yield f"canary.metric: a {service['activation']} service runs for the live slot only; nothing can be compared"


def _canary_rules(service: Service) -> Iterator[str]:
    canary = service["canary"] or {}
    try:
        weights(canary.get("steps", []), "canary.steps")
    except ValueError as error:
        yield str(error)
    for index, query in enumerate(canary.get("queries", [])):
        if ("above" in query) == ("below" in query):
            yield f"canary.queries[{index}]: needs exactly one of above, below"


def _secrets(service: Service, catalogue: Catalogue, wrong: Collection[str]) -> Iterator[str]:
    for variable, secret in service["secrets"].items():
        owner = secret["owner"]
        if owner in wrong:
            continue
        if secret["kind"] == "given":
            yield from given_problems(variable, secret, catalogue)
        elif secret["kind"] == "provider":
            pass  # the environment decides whether there is such a provider
        elif owner not in catalogue:
            yield f'secrets.{variable}.of: unknown service "{owner}"{suggestion(owner, catalogue)}'
        elif secret["kind"] == "login":
            if secret["name"] not in own_databases(catalogue[owner]):
                known = {database: name for name, item in catalogue.items() for database in own_databases(item)}
                holder = known.get(secret["name"])
                hint = f"; add `of: {holder}`" if holder else suggestion(secret["name"], known)
                yield f'secrets.{variable}.login: {owner} declares no database "{secret["name"]}"{hint}'
        elif owner != service["name"] and secret["kind"] != "cache":
            own = {item["name"] for item in catalogue[owner]["secrets"].values() if item["kind"] == secret["kind"]}
            if secret["name"] not in own:
                hint = suggestion(secret["name"], own)
                yield f'secrets.{variable}.{secret["kind"]}: {owner} has no {secret["kind"]} "{secret["name"]}"{hint}'
        if variable in service["environment"]:
            yield f"secrets.{variable}: also set in `environment`; remove one of them"


def _calls(service: Service, catalogue: Catalogue, wrong: Collection[str]) -> Iterator[str]:
    for index, call in enumerate(service["calls"]):
        name, _, port = call.partition(".")
        if name in wrong:
            continue
        if name not in catalogue:
            yield f'calls[{index}]: unknown service "{name}"{suggestion(name, catalogue)}'
        elif port not in catalogue[name]["ports"]:
            yield f'calls[{index}]: {name} has no port "{port}"{suggestion(port, catalogue[name]["ports"])}'
    for variable, value in service["environment"].items():
        for name, number in _PLACE.findall(str(value)):
            ports = catalogue[name]["ports"].items() if name in catalogue and name != service["name"] else ()
            missing = [f"{name}.{port}" for port, its in ports if str(its["container"]) == number]
            if missing and missing[0] not in service["calls"]:
                yield f"environment.{variable}: {name}:{number} is closed to the service; add {missing[0]} to `calls`"


def _queues(service: Service, catalogue: Catalogue, wrong: Collection[str]) -> Iterator[str]:
    known = {queue for item in catalogue.values() for queue in item["queues"]}
    for index, queue in enumerate(service["publishes"]):
        # The queue may belong to a service that was left out because it is invalid.
        if queue not in known and not wrong:
            yield f'publishes[{index}]: no service has a queue "{queue}"{suggestion(queue, known)}'
    if service["queues"] and service["activation"] == "always":
        yield "queues: the idle slot would take live jobs; set `activation: live_only`"
    uses = bool(service["queues"] or service["publishes"])
    logins = [variable for variable, secret in service["secrets"].items() if secret["kind"] == "broker"]
    if uses and not logins:
        yield "secrets: no broker login; add one, such as `BROKER_URL: {broker: " + service["name"] + "}`"
    for variable in logins if not uses else ():
        yield f"secrets.{variable}.broker: not needed; the service has neither `queues` nor `publishes`"


def _seed(service: Service) -> Iterator[str]:
    if service["heads"] and not service["database"]:
        yield "heads: asks for the version of a schema, but `database` is missing"


def _toggles(service: Service) -> Iterator[str]:
    variables: dict[str, str] = {}
    for name, toggle in service["toggles"].items():
        variable = toggle["variable"]
        for key in ("environment", "secrets"):
            if variable in service[key]:
                yield f"toggles.{name}.variable: {variable} is also set in `{key}`; remove one of them"
        if variables.setdefault(variable, name) != name:
            yield f"toggles.{name}.variable: {variable} is the variable of {variables[variable]}; choose another one"


def _load(service: Service) -> Iterator[str]:
    toggle = (service["load"] or {}).get("toggle")
    if toggle is not None and toggle not in service["toggles"]:
        yield f'load.toggle: unknown toggle "{toggle}"{suggestion(toggle, service["toggles"])}'
    if service["load"] is not None and not service["routes"]:
        yield "load: requests can't reach the service; add `routes`"


def _config(service: Service, catalogue: Catalogue, wrong: Collection[str]) -> Iterator[str]:
    source = service["config_of"]
    if source in wrong:
        return
    if source not in catalogue:
        yield f'config_of: unknown service "{source}"{suggestion(source, catalogue)}'
    elif service["config_path"] and not service["has_config"]:
        yield f"config_path: there is no folder {source}/config to mount"
    elif not service["config_path"] and (service["has_config"] or source != service["name"]):
        yield f"config_path: missing; {source}/config would not be mounted"


def service_problems(
    service: Service,
    catalogue: Catalogue,
    groups: Collection[str],
    limits: Collection[str] | None,
    wrong: Collection[str] = (),
) -> Iterator[str]:
    """Yield the problems of one service in the catalog.

    `groups` are the inventory's groups, `limits` the classes of rate limits (None if unknown). `wrong` are the services
    that are missing from the catalog because they are invalid.
    """
    if service["group"] not in groups:
        yield f'group: unknown group "{service["group"]}"{suggestion(str(service["group"]), groups)}'
    yield from _ports(service, groups)
    yield from _pages(service)
    yield from image_problems(service)
    yield from _canary(service)
    yield from _canary_rules(service)
    yield from route_problems(service, limits)
    yield from _secrets(service, catalogue, wrong)
    yield from cache_problems(service, catalogue)
    yield from file_problems(service)
    yield from database_problems(service)
    yield from _calls(service, catalogue, wrong)
    yield from _queues(service, catalogue, wrong)
    yield from _seed(service)
    yield from job_problems(service)
    yield from _toggles(service)
    yield from _load(service)
    yield from _config(service, catalogue, wrong)
    yield from volume_problems(service, catalogue, wrong)
    yield from derived_names.taken(service)


def homeless(catalogue: Catalogue, groups: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Yield (service, line) for services with hosts that have no slots, because they would not be deployed there.

    `groups` = {group: [host]}. A service's group must be `app`, whose hosts have slots, or a subset of it.
    """
    slots = set(groups.get(SLOT_HOSTS, ()))
    for name, service in catalogue.items():
        outside = ", ".join(sorted(set(groups.get(service["group"], ())) - slots))
        if outside:
            yield name, f'group: {outside} of "{service["group"]}" is not in "{SLOT_HOSTS}"; only its hosts have slots'


def problems(
    catalogue: Catalogue,
    groups: Mapping[str, Collection[str]],
    limits: Collection[str] | None = None,
    wrong: Collection[str] = (),
    taken: Mapping[tuple[str, int], str] | None = None,
    *,
    nfs: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Return all problems between services as (service, line).

    `taken` = {(host, port): what has it}, `nfs` is `volumes_nfs`.
    """
    single = [
        (name, line)
        for name, service in catalogue.items()
        for line in service_problems(service, catalogue, groups, limits, wrong)
    ]
    between = [
        *collisions(catalogue, groups, taken),
        *route_collisions(catalogue),
        *closed_collisions(catalogue),
        *host_problems(catalogue, groups, nfs),
        *broker_collisions(catalogue),
        *cache_collisions(catalogue),
        *derived_names.equal(catalogue),
        *derived_names.equal_addresses(catalogue),
    ]
    both = dict.fromkeys(between)
    return [*single, *homeless(catalogue, groups), *both]
