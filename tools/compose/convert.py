# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Convert a whole compose file: which of its services become services, and how they fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.greenroom.controller.catalogue import catalogue as catalog
from plugins.module_utils.greenroom.controller.catalogue import service_checks
from plugins.module_utils.greenroom.controller.catalogue.service_schema import SCHEMA, structure_errors

from . import container, reaching
from .known import DONE, HANDLED, REDIS, REFUSED, REPLACED, STORES, program
from .project import Draft, Project, host_port
from .reading import Compose
from .variables import Environment

# Services that must run once only: what they start on time would otherwise start twice.
_SINGLE = re.compile(r"(?:^|[-_])(?:beat|cron|clock|scheduler|schedule)(?:$|[-_])")
# Keys of the file that say nothing about services.
_TOP = {
    "volumes": "what is kept follows from the services' `volumes`",
    "networks": "each slot has a network of its own",
    "configs": "put files into a service's folder `config/`",
    "secrets": "services name their secrets in `secrets` (docs/secrets.md)",
    "include": "this file only was read; run `docker compose config` first, and convert its output",
}
# How values are written: None writes the innermost mappings and lists in one line.
_FLOW: dict[str, bool | None] = dict.fromkeys(
    ("command", "entrypoint", "migrate", "ports", "secrets", "health", "routes", "calls", "volumes", "capabilities")
)
_NOTHING = {"services", "version", "name"}


def convert(compose: Compose, prefix: str = "", taken: set[int] | None = None) -> Project:
    """Convert a compose file. `taken` are host ports of blue that services have already. Raises ComposeError."""
    project = Project(compose, prefix)
    once = dict(_once(project))
    for name in project.services:
        if project.kind(name) == "service" and name not in once:
            project.drafts[name] = Draft(project.folder(name), name)
    for name in project.services:
        if name not in project.drafts and name not in once:
            _outside(project, name)
    for draft in project.drafts.values():
        container.image(project, draft)
        container.command(project, draft)
        reaching.ports(project, draft)
        container.limits(project, draft)
        container.files(project, draft)
    for draft in project.drafts.values():
        Environment(project, draft).convert()
    for draft in project.drafts.values():
        reaching.health(project, draft)
        _activation(project, draft)
    for name, users in once.items():
        _migrate(project, name, users)
    _routes(project)
    _number_ports(project, set(taken or ()))
    for name in project.drafts:
        _other_keys(project, name)
    for key, value in compose.data.items():
        if key in _TOP and value:
            project.note((key,), _TOP[key])
        elif key not in _NOTHING and key not in _TOP and not key.startswith("x-"):
            project.drop((key,), "an unknown key")
    return project


def _once(project: Project) -> Iterator[tuple[str, list[str]]]:
    """Yield each service that runs to its end, with the ones that wait for it or else have its image."""
    for name in project.services:
        users = [
            other
            for other, service in project.services.items()
            if isinstance(service.get("depends_on"), dict)
            and (service["depends_on"].get(name) or {}).get("condition") == "service_completed_successfully"
        ]
        service = project.services[name]
        if not users and service.get("restart") in ("no", "on-failure") and not service.get("ports"):
            users = [
                other for other in project.services if other != name and project.image(other) == project.image(name)
            ]
        if users and project.kind(name) == "service":
            yield name, users


def _outside(project: Project, name: str) -> None:
    """Note what becomes of a service that is none here."""
    kind, place = project.kind(name), ("services", name)
    what = program(project.image(name))
    if kind == "database":
        project.note(place, "databases are on the data host: `database` of the services that use it")
        if what not in ("postgres", "postgresql"):
            project.drop(place, f"{what} has extensions of PostgreSQL: name them in `extensions` (docs/data-stores.md)")
    elif kind == "broker":
        project.drop(place, "RabbitMQ is on the data host: name `queues` and `publishes` of services (docs/broker.md)")
    elif kind == "store":
        own = "use `cache` of a service (docs/data-stores.md), or " if STORES[what] == REDIS else ""
        project.drop(place, f"{STORES[what]}: {own}run it yourself and give its address")
    else:
        project.note(place, f"not needed: {REPLACED[what]}")


def _migrate(project: Project, name: str, users: list[str]) -> None:
    """Make the command of a service that runs once the `migrate` of the first one that waits for it."""
    place = ("services", name)
    draft = next((project.drafts[user] for user in users if user in project.drafts), None)
    if draft is None or project.image(name) != project.image(draft.source):
        project.drop(place, "runs once, with another image than the services that wait for it; run it by hand")
    elif not (found := container.words(project.services[name].get("command"))) or not all(found):
        project.drop(place, "runs once, with no command of its own; write one into `migrate`")
    else:
        draft.keys["migrate"] = found
        project.note(place, f"`migrate` of {draft.name}")


