# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Validate a service's checks.yml before any host is changed. Each problem is one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from ...common.names import suggestion
from ...smoke.checks import validate
from ...smoke.options import CHECK
from .smoke_checks import check_hosts, checks

LATER = "${later}"
"""Placeholder for a value that is known only later in the run."""
PLACES = ("ops", "app")
"""Groups that checks run from. The first is the default of `on`."""
# The keys of a check in the file: the module's options, `on` and `each`.
FILE: dict[str, Any] = {
    **CHECK,
    "on": {"type": "str", "choices": list(PLACES)},
    "each": {"type": "list", "elements": "dict"},
}
_SINGLE = ("bool", "int", "float")
_WORDS = {"y", "yes", "on", "1", "true", "t", "n", "no", "off", "0", "false", "f"}


def _number(kind: Callable[[str], Any]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        try:
            kind(str(value))
        except ValueError:
            return False
        return not isinstance(value, bool)

    return fits


# Like Ansible, accept `"401"` as a number, and a single value as a list.
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (lambda value: not isinstance(value, (Mapping, list)), "a string"),
    "int": (_number(int), "an integer"),
    "float": (_number(float), "a number"),
    "bool": (lambda value: str(value).lower() in _WORDS, "true or false"),
    "dict": (lambda value: isinstance(value, Mapping), "a mapping"),
    "list": (lambda value: True, "a list"),
    "raw": (lambda value: True, "anything"),
}


def file_problems(content: Any) -> list[str]:
    """Return the problems of a rendered checks.yml. LATER replaces values that can't be rendered yet.

    Each line is `[<index>].<key>: <problem>`, or names the check.
    """
    if content is None:
        return []
    if not isinstance(content, list):
        return ["expected a list of checks"]
    lines = []
    for index, check in enumerate(content):
        found = list(_problems(check, {"type": "dict", "options": FILE}, f"[{index}]"))
        if check is None or (not found and "each" in check and check["each"] is None):
            found = [f"[{index}]{'' if check is None else '.each'}: empty"]
        lines += found or validate([_known(check)])
    return lines


def _known(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check without LATER values, except in string options."""
    known = {key: value for key, value in check.items() if value != LATER or FILE[key]["type"] == "str"}
    return {**known, "steps": [_known(step) for step in known["steps"]]} if known.get("steps") else known


def expanded(content: Any) -> list[dict[str, Any]]:
    """Return the checks of a valid file as they run: with `on`, and repeated for each item of `each`."""
    known = [{**check, "each": [{}]} if check.get("each") == LATER else check for check in content or []]
    return checks({"": {"checks": known}})


def _problems(value: Any, spec: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield the problems of `value` under an argument specification."""
    if value is None or value == LATER or (isinstance(value, str) and spec["type"] in _SINGLE and "${" in value):
        return
    fits, kind = _TYPES[spec["type"]]
    if not fits(value):
        shown = f'"{value}"' if isinstance(value, str) else value
        yield f"{where}: expected {kind}, got {shown}"
    elif "choices" in spec and value not in spec["choices"]:
        yield f'{where}: unknown value "{value}"{suggestion(str(value), spec["choices"])}'
    elif spec["type"] == "list":
        element = {"type": spec["elements"], **({"options": spec["options"]} if "options" in spec else {})}
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            yield from _problems(item, element, f"{where}[{index}]")
    elif "options" in spec:
        yield from _keys(value, spec["options"], where)


def _keys(value: Mapping[Any, Any], options: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, item in value.items():
        if key is True:
            yield f'{where}: YAML reads a bare `on` as true; write `"on"`'
        elif key not in options:
            yield f"{where}.{key}: unknown key{suggestion(str(key), options)}"
        else:
            yield from _problems(item, options[key], f"{where}.{key}")
    for key, option in options.items():
        if option.get("required") and value.get(key) is None:
            yield f"{where}.{key}: missing"


def run_problems(
    checks_of: Mapping[str, Sequence[Mapping[str, Any]]],
    routed: Collection[str],
    groups: Mapping[str, Collection[str]],
    mutating: bool,
) -> Iterator[str]:
    """Yield the problems of all checks together: duplicate names, and a run without any check.

    `checks_of` = {service: result of `expanded`}, `groups` = {group: [host]}. `routed` are the services with routes.
    `mutating` is whether checks that change data run in this environment.
    """
    everything = [check for found in checks_of.values() for check in found]
    for name, times in Counter(str(check["name"]) for check in everything).items():
        if times > 1 and LATER not in name:
            yield f"check '{name}': the name is used twice"
    for place in PLACES:
        waiting = sum(check["on"] == place for check in everything)
        if waiting and not check_hosts(place, groups):
            yield f'{waiting} smoke checks run from the group "{place}", which has no hosts'
    if routed and not any(mutating or not check.get("mutates") for check in everything):
        kind = "" if mutating else " that changes no data"
        yield (
            f"no service has a smoke check{kind}, so a broken release would go live; add at least one to "
            f"{sorted(routed)[0]}/checks.yml"
        )
