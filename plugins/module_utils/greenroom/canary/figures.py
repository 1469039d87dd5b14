# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The figures of a slot's requests: counts and a histogram of latencies, from the edge hosts' logs or from probes.

Figures are plain data of limited size that Ansible transfers as JSON: {requests, failed, refused, routes: {route:
[requests, failed, refused]}, latency: {bucket: how many}}. `failed` counts responses with status 500 and above, and
broken connections; `refused` counts those with status 400 to 499. A WebSocket has no latency, because it stays open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from . import statistics

Figures = dict[str, Any]
ROUTES = 24
"""How many routes have their own counts; further ones count as `OTHER`, because clients may request any path."""
OTHER = "other"
NO_SERVER = "<NOSRV>"
NOWHERE = "nowhere"
"""The edge's backend for paths without a route in the slot. A slot that lacks a route refuses its requests there."""
CHOSEN = ("live", "share", "instead")
"""How the slot of a public request was chosen. Testers choose their slot, and their requests don't count."""
INSTEAD = "instead"
"""The candidate had no healthy server, so the live slot served: counts as a failure of the candidate."""
OTHER_SLOT = {"blue": "green", "green": "blue"}


def empty() -> Figures:
    """Return the figures of no requests."""
    return {"requests": 0, "failed": 0, "refused": 0, "routes": {}, "latency": {}}


def note(figures: Figures, route: str, status: int, milliseconds: float | None, failed: bool = False) -> None:
    """Add one request; `status` is 0 without a response, `milliseconds` is None without a latency."""
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
    """Return the sum of several figures, such as those of several hosts or intervals."""
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
    """Add a line of an edge host's log to the figures of the slot that served; returns the slot, None if it is skipped.

    Skips responses of the edge itself (redirects, passwords, rate limits), testers' requests, and clients that closed
    the connection. A client that left before its response began counts, with the time that it waited.
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
    # S and s: the server refused the connection, closed it or timed out. D: the server went down meanwhile.
    broken = end[0] in "SsD" and status != 101
    if server == NO_SERVER and not broken and entry.get("backend") != NOWHERE:
        return None
    left = end[0] in "Cc"
    if left and end[1] != "H":
        return None
    note(slots[slot], route, max(0, status), milliseconds if milliseconds >= 0 else None, broken)
    return str(slot)


def summary(figures: Figures) -> dict[str, Any]:
    """Return the figures for operators: {requests, failed, refused, p50, p99} (milliseconds, None without data)."""
    quantiles = {
        name: None if (value := statistics.quantile(figures["latency"], share)) is None else round(value)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {name: figures[name] for name in ("requests", "failed", "refused")} | quantiles
