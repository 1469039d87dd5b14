# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a slot's processes say of themselves on their metrics pages, read at the begin and at the end of a slice.

What is read is {metric, memory, started, release}, each None where the page doesn't have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .statistics import trend

HORIZON = 10
"""A rise is followed ten times as far into the future as it was seen."""

Reading = dict[str, Any]
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)", re.M)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def read(page: str, metric: str) -> Reading:
    """Return what a metrics page says; a metric with labels counts with the sum of them all."""
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


def compared(target: Mapping[str, Any], begin: Reading | None, end: Reading | None) -> dict[str, Any]:
    """Return what became of one process during a slice; a reading of None is a page that did not answer.

    {service, host, metric: how many more, memory: bytes at the end, limit: bytes that it may use, problems: [what is
    wrong], unread: [what was not to be had]}.
    """
    where = f"{target['service']} on {target['host']}"
    result: dict[str, Any] = {
        "service": target["service"],
        "host": target["host"],
        "metric": None,
        "memory": end and end["memory"],
        "limit": target["memory"],
        "problems": [],
        "unread": [],
    }
    if begin is None or end is None:
        result["unread"].append(f"the metrics of {where}")
        return result
    if begin["started"] != end["started"]:
        result["problems"].append(f"{where} was restarted")
    elif target["metric"]:
        if begin["metric"] is None or end["metric"] is None:
            result["unread"].append(f"{target['metric']} of {where}")
        else:
            result["metric"] = end["metric"] - begin["metric"]
    if end["release"] not in (None, target["release"]):
        result["problems"].append(f"{where} runs release {end['release']}, not {target['release']}")
    return result


def metric(watched: Iterable[Mapping[str, Any]]) -> float:
    """Return how far the business metric of a slot rose, all its processes together."""
    return float(sum(each["metric"] or 0 for each in watched))


def growth(samples: Sequence[float]) -> float:
    """Return how many bytes the later half of the samples rose."""
    late = samples[len(samples) // 2 :]
    return late[-1] - late[0] if late else 0.0


def leaking(samples: Sequence[float], limit: float, chance: float) -> float | None:
    """Return after how many more spans of observation the memory's limit is met, None while nothing says so.

    `samples` are bytes at regular times. A process that has just begun fills its caches: the first half is not looked
    at, and growth has to be steady (by chance no more often than `chance`) and must not get less.
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
