# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Validate variables: misspelled names, missing values, and more than one environment in a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...common.names import nearest, suggestion
from .renamed_variables import RENAMED, TOGGLES

Declared = Mapping[str, Mapping[str, Mapping[str, Any]]]
HOST_GROUPS = frozenset({"edge", "app", "data", "ops"})
# Ansible's own variables, and those that AWX adds to each run.
FOREIGN_PREFIXES = ("_", "ansible_", "awx_", "tower_")
FOREIGN = frozenset(
    {"catalogue", "catalogue_path", "environment", "group_names", "groups", "hostvars", "inventory_dir"}
    | {"inventory_file", "inventory_hostname", "inventory_hostname_short", "omit", "play_hosts", "playbook_dir"}
    | {"provider_catalogue", "providers", "providers_path"}
    | {"releases_path", "role_name", "role_names", "role_path", "vars"}
)
# A run detects these. Set by hand, they could make it deploy into the live slot, or images that are no release.
FOUND_SLOTS = "slot_"
FOUND_RELEASE = "release"
# What playbooks say of themselves, and variables inside of roles. With -e, they could leave out the lock.
OWN = {
    "environment_needs": "can't be set with -e, each playbook has its own",
    "environment_dead_tolerated": "can't be set with -e, each playbook has its own",
}
INTERNAL = "__"
# How similar to a declared name a misspelling is. Options are few and typed by hand, so their limit is lower.
ALIKE = 0.85
ALIKE_OPTION = 0.7


def declared_options(argument_specs: object) -> dict[str, Any]:
    """Return {option: specification} of a role's meta/argument_specs.yml, for all entry points."""
    specs = argument_specs.get("argument_specs") if isinstance(argument_specs, Mapping) else None
    entries = specs.values() if isinstance(specs, Mapping) else ()
    return {name: option for entry in entries for name, option in (entry.get("options") or {}).items()}


def role_of(variable: str, roles: Iterable[str]) -> str | None:
    """Return the role that a variable belongs to by its prefix: the longest that matches, or None."""
    return max((role for role in roles if variable.startswith(f"{role}_")), key=len, default=None)


def name_problems(
    names: Iterable[str], declared: Declared, options: Iterable[str] = (), services: Iterable[str] = ()
) -> list[str]:
    """Return one line for each misspelled or renamed variable.

    `declared` = {role: {variable: specification}}; `options` are the names set with `-e`. A variable with a role's
    prefix must be declared by a role. One with the prefix of a service in `services` belongs to that service, unless it
    is similar to one of a role with that prefix. Any other variable must not be similar to a declared one.
    """
    prefixes = tuple(f"{service.replace('-', '_')}_" for service in services)
    known = {name for variables in declared.values() for name in variables}
    settable = {name for name in known if not is_found(name)}
    given = set(options)
    lines = []
    for name in sorted({*names, *given} - known - FOREIGN):
        if name.startswith(FOREIGN_PREFIXES):
            continue
        role = role_of(name, declared)
        if name in RENAMED:
            lines.append(f"{name}: this variable is called {RENAMED[name]} now")
        elif name in TOGGLES:
            example = f"environment_toggles: {{{TOGGLES[name]}: true}}"
            lines.append(f"{name}: this variable is a toggle now: set {example}")
        elif role is not None and name.startswith(prefixes) and not nearest(name, declared[role], ALIKE):
            continue  # a service that has the name of a role, such as `load`
        elif role is not None:
            own = declared[role] if nearest(name, declared[role]) else settable
            lines.append(f"{name}: role {role} has no such variable{suggestion(name, own)}")
        elif not name.startswith(prefixes) and nearest(name, settable, ALIKE_OPTION if name in given else ALIKE):
            lines.append(f"{name}: unknown variable{suggestion(name, settable)}")
    return lines


def is_found(name: str) -> bool:
    """Whether a run detects the value of a variable, so that operators can't set it."""
    return name.startswith(FOUND_SLOTS) or name == FOUND_RELEASE


def _is_own(name: str) -> bool:
    return name in OWN or name.startswith(INTERNAL)


def found_problems(options: Iterable[str]) -> list[str]:
    """Return one line for each of the `options` set with `-e` that operators can't set."""
    of_slots = "use -e to=<slot> to cut over, -e smoke_slot=<slot> to check a slot"
    of_release = "use -e release_name=<release> to deploy a release"
    own = {name: OWN.get(name, "can't be set, it is a role's own") for name in sorted(options) if _is_own(name)}
    return [f"{name}: {reason}" for name, reason in own.items()] + [
        f"{name}: can't be set, a run detects it; {of_release if name == FOUND_RELEASE else of_slots}"
        for name in sorted(options)
        if is_found(name)
    ]


def missing_problems(names: Iterable[str], declared: Declared) -> list[str]:
    """Return one line for each required variable that is not in `names`."""
    there = set(names)
    return [
        f"{name}: missing; role {role} needs it"
        for role, options in declared.items()
        for name, option in options.items()
        if option.get("required") and name not in there
    ]


def environment_problems(
    names: Mapping[str, object], groups: Mapping[str, Iterable[str]], children: Mapping[str, Iterable[str]]
) -> list[str]:
    """Return the reason why the inventory isn't exactly one environment, or an empty list.

    `names` = {host: its environment_name (None when it has none)}, `groups` = {group: [host]},
    `children` = {group: [child group]}.
    """
    nameless = sorted(host for host, name in names.items() if not name)
    if nameless:
        return [f"environment_name: missing for {', '.join(nameless)}; set it in the environment's inventory"]
    parents = {group for group, below in children.items() if len(HOST_GROUPS & set(below)) > 1} - {"all"}
    found = sorted({str(name) for name in names.values()} | parents)
    if len(found) > 1:
        return [f"more than one environment at once: {', '.join(found)}; pass the inventory of one environment only"]
    outside = sorted(host for host, name in names.items() if host not in set(groups.get(str(name), ())))
    if outside:
        return [f"environment_name: {found[0]}, but not in a group of that name: {', '.join(outside)}"]
    return []


def confirmation_problems(name: str, protected: bool, confirm: object) -> list[str]:
    """Return the reason why a run must not change environment `name`: a protected one needs its name in `confirm`."""
    if confirm not in (None, "", name):
        return [f'confirm: "{confirm}" is not the environment of this inventory, which is "{name}"']
    if protected and confirm != name:
        return [f"{name} is protected: add -e confirm={name}"]
    return []
