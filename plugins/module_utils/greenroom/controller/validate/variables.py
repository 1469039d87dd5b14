# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the variables of the hosts, measured by what the roles declare."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import variable_names
from .meanings import meaning_problems

# Keys of an option's specification that describe it, or that apply when it has no value.
NOT_TYPES = {"description", "default", "required", "version_added", "deprecated"}

TypeErrors = Callable[[str, Mapping[str, Any], Any], Collection[str]]
"""Returns Ansible's messages about a variable of this name, with this specification and this value."""


@dataclass(frozen=True)
class HostVariables:
    """The variables of one host.

    `raw` has the values as written. `rendered` returns a value by its name, None where it refers to something that
    only a later task sets. It raises ValueError with a reason if the value can't be rendered at all.
    """

    raw: Mapping[str, Any]
    rendered: Callable[[str], Any]


def load_declared(roles: Path, load: Callable[[Path], Any]) -> dict[str, dict[str, Any]]:
    """Return {role: {variable: specification}}; `load` returns the content of a YAML file."""
    return {
        path.parts[-3]: variable_names.declared_options(load(path))
        for path in sorted(roles.glob("*/meta/argument_specs.yml"))
    }


def variable_problems(
    hosts: Iterable[HostVariables],
    declared: variable_names.Declared,
    extra: Mapping[str, Any],
    services: Collection[str],
    type_errors: TypeErrors,
    *,
    groups: Collection[str],
) -> Iterator[str]:
    """Yield what is wrong with the variables of all hosts, one line each; the same line may come more than once.

    `declared` = {role: {variable: specification}}, `extra` are the variables of `-e`, `services` the names of all
    services, `groups` those of all groups.
    """
    yield from variable_names.found_problems(extra)
    types = {
        name: types_of(spec)
        for options in declared.values()
        for name, spec in options.items()
        if not (name in extra and variable_names.is_found(name))
    }
    checked: dict[str, Any] = {}
    for host in hosts:
        yield from variable_names.name_problems(host.raw, declared, extra, services)
        yield from variable_names.missing_problems(host.raw, declared)
        for name in sorted(types.keys() & set(host.raw)):
            # Most values are shared by all hosts: check each once.
            if checked.get(name) is not host.raw[name]:
                checked[name] = host.raw[name]
                yield from _problems(name, types[name], host, groups, type_errors)


def _problems(
    name: str, spec: Mapping[str, Any], host: HostVariables, groups: Collection[str], type_errors: TypeErrors
) -> Iterator[str]:
    try:
        value = host.rendered(name)
    except ValueError as error:
        yield f"{name}: {error}"
        return
    lines = list(type_problems(name, spec, value, type_errors))
    yield from lines or meaning_problems(name, value, groups)


def type_problems(name: str, spec: Mapping[str, Any], value: Any, type_errors: TypeErrors) -> Iterator[str]:
    """Yield how a value is not what its specification says; None is always allowed."""
    if value is None:
        return
    kind = spec.get("type", "str")
    if kind in ("str", "path") and isinstance(value, (Mapping, list)):
        yield f"{name}: expected a string, got {type(value).__name__.removeprefix('_AnsibleTagged').lower()}"
        return
    errors = type_errors(name, spec, value)
    yield from (f"{name}: {line}" for line in errors)
    if not errors and kind in ("list", "dict") and isinstance(value, str):
        # Ansible parses a string for the check only; roles get the string.
        yield f"""{name}: expected a {kind}, got a string; with -e, pass JSON: -e '{{"{name}": ...}}'"""


def types_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an option's specification that applies to a value."""
    kept = {key: value for key, value in spec.items() if key not in NOT_TYPES}
    if isinstance(kept.get("options"), Mapping):
        kept["options"] = {
            name: types_of(option) | {"required": option.get("required", False)}
            for name, option in kept["options"].items()
        }
    return kept
