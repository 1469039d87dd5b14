# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report of a drill: one self-contained HTML page, which fits on one sheet of paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from .drill import child, over
from .plot import NAMES, picture

Result = Mapping[str, Any]

STYLE = """
:root { --ink: #1b2430; --soft: #5c6979; --line: #dfe4ea; --blue: #3b74d4; --green: #2f9e6e; --bad: #c8323c;
        --good: #1f7a53; --amber: #f6e3b8; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 32px 20px; max-width: 1024px; background: #fff; color: var(--ink);
       font: 13.5px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
header { display: flex; justify-content: space-between; align-items: flex-start; gap: 24px;
         border-bottom: 2px solid var(--ink); padding-bottom: 12px; }
h1 { font-size: 23px; line-height: 1.2; margin: 0 0 4px; font-weight: 650; }
h2 { font-size: 12px; text-transform: uppercase; letter-spacing: .07em; color: var(--soft); margin: 20px 0 6px;
     font-weight: 600; }
p { margin: 0; } .soft { color: var(--soft); }
.verdict { flex: none; padding: 8px 20px; border-radius: 6px; color: #fff; font-size: 20px; font-weight: 700;
           letter-spacing: .05em; }
.verdict.pass { background: var(--good); } .verdict.fail { background: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(5, 1fr); gap: 10px; margin-top: 14px; }
.figures div { border: 1px solid var(--line); border-radius: 6px; padding: 9px 12px; }
.figures b { display: block; font-size: 21px; line-height: 1.25; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures .bad b { color: var(--bad); } .figures small { color: var(--soft); font-size: 11.5px; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: 12px; }
td.mark { width: 22px; font-weight: 700; color: var(--good); } tr.bad td { color: var(--bad); }
tr.bad td.mark { color: var(--bad); } td.time { white-space: nowrap; font-variant-numeric: tabular-nums; width: 56px; }
td.wide { overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: 3fr 2fr; gap: 32px; }
.legend { display: flex; gap: 16px; flex-wrap: wrap; color: var(--soft); font-size: 12px; margin-bottom: 2px; }
.legend i { display: inline-block; width: 14px; height: 9px; border-radius: 2px; margin-right: 5px; }
footer { margin-top: 18px; color: var(--soft); font-size: 12px; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
svg text { fill: var(--ink); } svg .name, svg .tick { text-anchor: end; fill: var(--soft); }
svg .time { text-anchor: middle; fill: var(--soft); } svg .none { fill: var(--soft); } svg text.on { fill: #fff; }
svg .run { fill: #46566b; } svg .run.refused { fill: #8a6d1d; } svg .run.killed { fill: var(--bad); }
svg .phase { stroke: #fff; stroke-opacity: .45; } svg .fault { fill: var(--bad); }
svg .blue { fill: var(--blue); } svg .green { fill: var(--green); } svg .lost { fill: var(--bad); }
svg .blue, svg .green, svg .lost { shape-rendering: crispEdges; }
svg .window { fill: var(--amber); opacity: .5; } svg line.broke { stroke: var(--bad); stroke-dasharray: 3 3; }
svg text.broke { fill: var(--bad); } svg .grid { stroke: var(--line); } svg .axis { stroke: var(--soft); }
svg polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; } svg .p50 { stroke: #1b2430; }
svg .p99 { stroke: #9a7bd0; }
@media screen and (max-width: 720px) { body { padding: 16px; } header { flex-direction: column; }
  .figures { grid-template-columns: repeat(2, 1fr); } .columns { grid-template-columns: 1fr; gap: 0; }
  .columns > section { min-width: 0; } section { overflow-x: auto; } svg { min-width: 720px; } }
@page { size: A4; margin: 11mm; }
@media print { body { padding: 0; max-width: none; zoom: .8; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } section, tr { break-inside: avoid; } }
"""


def page(result: Result) -> str:
    """Return the report of a drill's result (see `drill.judge`) as an HTML document."""
    title = f"{result['environment']}: cutover drill, {result['fault']}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            *_head(result),
            *_figures(result),
            "<section><h2>Timeline and latency</h2>",
            *_legend(result),
            picture(result),
            "</section>",
            '<div class="columns">',
            *_expectations(result),
            *_events(result),
            "</div>",
            *_lost(result),
            *_foot(result),
            "</body>\n</html>\n",
        ]
    )


