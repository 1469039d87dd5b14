# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who called whom, how often, what was refused, and what is left of the budgets, from the guard and the firewalls."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PASSED = "none"
"""The reason of a call that was not refused."""
NOBODY = "-"
REASONS = {
    "name": "not listed",
    "service": "not a service of the target",
    "address": "no allowed address",
    "budget": "budget spent",
    "method": "no proxy",
    NOBODY: "not understood",
}
# A listed name without an IPv6 address is NODATA.
_QUERY = re.compile(r" (?:config|cached) (\S+) is NXDOMAIN")
_ASKED = re.compile(r"\d+ (\S+)/\d+ (?:config|cached) ")
_KEY = re.compile(r"key=(\S+):(\d+) .*\bgpc0=(\d+)")


def summary(
    guard: Mapping[str, Any], firewalls: Mapping[str, str], wanted: Sequence[Any], addresses: Iterable[Sequence[str]]
) -> dict[str, Any]:
    """Return {calls, refused, names, firewall, budgets}, each a list of mappings that is sorted by its numbers.

    `guard` has its lines (`journal`), those of its DNS server (`names`), its counts of calls as its socket shows them
    (`counts`), and its time in these (`now` = {minute, day}). `firewalls` = {host: its rules, as JSON of nft}, `wanted`
    are the targets, `addresses` = [(address, host)].
    """
    hosts = {str(address): str(host) for address, host in addresses}
    calls: Counter[tuple[str, str, str]] = Counter()
    refused: Counter[tuple[str, str, str, str]] = Counter()
    for line in _lines(guard["journal"]):
        host = hosts.get(line["from"], line["from"])
        if line["reason"] == PASSED:
            calls[host, line["caller"], line["target"]] += 1
        else:
            to = f"{line['name']}:{line['port']}"
            refused[host, line["caller"], to, REASONS.get(line["reason"], line["reason"])] += 1
    return {
        "calls": _counted(calls, ("host", "caller", "target")),
        "refused": _counted(refused, ("host", "caller", "to", "reason")),
        "names": _counted(_names(guard["names"], hosts), ("host", "name")),
        "firewall": _counted(_packets(firewalls, hosts), ("host", "from", "to")),
        "budgets": _budgets(guard["counts"], guard["now"], wanted),
    }


def firewalls(hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str]) -> dict[str, str]:
    """Return {host: rules as JSON} of the hosts whose firewall was read."""
    found = {host: hostvars[host].get("egress_report_firewall", {}).get("stdout", "") for host in hosts}
    return {host: text for host, text in found.items() if text}


def _lines(journal: str) -> Iterable[dict[str, Any]]:
    for line in journal.splitlines():
        if line.startswith('{"reason"'):
            yield json.loads(line)


def _counted(counter: Counter[Any], keys: Sequence[str]) -> list[dict[str, Any]]:
    ordered = sorted(counter.items(), key=lambda each: (-each[1], each[0]))
    return [dict(zip(keys, key, strict=True)) | {"times": times} for key, times in ordered]


def _names(lines: str, hosts: Mapping[str, str]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for line in lines.splitlines():
        name, asked = _QUERY.search(line), _ASKED.search(line)
        if name and asked:
            found[hosts.get(asked[1], asked[1]), name[1]] += 1
    return found


def _packets(firewalls: Mapping[str, str], hosts: Mapping[str, str]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for host, text in firewalls.items():
        sets = [each["set"] for each in json.loads(text or '{"nftables": []}')["nftables"] if "set" in each]
        for element in (one["elem"] for each in sets for one in each.get("elem", [])):
            source, target, *kind = map(str, element["val"]["concat"])
            where = f"{kind[0]} {target}" + (f":{kind[1]}" if kind[1:] else "")
            found[host, hosts.get(source, source), where] += element["counter"]["packets"]
    return found


def _budgets(counts: str, now: Mapping[str, int], wanted: Sequence[Any]) -> list[dict[str, Any]]:
    used = {(key[1], int(key[2])): int(key[3]) for key in map(_KEY.search, counts.splitlines()) if key}
    return [
        {"target": target["name"], "period": period, "budget": budget, "left": max(0, budget - spent)}
        for target in wanted
        for period, budget in target["budget"].items()
        for spent in [used.get((target["name"], now[period]), 0)]
    ]


def table(found: Mapping[str, Sequence[Mapping[str, Any]]], most: int = 20) -> list[str]:
    """Return the lines that a run prints of `summary`, with the `most` frequent ones of each part."""
    titles = {
        "budgets": ("Budgets", "{target}: {left} of {budget} calls left in this {period}"),
        "calls": ("Calls that passed", "{times} x {caller} on {host}: {target}"),
        "refused": ("Calls that the guard refused", "{times} x {caller} on {host}: {to} ({reason})"),
        "names": ("Names that it did not resolve", "{times} x {host}: {name}"),
        "firewall": ("Packets that firewalls refused", "{times} x {from} on {host}: {to}"),
    }
    lines = []
    for part, (title, text) in titles.items():
        rows = found[part]
        lines.append(f"{title}:" if rows else f"{title}: none")
        lines += [f"  {text.format(**row)}" for row in rows[:most]]
        if len(rows) > most:
            lines.append(f"  and {len(rows) - most} more (egress_report_file has all)")
    return lines
