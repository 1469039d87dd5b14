# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The figures of a slot's requests: counts by route and client, and latencies, from edge hosts' logs or from probes.

Figures are plain data of limited size that Ansible transfers as JSON:

    {requests, failed, refused, routes: {route: [requests, failed, refused]}, latency: {bucket: how many}, visits}

`failed` counts responses with status 500 and above, and broken connections; `refused` counts those with status 400 to
499. A WebSocket has no latency, because it stays open. `visits` says who sent the requests (`Visits`), as text, because
Ansible looks at each value of the data that it handles. It is empty if nobody is known, as for probes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from . import statistics

Figures = dict[str, Any]
Table = dict[str, list[int]]
"""Numbers of each client, or of each route."""


@dataclass(frozen=True)
class Visits:
    """The requests of each client.

    `counts` = {route: {client: [requests, failed, refused]}}, where the route "" stands for all. `times` = {client:
    [number of latencies, sum of their buckets, the largest bucket]}.
    """

    counts: dict[str, Table] = field(default_factory=dict)
    times: Table = field(default_factory=dict)

    def note(self, client: str, routes: Iterable[str], counts: Sequence[int], bucket: str) -> None:
        """Add one request; `bucket` is that of its latency, empty without one."""
        for route in ("", *routes):
            add(self.counts.setdefault(route, {}), client, counts)
        if bucket:
            add_times(self.times, client, (1, int(bucket), int(bucket)))

    def include(self, other: Visits, into: Mapping[str, str] | None = None) -> None:
        """Add the visits of others; each route in `into` counts as another route."""
        for route, clients in other.counts.items():
            own = self.counts.setdefault((into or {}).get(route, route), {})
            for client, counts in clients.items():
                add(own, client, counts)
        for client, times in other.times.items():
            add_times(self.times, client, times)

    def text(self) -> str:
        """Return the visits as in figures."""
        return json.dumps([self.counts, self.times], separators=(",", ":")) if self.counts else ""


def empty() -> Figures:
    """Return the figures of no requests."""
    return {"requests": 0, "failed": 0, "refused": 0, "routes": {}, "latency": {}, "visits": ""}


def note(
    figures: Figures, route: str, status: int, milliseconds: float | None, failed: bool = False, *, also: str = ""
) -> tuple[list[int], str]:
    """Add one request, which counts for `route` and for the route `also`, if there is one.

    `status` is 0 without a response, `milliseconds` is None without a latency. Returns [requests, failed, refused] of
    this request and the bucket of its latency, empty without one.
    """
    failed = failed or status >= 500
    counts = [1, int(failed), int(400 <= status < 500 and not failed)]
    for name, count in zip(("requests", "failed", "refused"), counts, strict=True):
        figures[name] += count
    for each in (route, also) if also else (route,):
        add(figures["routes"], each, counts)
    if milliseconds is None or status == 101:
        return counts, ""
    key = statistics.bucket(milliseconds)
    figures["latency"][key] = figures["latency"].get(key, 0) + 1
    return counts, key


def merged(several: Iterable[Figures]) -> Figures:
    """Return the sum of several figures, such as those of several hosts."""
    result = totals(everyone := list(several))
    known = [figures["visits"] for figures in everyone if figures["visits"]]
    if len(known) > 1:
        together = Visits()
        for text in known:
            together.include(visits(text))
        known = [together.text()]
    return {**result, "visits": "".join(known)}


def totals(several: Iterable[Figures]) -> Figures:
    """Return the sum of several figures without their visits."""
    result = empty()
    everyone = list(several)
    for figures in everyone:
        for name in ("requests", "failed", "refused"):
            result[name] += figures[name]
        for route, counts in figures["routes"].items():
            add(result["routes"], route, counts)
    result["latency"] = statistics.added([figures["latency"] for figures in everyone])
    return result


@lru_cache(128)
def visits(text: str) -> Visits:
    """Return the visits that figures contain, not to be changed."""
    return Visits(*json.loads(text)) if text else Visits()


def counts_of(figures: Figures, route: str) -> list[int]:
    """Return [requests, failed, refused] of a route; an empty route means all."""
    if route:
        return list(figures["routes"].get(route, (0, 0, 0)))
    return [figures[name] for name in ("requests", "failed", "refused")]


def summary(figures: Figures) -> dict[str, Any]:
    """Return the figures for operators: {requests, failed, refused, p50, p99} (milliseconds, None without data)."""
    quantiles = {
        name: None if (value := statistics.quantile(figures["latency"], share)) is None else round(value)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {name: figures[name] for name in ("requests", "failed", "refused")} | quantiles


def add(table: Table, key: str, counts: Sequence[int]) -> None:
    """Add counts to those of a route or client."""
    own = table.get(key)
    if own is None:
        table[key] = [*counts]
    else:
        # Most requests are neither failed nor refused.
        for index, count in enumerate(counts):
            if count:
                own[index] += count


def add_times(table: Table, client: str, times: Sequence[int]) -> None:
    """Add latencies to those of a client."""
    own = table.get(client)
    if own is None:
        table[client] = [*times]
    else:
        own[0] += times[0]
        own[1] += times[1]
        own[2] = max(own[2], times[2])