def _activation(project: Project, draft: Draft) -> None:
    """Let services without a page run for the live slot only."""
    if draft.public is not None:
        return
    called = {call.partition(".")[0] for other in project.drafts.values() for call in other.keys.get("calls", [])}
    if draft.ports or draft.name in called:
        return
    single = bool(_SINGLE.search(draft.source))
    draft.keys["activation"] = "singleton" if single else "live_only"
    why = "once in the environment" if single else "on each app host, for the live slot only"
    project.note(("services", draft.source), f"has no ports, so it runs {why} (`activation`)")


def _routes(project: Project) -> None:
    """Give the first service with a page the path `/`, unless the file says another one."""
    seen: set[str] = set()
    for draft in (draft for draft in project.drafts.values() if draft.public is not None):
        if not draft.paths:
            path = "/" if "/" not in seen else f"/{draft.name}"
            draft.paths = [{"path": path}]
            if path != "/":
                project.drop(
                    ("services", draft.source, "ports"), f"its public path isn't known: {path} is a guess (`routes`)"
                )
        draft.paths = [route for route in draft.paths if str(route) not in seen]
        seen |= {str(route) for route in draft.paths} | {str(route["path"]) for route in draft.paths}
        if draft.paths:
            draft.keys["routes"] = draft.paths


def _number_ports(project: Project, taken: set[int]) -> None:
    """Write the ports of all services, with another port on the host where two would have the same."""
    for draft in project.drafts.values():
        if draft.public is not None:
            old, draft.ports[draft.public] = draft.ports[draft.public], "http"
            _renamed(project, draft, old)
        found = {}
        for number, name in draft.ports.items():
            public = number == draft.public and draft.paths
            value: dict[str, Any] = {"container": number, "from": ["edge"] if public else []}
            if (host := host_port(number, taken)) is not None:
                value["host"] = host
            found[name] = value
        if found:
            draft.keys["ports"] = found


def _renamed(project: Project, draft: Draft, old: str) -> None:
    """Use the new name of a port, `http`, where the old one was written already."""
    if draft.keys.get("health", {}).get("port") == old:
        draft.keys["health"]["port"] = "http"
    for other in project.drafts.values():
        calls = other.keys.get("calls", [])
        calls[:] = [f"{draft.name}.http" if call == f"{draft.name}.{old}" else call for call in calls]


def _other_keys(project: Project, name: str) -> None:
    """Note the keys of a service that nothing above has looked at."""
    for key in project.services[name]:
        place = ("services", name, key)
        if key in DONE:
            project.note(place, DONE[key])
        elif key == "build" and project.image(name):
            project.note(place, "the image is named; push it to your registry")
        elif key in REFUSED:
            project.drop(place, REFUSED[key])
        elif key not in HANDLED and not key.startswith("x-"):
            project.drop(place, "no counterpart in service.yml")


def service_text(project: Project, draft: Draft) -> str:
    """Return the content of service.yml, with the keys in the order of the reference."""
    keys = {key: draft.keys[key] for key in SCHEMA["properties"] if key in draft.keys}
    body = "".join(
        yaml.safe_dump(
            {key: value}, sort_keys=False, width=116, allow_unicode=True, default_flow_style=_FLOW.get(key, False)
        )
        for key, value in keys.items()
    )
    source = f"{project.compose.path.name}, line {project.compose.line('services', draft.source)}"
    return f"# The service {draft.source} of {source}. All keys: docs/reference/services.md.\n{body}"


def checks_text(draft: Draft) -> str:
    """Return the content of checks.yml."""
    path = draft.keys["routes"][0]["path"]
    check = [{"name": f"The service {draft.name} answers", "url": path}]
    return f"# Write what a release must do before it serves: docs/smoke.md.\n{yaml.safe_dump(check, sort_keys=False)}"


def release_text(project: Project) -> str:
    """Return the content of the release file."""
    images = yaml.safe_dump({"images": project.images}, sort_keys=True, width=1000)
    return f"# The images of {project.compose.path.name}.\n{images}"


def problems(project: Project, groups: Mapping[str, list[str]]) -> list[str]:
    """Return what a run would refuse in the services as they are written, one line each."""
    found, made = [], {}
    for draft in project.drafts.values():
        found += [f"{draft.name}/service.yml: {line}" for line in structure_errors(draft.keys)]
        made[draft.name] = catalog.normalise(draft.name, draft.keys, str(Path("/nowhere", draft.name)))
    if not found:
        found += [f"{name}/service.yml: {line}" for name, line in service_checks.problems(made, groups)]
    return found
