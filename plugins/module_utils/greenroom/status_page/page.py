# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The status page as HTML, without JavaScript. Readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from ..history import runs as history

REFRESH_SECONDS = 30
STYLE = """
:root{color-scheme:light dark;--line:#8886;--good:#178a3a;--bad:#c62828;--busy:#a86400}
body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}
p{margin:.3rem 0}.dim{opacity:.75}
.state{border-left:.4rem solid var(--good);padding:.4rem .8rem;margin:1rem 0;font-size:1.1rem}
.state.bad{border-color:var(--bad)}.state.busy{border-color:var(--busy)}
.good{color:var(--good)}.bad{color:var(--bad)}.busy{color:var(--busy)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}
@media(min-width:40.01rem){td:first-child,td:last-child{white-space:nowrap}}
@media(max-width:40rem){
thead{position:absolute;left:-99rem}
tr{display:block;border-bottom:1px solid var(--line);padding:.4rem 0}
td{display:block;border:0;padding:.1rem 0;overflow-wrap:anywhere}
td[data-name]:not(:empty)::before{content:attr(data-name)": ";opacity:.75}}
"""
RESULTS = {"passed": "good", "failed": "bad", "crashed": "bad", "interrupted": "bad", "running": "busy"}


def page(status: Mapping[str, Any]) -> str:
    """Return the page of a status (`gather.Status`)."""
    now = datetime.strptime(status["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    name = escape(status["environment"])
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
        f"<title>{name}: {escape(_headline(status)[0])}</title><style>{STYLE}</style></head><body>",
        f'<h1>{name}</h1><p><a href="{escape(status["address"], quote=True)}">{escape(status["address"])}</a></p>',
        *_state(status, now),
        *_slots(status["slots"]),
        *_alerts(status["alerts"], now),
        *_runs(status["runs"], now),
        *_hosts(status["hosts"]),
        *_backups(status["backups"]),
        f'<p class="dim">As of {_moment(status["at"])}. This page reloads every {REFRESH_SECONDS} seconds.',
        "All times are in UTC.</p></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _headline(status: Mapping[str, Any]) -> tuple[str, str]:
    """Return the environment's state in a few words, and its class."""
    if not status["live"]:
        return ("state unknown" if status["problems"] else "no slot is live", "bad")
    if status["alerts"]:
        number = len(status["alerts"])
        return f"{status['live']} is live, {number} alert{'s' if number > 1 else ''}", "bad"
    if status["running"]:
        return f"{status['live']} is live, a run is in progress", "busy"
    return f"{status['live']} is live", "good"


def _state(status: Mapping[str, Any], now: datetime) -> Iterable[str]:
    words, kind = _headline(status)
    yield f'<div class="state {kind}"><p><strong>{escape(words[0].upper() + words[1:])}</strong></p>'
    for run in status["running"]:
        taken = history.seconds(run, now) or 0
        who = f"{run['playbook']} by {run['user']}@{run['host']}, for {_duration(taken)}"
        yield f"<p>Running: {escape(who)}{escape(': ' + run['reason'] if run['reason'] else '')}</p>"
    for problem in status["problems"]:
        yield f"<p>{escape(problem)}</p>"
    yield "</div>"


def _slots(slots: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    rows = [
        [
            _mark(slot["name"], "good" if slot["live"] else ""),
            _mark("live", "good") if slot["live"] else "idle",
            escape(slot["release"] or "unknown"),
            escape(", ".join(f"{route}: {number}" for route, number in slot["servers"].items())),
            "" if slot["requests"] is None else f"{slot['requests']:.1f}/s",
            "" if slot["errors"] is None else _mark(f"{slot['errors']:.1f} %", "bad" if slot["errors"] > 1 else ""),
        ]
        for slot in slots
    ]
    names = ["Slot", "State", "Release", "Servers that respond", "Requests", "Errors"]
    yield from _table("What is in this environment", names, rows, "")


def _alerts(alerts: Sequence[Mapping[str, Any]], now: datetime) -> Iterable[str]:
    rows = [
        [
            _mark(alert["name"], "bad" if alert["severity"] == "critical" else "busy"),
            escape(alert["severity"]),
            _moment(alert["since"]),
            escape(alert["summary"]),
            escape(", ".join(f"{key}: {value}" for key, value in sorted(alert["labels"].items()))),
        ]
        for alert in alerts
    ]
    yield from _table("Alerts", ["Alert", "Severity", "Since", "What", "Where"], rows, "None.")


def _runs(runs: Sequence[Mapping[str, Any]], now: datetime) -> Iterable[str]:
    rows = []
    for run in runs:
        taken = history.seconds(run, now)
        rows.append(
            [
                _moment(run["since"]),
                _mark(run["result"], RESULTS.get(run["result"], "")),
                escape(run["playbook"]),
                escape(f"{run['user']}@{run['host']}"),
                escape(history.words(run)),
                escape(run["reason"]),
                "" if taken is None else _duration(taken),
            ]
        )
    names = ["Begun", "Result", "Playbook", "Who", "What", "Why", "Took"]
    yield from _table("Who did what", names, rows, "No run is known yet.")


def _hosts(hosts: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    rows = [
        [
            escape(host["name"]),
            _mark("up", "good") if host["up"] else _mark("does not respond", "bad"),
            _percent(host["memory"]),
            _percent(host["disk"]),
            "" if host["certificate"] is None else f"{host['certificate']:.0f} days",
            _mark("reboot needed", "busy") if host["reboot"] else "",
        ]
        for host in hosts
    ]
    names = ["Host", "State", "Free memory", "Free disk", "Certificate lasts", "Updates"]
    yield from _table("Hosts", names, rows, "Unknown.")


def _backups(backups: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    rows = [[escape(one["what"]), f"{_duration(round(one['hours'] * 3600))} ago"] for one in backups]
    yield from _table("Backups", ["What", "Last complete one"], rows, "None is known.")


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> Iterable[str]:
    """Yield a table. The cells of `rows` are HTML; the first column needs no name on a phone."""
    yield f"<h2>{escape(title)}</h2>"
    if not rows:
        yield f"<p>{escape(nothing)}</p>"
        return
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    yield f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>'
    for row in rows:
        cells = [
            f'<td data-name="{escape(name, quote=True)}">{cell}</td>' if number else f"<td>{cell}</td>"
            for number, (name, cell) in enumerate(zip(names, row, strict=True))
        ]
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _mark(text: str, kind: str) -> str:
    return f'<strong class="{kind}">{escape(text)}</strong>' if kind else escape(text)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def _moment(time: str) -> str:
    return escape(time[:16].replace("T", " "))


def _duration(seconds: int) -> str:
    """Return a duration in its two largest units."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"