def _time(at: float, form: str = "%H:%M:%S") -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _head(result: Result) -> Iterator[str]:
    releases = ", ".join(f"{slot} runs {name}" for slot, name in sorted(result["releases"].items()))
    yield f"<header><div><h1>{escape(result['environment'])}: {escape(result['fault'])}</h1>"
    yield f"<p>{escape(result['says'])}</p>"
    yield f'<p class="soft">{_time(result["began"], "%Y-%m-%d %H:%M:%S")} to {_time(result["ended"])} UTC; '
    yield f"{escape(result['before']['live'])} was live; {escape(releases)}</p></div>"
    yield f'<p class="verdict {result["verdict"]}">{"PASSED" if result["verdict"] == "pass" else "FAILED"}</p></header>'


def _seconds(result: Result, name: str) -> str:
    run = child(result, name)
    return f"{run['ended'] - run['began']:.1f} s" if run and run["ended"] else "none"


def _figures(result: Result) -> Iterator[str]:
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
    yield '<div class="figures">'
    for style, figure, words in tiles:
        yield f'<div class="{style}"><b>{escape(figure)}</b><small>{escape(words)}</small></div>'
    yield "</div>"


def _legend(result: Result) -> Iterator[str]:
    colours = [("var(--blue)", "response from blue"), ("var(--green)", "from green"), ("var(--bad)", "lost"),
               ("#1b2430", "median"), ("#9a7bd0", "p99")]  # fmt: skip
    if result["window"]:
        colours.append(("var(--amber)", "losses allowed"))
    yield '<div class="legend">'
    yield from (f'<span><i style="background:{colour}"></i>{words}</span>' for colour, words in colours)
    yield "</div>"


def _table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> Iterator[str]:
    """Yield a table. A row is (style, cells), a cell (style, text)."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    yield f"<table><tr>{names}</tr>" if names else "<table>"
    for style, cells in rows:
        inner = "".join(f'<td class="{kind}">{escape(text)}</td>' for kind, text in cells)
        yield f'<tr class="{style}">{inner}</tr>'
    yield "</table>"


def _expectations(result: Result) -> Iterator[str]:
    yield "<section><h2>Expected and found</h2>"
    yield from _table(
        ("", "", "expected", "found"),
        (
            (
                "" if one["ok"] else "bad",
                [("mark", "✓" if one["ok"] else "✗"), ("", one["what"]), ("", one["wanted"]), ("wide", one["found"])],
            )
            for one in result["expectations"]
        ),
    )
    yield "</section>"


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


def _events(result: Result) -> Iterator[str]:
    begin = min([second["at"] for second in result["seconds"][:1]] + [result["began"]])
    yield "<section><h2>Events</h2>"
    rows = (
        ("", [("time", f"{int(at - begin) // 60}:{int(at - begin) % 60:02}"), ("", what)])
        for at, what in events(result)
    )
    yield from _table((), rows)
    yield "</section>"


def _lost(result: Result) -> Iterator[str]:
    if not result["lost"]:
        return
    yield f"<section><h2>Lost requests, the first of {result['figures']['lost']:,}</h2>"
    rows = (
        (
            "",
            [
                ("", request["id"]),
                ("", request["kind"]),
                ("time", _time(request["sent_at"])),
                ("time", _time(over(request))),
                ("", request["outcome"]),
                ("wide", str(request.get("why", ""))[:140]),
            ],
        )
        for request in result["lost"]
    )
    yield from _table(("request", "kind", "sent", "ended", "outcome", "reason"), rows)
    yield "</section>"


def _foot(result: Result) -> Iterator[str]:
    kinds = ", ".join(f"{kind} {count['sent']}" for kind, count in result["figures"]["kinds"].items())
    yield f"<footer>Run {escape(str(result['run']))}. Requests by kind: {escape(kinds)}. A request starts "
    yield "when it was due. Latency excludes the delay that a request asks for. See also in this folder: result.json, "
    yield "requests.jsonl, and the output of the playbooks.</footer>"
