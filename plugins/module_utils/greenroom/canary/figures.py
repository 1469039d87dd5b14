# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is known of a slot's requests: counts and a histogram, from the edge's log or from probes.

Figures are plain data of bounded size that goes through Ansible as JSON: {requests, failed, refused, routes: {route:
[requests, failed, refused]}, latency: {bucket: how many}}. `failed` are answers of 500 and above and connections that
broke; `refused` are those of 400 to 499. A WebSocket has no latency: it lasts as long as it is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from . import statistics

Figures = dict[str, Any]
ROUTES = 24
"""How many routes are told apart; later ones count as `OTHER`. Paths are the public's: there may be any number."""
OTHER = "other"
NO_SERVER = "<NOSRV>"
CHOSEN = ("live", "share", "instead")
"""How the slot of a public request was chosen. Testers' requests name theirs, and are no part of the comparison."""
INSTEAD = "instead"
"""The candidate had no healthy server, and the live slot served: the candidate failed, though nobody noticed."""
OTHER_SLOT = {"blue": "green", "green": "blue"}


def empty() -> Figures:
    """Return the figures of no requests."""
    return {"requests": 0, "failed": 0, "refused": 0, "routes": {}, "latency": {}}


def note(figures: Figures, route: str, status: int, milliseconds: float | None, failed: bool = False) -> None:
    """Add one request; a `status` of 0 is none, `milliseconds` of None no latency."""
    failed = failed or status >= 500
    counts = (1, int(failed), int(400 <= status < 500 and not failed))
    routes = figures["routes"]
    if route not in routes and len(routes) >= ROUTES:
        route = OTHER
    own = routes.setdefault(route, [0, 0, 0])
    for index, (name, count) in enumerate(zip(("requests", "failed", "refused"), counts, strict=True)):
        figures[name] += count
        own[index] += count
    if milliseconds is not None and status != 101:
        key = statistics.bucket(milliseconds)
        figures["latency"][key] = figures["latency"].get(key, 0) + 1


def merged(several: Iterable[Figures]) -> Figures:
    """Return the figures of several hosts or times as one."""
    result = empty()
    everyone = list(several)
    for figures in everyone:
        for name in ("requests", "failed", "refused"):
            result[name] += figures[name]
        for route, counts in figures["routes"].items():
            name = route if route in result["routes"] or len(result["routes"]) < ROUTES else OTHER
            own = result["routes"].get(name, [0, 0, 0])
            result["routes"][name] = [a + b for a, b in zip(own, counts, strict=True)]
    result["latency"] = statistics.added([figures["latency"] for figures in everyone])
    return result


def take(line: str, slots: Mapping[str, Figures]) -> str | None:
    """Add a line of the edge's log to the figures of the slot that served; returns that slot, None for another line.

    Left out: what the edge answered itself (redirects, refusals, limits), testers' requests, and clients that went away
    for reasons of their own. Who left while still waiting for an answer counts with the time that was waited.
    """
    try:
        entry = json.loads(line)
        slot, status = entry["slot"], int(entry["status"])
        end, server = entry["termination"], entry["server"]
        route = f"{entry['method']} /{entry['path'].split('/', 2)[1]}"
        milliseconds = float(entry["ms"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    if slot not in slots or entry.get("chosen") not in CHOSEN or len(end) != 2:
        return None
    if entry["chosen"] == INSTEAD:
        slot = OTHER_SLOT[slot]
        note(slots[slot], route, 0, None, failed=True)
        return str(slot)
    # S and s: the server refused, broke off or was too slow. D: it was found down meanwhile.
    broken = end[0] in "SsD" and status != 101
    if server == NO_SERVER and not broken:
        return None
    left = end[0] in "Cc"
    if left and end[1] != "H":
        return None
    note(slots[slot], route, max(0, status), milliseconds if milliseconds >= 0 else None, broken)
    return str(slot)


def summary(figures: Figures) -> dict[str, Any]:
    """Return what a person wants to see: {requests, failed, refused, p50, p99} (milliseconds, None without any)."""
    quantiles = {
        name: None if (value := statistics.quantile(figures["latency"], share)) is None else round(value)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {name: figures[name] for name in ("requests", "failed", "refused")} | quantiles
