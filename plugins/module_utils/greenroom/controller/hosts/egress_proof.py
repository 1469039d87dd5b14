# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether anything left the environment: what the attempts of hosts and the planted recipients say together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LISTED = "198.19.200.10"
"""The address of the listed recipient; all others are foreign."""
PHASES = {"guarded": "a", "open": "b", "again": "c"}
"""With the guard, without its rules, with the rules back: the last character of a token's place."""
_TOKEN = re.compile(r"GR(\d+)x([0-9a-f]{8})([abc])z (\S+)")


def tries(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> list[dict[str, Any]]:
    """Return what attempts.py printed on each host; it is the same in each phase, apart from what was refused."""
    return [json.loads(hostvars[host]["egress_proof_guarded"]["stdout"]) for host in hosts]


def result(found: Sequence[Mapping[str, Any]], arrived: str, opened: bool) -> dict[str, Any]:
    """Return {passed, opened, checks, wrong, lines, places, routes} of a proof.

    `found` is what `tries` returns, `arrived` the recipient's file, `opened` whether attempts were made without the
    guard's rules, too. `checks` = [{good, text}], `wrong` = [text], `lines` are both for a terminal, `places` =
    [{number, name}], `routes` = [{name, cells, arrived: {guarded, open}, tried}] with a cell of `_cell` for each place.
    """
    routes: list[str] = list(found[0]["routes"])
    places = {place: name for each in found for place, name in each["places"].items()}
    impossible = {(route, place) for each in found for route, place in each["impossible"]}
    every = [(route, place) for route in routes for place in places if (route, place) not in impossible]
    foreign: dict[str, set[tuple[str, str]]] = {phase: set() for phase in PHASES}
    listed = set()
    for number, place, phase, address in _TOKEN.findall(arrived):
        name = next(name for name, letter in PHASES.items() if letter == phase)
        if address != LISTED:
            foreign[name].add((routes[int(number)], place))
        elif name == "guarded":
            listed.add(place)
    checks = list(_checks(every, foreign, places.keys() - listed, sum(each["refused"] for each in found), opened))
    escaped = foreign["guarded"] | foreign["again"]
    silent = [each for each in every if opened and each not in foreign["open"]]
    wrong = [
        *(f"Escaped: {route}, from {places[place]}" for route, place in sorted(escaped)),
        *(f"Did not arrive without the rules: {route}, from {places[place]}" for route, place in silent),
        *(f"Did not reach the listed name: {name}" for place, name in places.items() if place not in listed),
    ]
    lines = [f"{'ok    ' if check['good'] else 'FAILED'} {check['text']}" for check in checks]
    if not opened:
        lines.append("Not tried without the guard's rules (egress_proof_open), so nothing shows that attempts work.")
    known = {"escaped": escaped, "open": foreign["open"] if opened else None}
    impossible_in = {route: [(route, place) in impossible for place in places] for route in routes}
    return {
        "passed": all(check["good"] for check in checks),
        "opened": opened,
        "checks": checks,
        "wrong": wrong,
        "lines": [*lines, *wrong],
        "places": [{"number": number, "name": name} for number, name in enumerate(places.values(), 1)],
        "routes": [_route(route, impossible_in[route], places, known) for route in routes],
    }


def _checks(
    every: Sequence[tuple[str, str]],
    foreign: Mapping[str, set[tuple[str, str]]],
    unlisted: Iterable[str],
    refused: int,
    opened: bool,
) -> Iterator[dict[str, Any]]:
    number, missing = len(every), len(list(unlisted))
    escapes = len(foreign["guarded"])
    yield _check(not escapes, f"With the guard, {escapes} of {number} attempts reached a recipient that is not listed")
    yield _check(not missing, f"{missing or 'No'} place{'s' * (missing != 1)} failed to reach the listed name")
    yield _check(refused > 0, f"The firewalls of the hosts refused and counted {refused} packets")
    if opened:
        came = len(foreign["open"].intersection(every))
        yield _check(came == number, f"Without the guard's rules, {came} of {number} attempts arrived")
        again = len(foreign["again"])
        yield _check(not again, f"With the rules back, {again} of {number} attempts arrived")


def _check(good: bool, text: str) -> dict[str, Any]:
    return {"good": good, "text": text}


def _route(
    name: str, impossible: Sequence[bool], places: Iterable[str], known: Mapping[str, set[tuple[str, str]] | None]
) -> dict[str, Any]:
    """Return a route with {guarded, open, style} for each place: what became of the attempt with and without rules."""
    cells = []
    for place, not_possible in zip(places, impossible, strict=True):
        which = (name, place)
        escaped, open_ = which in (known["escaped"] or ()), known["open"]
        without = "" if open_ is None else "arrived" if which in open_ else "lost"
        if not_possible:
            cells.append({"guarded": "", "open": "", "style": "none"})
        else:
            style = "bad" if escaped or without == "lost" else "good"
            cells.append({"guarded": "arrived" if escaped else "refused", "open": without, "style": style})
    arrived = {phase: sum(cell[phase] == "arrived" for cell in cells) for phase in ("guarded", "open")}
    return {"name": name, "cells": cells, "arrived": arrived, "tried": sum(cell["style"] != "none" for cell in cells)}
