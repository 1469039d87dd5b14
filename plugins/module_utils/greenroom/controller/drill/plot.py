# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The timeline of a drill as an SVG picture: playbook runs, faults, responses by slot, latency and lost requests.

This module computes positions in the picture; `timeline.svg.j2` draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.pages import render

Result = Mapping[str, Any]
Shape = dict[str, Any]

WIDTH, LEFT, RIGHT = 960, 92, 14
LANE, GAP, TOP = 20, 7, 22
PLOT, LOST, AXIS = 150, 34, 26
TEXT = LANE / 2 + 4
"""Distance from the top of a lane to the baseline of its text."""
NAMES = {"cutover": "cutover", "early-rollback": "early rollback", "rollback": "rollback", "abort": "abort"}


def picture(result: Result) -> str:
    """Return the picture of a drill's result (see `drill.judge`) as a self-contained SVG element."""
    return render(Path(__file__).with_name("timeline.svg.j2"), timeline=timeline(result))


def timeline(result: Result) -> dict[str, Any]:
    """Return all positions and words in the picture, as `timeline.svg.j2` uses them; lengths are SVG units."""
    operator, fault, responses = (TOP + number * (LANE + GAP) for number in range(3))
    latency = responses + LANE + GAP + 16
    lost = latency + PLOT + 12
    bottom = lost + LOST
    scale = _Scale(result)
    return {
        "width": WIDTH,
        "height": bottom + AXIS,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "top": TOP,
        "bottom": bottom,
        "window": _window(result, scale, bottom),
        "broke": sorted(scale.x(fault["at"]) for fault in result["faults"]),
        "operator": _lane(operator) | {"runs": [_run(result, scale, run) for run in result["children"]]},
        "fault": _lane(fault) | {"bar": _fault(result, scale)},
        "responses": _lane(responses) | {"parts": list(_responses(result, scale, responses + LANE))},
        "latency": _latency(result, scale, latency),
        "lost": {"text": lost + TEXT, "parts": list(_lost(result, scale, bottom))},
        "axis": list(_axis(scale)),
    }


class _Scale:
    """The horizontal scale: times of a drill to positions."""

    def __init__(self, result: Result) -> None:
        seconds = result["seconds"]
        self.begin = float(min([second["at"] for second in seconds] + [math.floor(result["began"])]))
        last = float(max([second["at"] + 1 for second in seconds] + [math.ceil(result["ended"])]))
        self.length = max(1.0, last - self.begin)

    def x(self, at: float) -> float:
        part = min(1.0, max(0.0, (at - self.begin) / self.length))
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def second(self, at: float) -> Shape:
        """Return position and width of one second; the bars of neighbors overlap slightly, so that no gap shows."""
        x = self.x(at)
        return {"x": x, "width": round(self.x(at + 1) - x + 0.3, 1)}


def _lane(top: float) -> Shape:
    return {"top": top, "height": LANE, "text": top + TEXT}


def _window(result: Result, scale: _Scale, bottom: float) -> Shape | None:
    """Return the time in which losses are allowed."""
    if not result["window"]:
        return None
    began, ended = (scale.x(at) for at in result["window"])
    width = round(max(1, ended - began), 1)
    return {"style": "window", "x": began, "y": TOP - 6, "width": width, "height": bottom - TOP + 6}


def _bar(scale: _Scale, span: tuple[float, float], style: str, words: str, title: str) -> Shape:
    x, end = (scale.x(at) for at in span)
    width = max(2.0, end - x)
    # A label that is wider than its bar would overlap the next one.
    label = words if len(words) * 6.4 < width else ""
    return {"style": style, "x": x, "width": round(width, 1), "label": label, "title": title}


