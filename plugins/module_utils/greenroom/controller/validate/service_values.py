# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with what containers get: commands, environment and configuration, rendered for each host and slot."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...switch.bluegreen import SLOTS
from ..bundle.arguments import argument_problem
from ..bundle.commands import COMMANDS
from ..bundle.environment_file import variable_problem, variable_text
from ..catalogue.job_schema import job_commands

Service = Mapping[str, Any]
Render = Callable[[Any], Any]
"""Returns a value, or the text of a file given by its path, rendered; raises ValueError with a reason."""

# A run finds these out after these checks.
FACTS = frozenset(
    {"environment_bundles", "environment_edge", "environment_lock_holder", "environment_notes", "environment_release"}
    | {"environment_run", "environment_schemas", "environment_silent", "environment_stops", "environment_undone"}
    | {"environment_slots_on", "environment_systems", "environment_unfinished", "environment_units"}
    | {"secrets_unreadable", "secrets_values"}
    | {"secrets_webhook", "secrets_webhook_unreadable"}
)
# The keys of a service that hold a command. The first two, and those of scheduled jobs, are in a unit.
IN_UNIT = ("entrypoint", "command")
JOBS = "schedule."
WORDS = (*IN_UNIT, *COMMANDS, "seed")
_UNDEFINED = re.compile(r"'(\w+)' is undefined")


def value_problems(
    services: Mapping[str, Service],
    groups: Mapping[str, Sequence[str]],
    declared: Collection[str],
    renderer: Callable[[str, Mapping[str, Any]], Render],
    refused: Callable[[str], str] = lambda _text: "",
) -> Iterator[str]:
    """Yield what is wrong with the values of services that fit the schema, one line each.

    `groups` = {group: [host]}. `declared` are the variables that roles declare: they may get their value later in the
    run. `renderer` returns what renders for a host, with more variables. `refused` says why a text must not be in this
    environment, "" if it may.
    """
    for service in services.values():
        hosts = groups.get(service["group"], ())
        where: dict[str, list[str]] = {}
        for host in hosts:
            found = [
                line for slot in SLOTS for line in _problems(service, slot, partial(renderer, host), declared, refused)
            ]
            for line in dict.fromkeys(found):
                where.setdefault(line, []).append(host)
        folder = Path(service["folder"])
        for line, on in where.items():
            some = "" if len(on) == len(hosts) else f" (on {', '.join(on)})"
            yield f"{folder.parent.name}/{folder.name}/{line}{some}"


def _problems(
    service: Service,
    slot: str,
    renderer: Callable[[Mapping[str, Any]], Render],
    declared: Collection[str],
    refused: Callable[[str], str],
) -> Iterator[str]:
    shown = {key: value for key, value in service.items() if key != "checks"}
    render = renderer({"slot": slot, "service": shown})
    for name, value in service["environment"].items():
        # Of what is from a provider, the check of providers reports the rest.
        own = value.get("default", "") if isinstance(value, Mapping) else value
        if reason := _reason(own, render, declared, partial(_variable_problem, name, refused)):
            yield f"service.yml: environment.{name}: {reason}"
    commands = {key: service[key] for key in WORDS} | {"health.command": (service["health"] or {}).get("command", ())}
    commands |= job_commands(service)
    for key, words in commands.items():
        for index, word in enumerate(words):
            if reason := _reason(word, render, declared, partial(argument_problem, in_unit=_in_unit(key))):
                yield f"service.yml: {key}[{index}]: {reason}"
    # The configuration may be that of another service, which has the same files.
    folder = Path(service["folder"]).parent / service["config_of"]
    for path in sorted(folder.glob("config/**/*")) if service["config_path"] else ():
        if reason := _file_reason(path, render, declared, refused):
            shared = "" if service["config_of"] == service["name"] else "service.yml: config_of: "
            yield f"{shared}{path.relative_to(folder)}: {reason}"


def _variable_problem(name: str, refused: Callable[[str], str], text: str) -> str:
    return variable_problem(name, text) or refused(text)


def _file_reason(path: Path, render: Render, declared: Collection[str], refused: Callable[[str], str]) -> str:
    """Return what is wrong with a file of a service's configuration; only a template is rendered."""
    if path.suffix == ".j2":
        return _reason(path, render, declared, refused)
    return refused(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else ""


def _in_unit(key: str) -> bool:
    return key in IN_UNIT or key.startswith(JOBS)


def _reason(value: Any, render: Render, declared: Collection[str], problem: Callable[[str], str]) -> str:
    """Return what is wrong with a value, "" if nothing is, or if only a later part of the run can render it."""
    try:
        found = render(value)
    except ValueError as error:
        undefined = _UNDEFINED.search(str(error))
        return "" if undefined and _is_later(undefined[1], declared) else str(error)
    if found is None or isinstance(found, (Mapping, list)):
        return "expected a string or a number, got " + ("nothing" if found is None else "a list or a mapping")
    return problem(variable_text(found))


def _is_later(name: str, declared: Collection[str]) -> bool:
    return name in FACTS or name in declared or name.startswith(("_", "ansible_", "slot_"))
