# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Public routes on which the candidate served nobody, where too few clients came to say that it is worse.

A client may be broken, so one or two that never get a regular response are no sign of a fault. If it is all of them,
and hardly any on the live slot, nobody has seen that the route works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .comparison import KNOWN_AGAIN, Interval, sums
from .edge_log import WHOLE
from .figures import Table, add, visits

CLIENTS = 3
"""So many clients must have been there, and so many served by the live slot.

Only those count that are known again: others may be one that tries often.
"""
UNLIKELY = 0.001
"""A route counts if so many clients without a regular response are at most so likely, judging by the live slot's."""


def unserved(windows: Iterable[Sequence[Interval]], everything: Sequence[Interval]) -> Iterator[str]:
    """Yield a line for each route on which the candidate has served nobody in one of the windows, for operators."""
    live = _clients(everything, "live")
    found: dict[str, str] = {}
    for window in windows:
        for route, clients in _clients(window, "candidate").items():
            own = sums((each["public"]["candidate"] for each in window), route)
            if own[0] - own[1] - own[2] or len(clients) < CLIENTS:
                continue
            others = live.get(route, {}).values()
            bad = sum(not _regular(counts) for counts in others)
            if len(others) - bad < CLIENTS:
                continue
            # Laplace's rule of succession: the part of bad clients, without being sure that there are none.
            if ((bad + 1) / (len(others) + 2)) ** len(clients) <= UNLIKELY:
                found[route] = (
                    f"nobody got a regular response to {route} (public, {own[0]} requests of {len(clients)} clients; "
                    f"live: {bad} of {len(others)} clients)"
                )
    # The catalog's routes are for paths without counts of their own.
    paths = [line for route, line in found.items() if not route.startswith(WHOLE)]
    yield from paths or found.values()


def _regular(counts: Sequence[int]) -> int:
    return counts[0] - counts[1] - counts[2]


def _clients(intervals: Iterable[Interval], side: str) -> dict[str, Table]:
    """Return the counts of each client that is known again, by route."""
    result: dict[str, Table] = {}
    for each in intervals:
        for route, clients in visits(each["public"][side]["visits"]).counts.items():
            for client, counts in clients.items() if route else ():
                if client[0] in KNOWN_AGAIN:
                    add(result.setdefault(route, {}), client, counts)
    return result