def _run(result: Result, scale: _Scale, run: Mapping[str, Any]) -> Shape:
    ended = run["ended"] or result["ended"]
    how = "" if run["code"] == 0 else " killed" if (run["code"] or -1) < 0 else " refused"
    words = f"{NAMES.get(run['name'], run['name'])}{how}"
    bar = _bar(scale, (run["began"], ended), f"run{how}", words, f"{words}: {ended - run['began']:.1f} s")
    return bar | {"phases": [{"x": scale.x(phase["at"]), "title": phase["what"]} for phase in run["phases"]]}


def _fault(result: Result, scale: _Scale) -> Shape | None:
    broken = result["faults"]
    if not broken:
        return None
    began = min(fault["at"] for fault in broken)
    short = all(fault["how"] == "restarted" or not fault["units"] for fault in broken)
    ended = max(fault["ended"] for fault in broken) if short else result["undone"] or result["ended"]
    hosts = sorted({fault["host"] for fault in broken})
    names = sorted({unit for fault in broken for unit in fault["units"]}) or hosts
    words = f"{', '.join(names)} {broken[0]['how']}"
    return _bar(scale, (began, ended), "fault", words, f"{words} on {', '.join(hosts)}: {ended - began:.1f} s")


def _responses(result: Result, scale: _Scale, bottom: float) -> Iterator[Shape]:
    """Yield the responses of each second by slot, stacked in the slots' colors."""
    for second in result["seconds"]:
        base = bottom
        slots = second["slots"]
        parts = {"blue": slots.get("blue", 0), "green": slots.get("green", 0), "lost": second["lost"]}
        for style, count in parts.items():
            height = LANE * count / second["sent"]
            if height:
                base -= height
                yield {"style": style, "y": round(base, 1), "height": round(height, 1), **scale.second(second["at"])}


def _latency(result: Result, scale: _Scale, top: float) -> Shape:
    """Return the median and p99 of each second on a logarithmic scale, from 1 ms."""
    worst = max([second["p99_ms"] for second in result["seconds"]] + [10.0])
    tens = max(2, math.ceil(math.log10(worst)))

    def y(milliseconds: float) -> float:
        return round(top + PLOT * (1 - math.log10(max(1.0, milliseconds)) / tens), 1)

    def level(power: int) -> Shape:
        words = f"{10**power} ms" if power < 3 else f"{10 ** (power - 3)} s"
        return {"y": y(10**power), "label": words if power < tens else ""}

    def points(run: Sequence[Mapping[str, Any]], key: str) -> str:
        return " ".join(f"{scale.x(second['at'] + 0.5)},{y(second[key])}" for second in run)

    lines = [(style, points(run, f"{style}_ms")) for style in ("p99", "p50") for run in _answered(result["seconds"])]
    return {
        "top": top,
        "levels": [level(power) for power in range(tens + 1)],
        "lines": [{"style": style, "points": text} for style, text in lines],
    }


def _answered(seconds: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the runs of seconds with responses: a line must not cross a gap."""
    run: list[Mapping[str, Any]] = []
    for second in seconds:
        if run and (second["at"] != run[-1]["at"] + 1 or not second["slots"]):
            yield run
            run = []
        if second["slots"]:
            run.append(second)
    if run:
        yield run


def _lost(result: Result, scale: _Scale, bottom: float) -> Iterator[Shape]:
    """Yield the lost requests of each second that has any."""
    most = max([second["lost"] for second in result["seconds"]], default=0)
    for second in result["seconds"]:
        if second["lost"]:
            height = max(3.0, LOST * second["lost"] / most)
            shape = {"style": "lost", "y": round(bottom - height, 1), "height": round(height, 1)}
            yield shape | scale.second(second["at"]) | {"title": f"{second['lost']} lost of {second['sent']}"}


def _axis(scale: _Scale) -> Iterator[Shape]:
    step = next((size for size in (5, 10, 15, 30, 60, 120, 300) if scale.length / size <= 14), 600)
    for offset in range(0, int(scale.length) + 1, step):
        yield {"x": scale.x(scale.begin + offset), "label": f"{offset // 60}:{offset % 60:02}"}
