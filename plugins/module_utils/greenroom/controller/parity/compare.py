# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Two documents compared: every difference once, with all hosts that have it."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...snapshot.reading import ALL
from . import pairs
from .document import Document
from .kinds import KINDS
from .normal import Normal

MISSING = "missing"
"""Stands for the value of what one side does not have."""
UNREAD_HOST = "topology: host could not be read"
MUST_DIFFER = ("environment", "domain", "public name", "network")
"""Names of two environments that may not be equal. Others, such as the registry's, may."""
_ABSENT = {"items": {}, "unread": {ALL: "the snapshot has no such part; take it again"}}
_SET = re.compile(r"firewall: .* (set|map) ")
# What grows with a host. With declared sizes that differ, it is expected to.
_SCALED = ("memory in bytes", "processors", "MemoryMax", "MemoryHigh", "CPUQuotaPerSecUSec")


@dataclass
class Finding:
    """A difference of `what` (`<part>: <item>: <key>`): the values of both sides, and the pairs of hosts that have it.

    `verdict` is `different`, `equal` (of what must differ), or `unknown`, with the reason in `first` and `second`.
    """

    part: str
    what: str
    verdict: str
    first: Any
    second: Any
    hosts: list[str] = field(default_factory=list)


@dataclass
class Comparison:
    """All findings, how many items were compared by part, and pairs of hosts whose declared sizes differ."""

    findings: list[Finding]
    compared: Counter[str]
    sizes: list[str]


def compare(first: Document, second: Document) -> Comparison:
    """Compare two documents. Those of one environment at two times are drift: there, nothing must differ."""
    drift = first["environment"] == second["environment"]
    found: dict[tuple[str, str, str, str], Finding] = {}
    compared: Counter[str] = Counter()
    sizes = []
    ranks = (pairs.ranks(first), pairs.ranks(second))
    shared = set(ranks[0].values()) & set(ranks[1].values())
    normals = (Normal(first, second, ranks[0], shared), Normal(second, first, ranks[1], shared))
    matched = pairs.pairs(first, second)
    for here, there in matched:
        hosts = (first["hosts"][here], second["hosts"][there])
        scaled = bool(hosts[0]["size"] and hosts[1]["size"] and hosts[0]["size"] != hosts[1]["size"])
        if scaled:
            sizes.append(f"{_pair(here, there)}: {hosts[0]['size']} and {hosts[1]['size']}")
        sides = tuple(
            {part: normal.value(content, rank[name]) for part, content in host["parts"].items()}
            for normal, rank, name, host in zip(normals, ranks, (here, there), hosts, strict=True)
        )
        for finding in _hosts(hosts, (sides[0], sides[1]), drift, compared):
            if not (scaled and _is_scaled(finding)):
                key = (finding.what, finding.verdict, json.dumps(finding.first), json.dumps(finding.second))
                found.setdefault(key, finding).hosts.append(_pair(here, there))
    whole = [*_topology(first, second, matched)]
    if not drift:
        whole += [*_names(first, second), *_keys(first, second, compared)]
    return Comparison([*whole, *found.values()], compared, sizes)


def _pair(here: str, there: str) -> str:
    return here if here == there else f"{here} and {there}"


def _is_scaled(finding: Finding) -> bool:
    return finding.part == "size" or finding.what.rpartition(": ")[2] in _SCALED


def _hosts(
    hosts: tuple[Mapping[str, Any], Mapping[str, Any]],
    sides: tuple[Mapping[str, Any], Mapping[str, Any]],
    drift: bool,
    compared: Counter[str],
) -> Iterator[Finding]:
    """Yield the findings of a pair of hosts, whose values have common names already."""
    if hosts[0]["silent"] or hosts[1]["silent"]:
        yield Finding("topology", UNREAD_HOST, "unknown", hosts[0]["silent"], hosts[1]["silent"])
        return
    off = [host.get("clock off by", 0) for host in hosts]
    if any(off):
        said = [f"{seconds} s off the controller's" if seconds else "" for seconds in off]
        yield Finding("system", "system: clock", "unknown", said[0], said[1])
    for part in KINDS:
        if (KINDS[part].differs and not drift) or not any(part in side for side in sides):
            continue
        here, there = (side.get(part, _ABSENT) for side in sides)
        yield from _unread(part, here["unread"], there["unread"])
        unknown = {*here["unread"], *there["unread"]}
        for item in sorted(here["items"].keys() | there["items"].keys()):
            compared[part] += 1
            one, other = (side["items"].get(item, MISSING) for side in (here, there))
            # Whatever could not be read on one side is never taken for missing there.
            if MISSING in (one, other) and (ALL in unknown or item in unknown):
                continue
            for finding in _differences(part, f"{part}: {item}", one, other):
                if finding.what.removeprefix(f"{part}: ") not in unknown:
                    yield finding


