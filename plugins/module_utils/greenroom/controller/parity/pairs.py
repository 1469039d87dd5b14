# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which host of one environment is compared with which host of the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from .document import Document

Pair = tuple[str, str]


def pairs(first: Document, second: Document) -> list[Pair]:
    """Return pairs of hosts with the same groups; a smaller environment's hosts are compared several times.

    Hosts of the same name belong together, others by their order. Without a host that has the same groups, one that
    shares most of them is taken. A host that shares none has no pair: `alone` names it.
    """
    here, there = _by_groups(first), _by_groups(second)
    found: dict[Pair, None] = {}
    for groups, hosts in here.items():
        found |= dict.fromkeys(_matched(hosts, there.get(groups) or _nearest(groups, there)))
    paired = {host for _first, host in found}
    for groups, hosts in there.items():
        left = [host for host in hosts if host not in paired]
        found |= dict.fromkeys((b, a) for a, b in _matched(left, here.get(groups) or _nearest(groups, here)))
    return list(found)


def alone(found: Document, paired: set[str]) -> list[str]:
    """Return the hosts that have no pair."""
    return [host for host in found["hosts"] if host not in paired]


def ranks(found: Document) -> dict[str, str]:
    """Return {host: its groups and its place among hosts with the same ones}, such as `app 2`."""
    return {
        host: f"{'+'.join(sorted(groups)) or 'host'} {number}"
        for groups, hosts in _by_groups(found).items()
        for number, host in enumerate(hosts, 1)
    }


def _by_groups(found: Document) -> dict[frozenset[str], list[str]]:
    hosts = defaultdict(list)
    for name, host in found["hosts"].items():
        hosts[frozenset(host["groups"])].append(name)
    return dict(hosts)


def _matched(hosts: list[str], others: list[str]) -> Iterator[Pair]:
    for number, host in enumerate(hosts):
        if host in others:
            yield host, host
        elif others:
            yield host, others[number % len(others)]


def _nearest(groups: frozenset[str], others: dict[frozenset[str], list[str]]) -> list[str]:
    best = max(others, key=lambda other: (len(groups & other), -len(groups ^ other)), default=frozenset())
    return others[best] if groups & best else []
