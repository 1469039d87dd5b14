# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The metrics pages of a slot's processes, read at the beginning and the end of an interval.

A reading is {metric, memory, started, release}; values that the page doesn't have are None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .statistics import trend

HORIZON = 10
"""How far to extrapolate the growth of memory, as a multiple of the observed time."""

Reading = dict[str, Any]
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)", re.M)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def read(page: str, metric: str) -> Reading:
    """Return the reading of a metrics page; a metric with labels counts as the sum over all labels."""
    values: dict[str, float] = {}
    release = None
    for name, labels, value in _LINE.findall(page):
        try:
            values[name] = values.get(name, 0.0) + float(value)
        except ValueError:
            continue
        if name.endswith("_build_info"):
            release = dict(_LABEL.findall(labels)).get("release", release)
    return {
        "metric": values.get(metric) if metric else None,
        "memory": values.get("process_resident_memory_bytes"),
        "started": values.get("process_start_time_seconds"),
        "release": release,
    }


def row(service: str, host: str, **known: Any) -> dict[str, Any]:
    """Return what an interval shows of one process, with `known` instead of the defaults.

    {service, host, metric: the increase of the business metric, memory: bytes at the end, limit: bytes that it may use,
    problems: [what is wrong], unread: [what could not be read]}. Missing figures are None.
    """
    nothing: dict[str, Any] = {"metric": None, "memory": None, "limit": 0, "problems": [], "unread": []}
    return {"service": service, "host": host, **nothing, **known}


def compared(target: Mapping[str, Any], begin: Reading | None, end: Reading | None) -> dict[str, Any]:
    """Return the row of one process (`row`); a reading is None if the page did not respond."""
    where = f"{target['service']} on {target['host']}"
    if begin is None or end is None:
        return row(target["service"], target["host"], limit=target["memory"], unread=[f"the metrics of {where}"])
    known: dict[str, Any] = {"memory": end["memory"], "limit": target["memory"], "problems": [], "unread": []}
    # Many programs don't say when they started. systemd knows (`units`).
    restarted = None not in (begin["started"], end["started"]) and begin["started"] != end["started"]
    if restarted:
        known["problems"].append(f"{where} was restarted")
    if target["metric"]:
        if begin["metric"] is None or end["metric"] is None:
            known["unread"].append(f"{target['metric']} of {where}")
        else:
            # A new process counts from 0. What the old one counted at last is lost, so this is the least.
            since = 0.0 if restarted or end["metric"] < begin["metric"] else begin["metric"]
            known["metric"] = end["metric"] - since
    if end["release"] not in (None, target["release"]):
        known["problems"].append(f"{where} runs release {end['release']}, not {target['release']}")
    return row(target["service"], target["host"], **known)


def complete(watched: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a slot's processes were all read. Without one of them, the sum of the business metric is too small."""
    rows = list(watched)
    return bool(rows) and not any(each["unread"] for each in rows)


def metric(watched: Iterable[Mapping[str, Any]]) -> float:
    """Return the increase of a slot's business metric, summed over its processes."""
    return float(sum(each["metric"] or 0 for each in watched))


def growth(samples: Sequence[float]) -> float:
    """Return the increase over the later half of the samples, in bytes."""
    late = samples[len(samples) // 2 :]
    return late[-1] - late[0] if late else 0.0


def leaking(samples: Sequence[float], limit: float, chance: float) -> float | None:
    """Return after how many more spans as long as the observed one memory reaches its limit; None without a leak.

    `samples` are bytes at regular intervals. The first half doesn't count, because a new process fills its caches.
    The growth must be steady (the probability that it is random is at most `chance`) and must not slow down.
    """
    late = samples[len(samples) // 2 :]
    if len(late) < 6 or not limit or trend(late) > chance:
        return None
    third = len(late) // 3
    first, last = late[third] - late[0], late[-1] - late[-1 - third]
    rise = 2 * growth(samples)
    if last < first / 2 or rise <= 0:
        return None
    spans = (limit - late[-1]) / rise
    return spans if spans <= HORIZON else None