def _unread(part: str, here: Mapping[str, str], there: Mapping[str, str]) -> Iterator[Finding]:
    for item in sorted(here.keys() | there.keys()):
        what = part if item == ALL else f"{part}: {item}"
        yield Finding(part, what, "unknown", here.get(item, ""), there.get(item, ""))


def _differences(part: str, what: str, here: Any, there: Any) -> Iterator[Finding]:
    if here == there:
        return
    if isinstance(here, dict) and isinstance(there, dict):
        for key in sorted(here.keys() | there.keys()):
            inner = what if key == "settings" else f"{what}: {key}"
            yield from _differences(part, inner, here.get(key, MISSING), there.get(key, MISSING))
    elif isinstance(here, list) and isinstance(there, list):
        # The elements of a firewall's set have no order.
        if not (_SET.match(what) and sorted(here) == sorted(there)):
            yield Finding(part, what, "different", *_only(here, there))
    else:
        yield Finding(part, what, "different", _short(here), _short(there))


def _short(value: Any) -> Any:
    """Return a value, or only that there is one: the content of a whole file or container is in the snapshot."""
    return "present" if isinstance(value, dict) else value


def _only(here: list[Any], there: list[Any]) -> tuple[Any, Any]:
    """Return what only one of two lists has; both lists if they differ by their order alone."""
    one, other = (Counter(json.dumps(entry) for entry in side) for side in (here, there))
    only = [[json.loads(entry) for entry in more.elements()] for more in (one - other, other - one)]
    return (only[0], only[1]) if any(only) else (here, there)


def _topology(first: Document, second: Document, matched: list[pairs.Pair]) -> Iterator[Finding]:
    sides = (first, second)
    hosts = [Counter(group for host in side["hosts"].values() for group in host["groups"]) for side in sides]
    for group in sorted(hosts[0].keys() | hosts[1].keys()):
        if hosts[0][group] != hosts[1][group]:
            yield Finding("topology", f"topology: hosts in {group}", "different", hosts[0][group], hosts[1][group])
    together = [{"+".join(host["groups"]) for host in side["hosts"].values()} for side in sides]
    for groups in sorted(together[0] ^ together[1]):
        values: list[Any] = ["on a host" if groups in side else "on no host" for side in together]
        yield Finding("topology", f"topology: {groups} together", "different", *values)
    for number, side in enumerate(sides):
        for host in pairs.alone(side, {pair[number] for pair in matched}):
            values = ["has no counterpart", ""] if number == 0 else ["", "has no counterpart"]
            yield Finding("topology", f"topology: host {host}", "unknown", values[0], values[1])


def _names(first: Document, second: Document) -> Iterator[Finding]:
    for name in MUST_DIFFER:
        for text in sorted({*first["names"].get(name, [])} & {*second["names"].get(name, [])}):
            yield Finding("names", f"names: {name}", "equal", text, text)
    here, there = (
        {host["address"]: name for name, host in side["hosts"].items() if host["address"]} for side in (first, second)
    )
    for address in sorted(here.keys() & there.keys()):
        yield Finding("names", "names: address", "equal", address, address, [_pair(here[address], there[address])])


def _keys(first: Document, second: Document, compared: Counter[str]) -> Iterator[Finding]:
    """Yield each key that both environments have, wherever it is: one that opens both, or a copied host."""
    here, there = (_places(side) for side in (first, second))
    compared["keys"] += len(here) + len(there)
    for key in sorted(here.keys() & there.keys()):
        hosts = sorted({_pair(host, host) for host, _item in here[key]})
        yield Finding("keys", f"keys: {here[key][0][1]}", "equal", key, key, hosts)


def _places(side: Document) -> dict[str, list[tuple[str, str]]]:
    """Return {fingerprint: [(host, item)]}."""
    found = defaultdict(list)
    for name, host in side["hosts"].items():
        for item, key in host["parts"].get("keys", {}).get("items", {}).items():
            found[key].append((name, item))
    return found
