# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report of a drill: one self-contained HTML page, which fits on one sheet of paper.

This module prepares the page's words and numbers; `report.html.j2` is the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..common.pages import render
from .drill import child, over
from .plot import NAMES, timeline

Result = Mapping[str, Any]
Row = dict[str, Any]


def page(result: Result) -> str:
    """Return the report of a drill's result (see `drill.judge`) as an HTML document."""
    return render(Path(__file__).with_name("report.html.j2"), report=_report(result), timeline=timeline(result))


def _report(result: Result) -> dict[str, Any]:
    """Return what `report.html.j2` shows, besides the timeline."""
    figures = result["figures"]
    return {
        "title": f"{result['environment']}: cutover drill, {result['fault']}",
        "environment": result["environment"],
        "fault": result["fault"],
        "says": result["says"],
        "run": result["run"],
        "began": _time(result["began"], "%Y-%m-%d %H:%M:%S"),
        "ended": _time(result["ended"]),
        "live": result["before"]["live"],
        "releases": ", ".join(f"{slot} runs {name}" for slot, name in sorted(result["releases"].items())),
        "verdict": result["verdict"],
        "figures": _figures(result),
        "losses_allowed": bool(result["window"]),
        "expectations": [_expectation(one) for one in result["expectations"]],
        "events": _events(result),
        "lost": [_lost(request) for request in result["lost"]],
        "lost_total": f"{figures['lost']:,}",
        "kinds": ", ".join(f"{kind} {count['sent']}" for kind, count in figures["kinds"].items()),
    }


def _time(at: float, form: str = "%H:%M:%S") -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _seconds(result: Result, name: str) -> str:
    run = child(result, name)
    return f"{run['ended'] - run['began']:.1f} s" if run and run["ended"] else "none"


def _figures(result: Result) -> list[dict[str, str]]:
    numbers = result["figures"]
    most = numbers["lost_at_most_per_million"]
    if most is not None:
        lost = f"with 95 % confidence, fewer than {most:g} in a million"
    else:
        lost = f"{numbers['lost_outside']:,} of them when none is allowed" if result["window"] else "none is allowed"
    tiles = [
        ("", f"{numbers['sent']:,}", "requests sent"),
        ("bad" if numbers["lost_outside"] else "", f"{numbers['lost']:,}", f"lost; {lost}"),
        ("", f"{numbers['unserved_seconds']:g} s", "longest time without a response"),
        ("", f"{numbers['p50_ms']:g} / {numbers['p99_ms']:g} ms", "latency, median / p99"),
        ("", f"{_seconds(result, 'cutover')} / {_seconds(result, 'rollback')}", "duration of cutover / rollback"),
    ]
    return [{"style": style, "figure": figure, "words": words} for style, figure, words in tiles]


def _row(*cells: tuple[str, str], style: str = "") -> Row:
    """Return a row of a table; a cell is (style, text)."""
    return {"style": style, "cells": [{"style": kind, "text": text} for kind, text in cells]}


def _expectation(one: Mapping[str, Any]) -> Row:
    mark = ("mark", "✓" if one["ok"] else "✗")
    return _row(mark, ("", one["what"]), ("", one["wanted"]), ("wide", one["found"]), style="" if one["ok"] else "bad")


def events(result: Result) -> list[tuple[float, str]]:
    """Return the events of a drill as (time, text), in order."""
    found = [(second["at"], "first request sent") for second in result["seconds"][:1]]
    for run in result["children"]:
        name = NAMES.get(run["name"], run["name"])
        found.append((run["began"], f"{name} starts"))
        if run["ended"]:
            how = "done" if run["code"] == 0 else "killed" if run["code"] < 0 else "refused"
            found.append((run["ended"], f"{name}: {how}"))
    for fault in result["faults"]:
        units = f"{', '.join(fault['units'])} " if fault["units"] else ""
        found.append((fault["at"], f"{units}{fault['how']} on {fault['host']}"))
    if result["undone"] and any(fault["units"] and fault["how"] != "restarted" for fault in result["faults"]):
        found.append((result["undone"], "fault undone"))
    if result["lost"]:
        found.append((result["lost"][0]["sent_at"], "first lost request sent"))
    found += [(at, f"{slot} sends most responses") for at, slot in _changes(result)]
    return sorted(found)


def _changes(result: Result) -> Iterator[tuple[float, str]]:
    """Yield (time, slot) each time another slot begins to send most of the responses."""
    before = result["before"]["live"]
    for second in result["seconds"]:
        total = sum(second["slots"].values())
        for slot, count in second["slots"].items():
            if slot != before and count * 2 > total:
                before = slot
                yield second["at"], slot
                break


def _events(result: Result) -> list[Row]:
    begin = min([second["at"] for second in result["seconds"][:1]] + [result["began"]])
    passed = [(int(at - begin), what) for at, what in events(result)]
    return [_row(("time", f"{seconds // 60}:{seconds % 60:02}"), ("", what)) for seconds, what in passed]


def _lost(request: Mapping[str, Any]) -> Row:
    return _row(
        ("", request["id"]),
        ("", request["kind"]),
        ("time", _time(request["sent_at"])),
        ("time", _time(over(request))),
        ("", request["outcome"]),
        ("wide", str(request.get("why", ""))[:140]),
    )
