# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which hosts a run reboots, in which order, and which of them would take the site down."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...common.names import suggestion

# Groups whose only host serves everybody.
SERVING = ("edge", "app", "data")
NEEDED, ALL = "needed", "all"


def plan(
    wanted: str | Sequence[str],
    reasons: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]],
    holders: Collection[str] = (),
    last: str = "",
) -> dict[str, Any]:
    """Return {hosts, unknown, alone}.

    `wanted` is `needed`, `all` or names of hosts, as a list or with commas; `reasons` = {host: why it needs a reboot}.
    `hosts` are in the order of the reboots: first the edge hosts that don't have the shared address, so that it moves
    once (`holders` have it), and at the end the host that keeps the lock, `last`. `unknown` are problems with names,
    `alone` are hosts without which an environment serves nobody.
    """
    known = list(groups["all"])
    unknown: list[str] = []
    if wanted in (NEEDED, ALL):
        names = [host for host in known if wanted == ALL or reasons.get(host)]
    else:
        given = wanted.split(",") if isinstance(wanted, str) else wanted
        names = [name for name in (str(each).strip() for each in given) if name]
        unknown = [
            f'reboot_hosts: there is no host "{name}"{suggestion(name, [*known, NEEDED, ALL])}'
            for name in names
            if name not in known
        ]
    place = {host: number for number, host in enumerate(_in_order(groups))}
    hosts = sorted(set(names) & set(known), key=lambda host: (host == last, host in holders, place[host]))
    edges = [host for host in hosts if host in groups.get("edge", ()) and host != last]
    rest = [host for host in hosts if host not in edges]
    alone = [host for host in hosts if any(list(groups.get(group, ())) == [host] for group in SERVING)]
    return {"hosts": edges + rest, "unknown": unknown, "alone": alone}


def _in_order(groups: Mapping[str, Sequence[str]]) -> dict[str, None]:
    """Return all hosts, those of serving groups first."""
    return dict.fromkeys(host for group in (*SERVING, "all") for host in groups.get(group, ()))


def lines(hosts: Sequence[str], reasons: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each host with why it needs a reboot."""
    return [f"{host}: {'; '.join(reasons.get(host) or ['no need, but you asked for it'])}" for host in hosts]


def failures(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each edge host that did not do what a loop asked of it; `results` are those of the loop."""
    return [
        f"{result['item']}: {'it is unreachable' if result.get('unreachable') else result.get('msg')}"
        for result in results
        if result.get("unreachable") or result.get("failed")
    ]
