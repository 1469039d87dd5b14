# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A result for people and for pipelines: lines for a terminal, an HTML page, and JUnit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..common.pages import render
from .kinds import KINDS
from .result import Result

_WIDTH = 60
"""Characters of a value in a terminal; the page and the JSON report have all of it."""
_ABOUT = {
    "equal": "Equal",
    "differs": "Differs",
    "can't tell": "Can't tell: something could not be read",
}


def lines(result: Result) -> list[str]:
    """Return a table for a terminal: what differs, the worst first, then what nobody can tell, then the sums."""
    return [line.rstrip() for line in _lines(result)]


def _lines(result: Result) -> Iterator[str]:
    first, second = (side["environment"] for side in result["sides"])
    if first == second:
        first, second = (side["taken"] for side in result["sides"])
    for entry in result["findings"]:
        yield f"{entry['severity']:<7} {entry['exactly']}{_on(entry)}"
        if entry["verdict"] == "equal":
            yield f"        both: {_shown(entry['values'][0])}, and it must differ"
        elif entry["verdict"] == "different":
            width = max(len(first), len(second))
            yield f"        {first:<{width}}  {_shown(entry['values'][0])}"
            yield f"        {second:<{width}}  {_shown(entry['values'][1])}"
        if entry["note"]:
            yield f"        {entry['note']}"
        if entry["command"]:
            yield f"        look: {entry['command']}" + (f"; repair: {entry['repair']}" if entry["repair"] else "")
    for entry in result["unknown"]:
        yield f"unknown {entry['what']}{_on(entry)}"
        for name, reason in zip((first, second), entry["values"], strict=True):
            if reason:
                yield f"        {name}: {reason}"
    yield from (f"sizes   {line}, as declared" for line in result["sizes"])
    yield summary(result)


def summary(result: Result) -> str:
    """Return the sums in one line."""
    sides = " and ".join(f"{side['environment']} ({side['taken']})" for side in result["sides"])
    return (
        f"{_ABOUT[result['verdict']]}. {sides}: {sum(result['compared'].values()):,} items compared, "
        f"{len(result['findings'])} differ, {len(result['allowed'])} allowed, {len(result['unknown'])} unknown"
    )


def _on(entry: dict[str, Any]) -> str:
    return f" (on {', '.join(entry['hosts'])})" if entry["hosts"] else ""


def _shown(value: Any, width: int = _WIDTH) -> str:
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    said = said or "(empty)"
    return said if len(said) <= width else f"{said[: width - 1]}…"


def page(result: Result) -> str:
    """Return the result as one HTML page, which needs no network and can be searched."""
    groups = {
        name: [
            {"title": title, "entries": [_row(entry) for entry in entries]}
            for title, entries in groupby(
                sorted(result[name], key=lambda entry: _order(entry["part"])), key=lambda entry: entry["title"]
            )
        ]
        for name in ("findings", "unknown", "allowed")
    }
    return render(
        Path(__file__).with_name("report.html.j2"),
        result=result,
        groups=groups,
        verdict=_ABOUT[result["verdict"]],
        summary=summary(result),
        parts=[{"title": KINDS[part].title, "number": f"{number:,}"} for part, number in result["compared"].items()],
    )


def _shown_whole(value: Any) -> str:
    return _shown(value, 4000)


def _order(part: str) -> int:
    names = list(KINDS)
    return names.index(part) if part in names else len(names)


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    # A list has a line for each entry.
    lines = [
        "\n".join(map(_shown_whole, value)) if isinstance(value, list) and value else _shown_whole(value)
        for value in entry["values"]
    ]
    return entry | {"shown": lines, "on": ", ".join(entry["hosts"])}


def junit(result: Result) -> str:
    """Return the result for a pipeline: a test for each part, one for each finding, error, and allowance."""
    entries = [("failure", entry) for entry in result["findings"]]
    entries += [("error", entry) for entry in result["unknown"]]
    entries += [("skipped", entry) for entry in result["allowed"]]
    named = {entry["part"] for _kind, entry in entries}
    suite = ElementTree.Element("testsuite", name="parity")
    for part in result["compared"]:
        if part not in named:
            ElementTree.SubElement(suite, "testcase", classname=f"parity.{part}", name=KINDS[part].title)
    for kind, entry in entries:
        case = ElementTree.SubElement(suite, "testcase", classname=f"parity.{entry['part']}", name=entry["what"])
        said = entry["note"] or f"{_shown(entry['values'][0])} | {_shown(entry['values'][1])}"
        ElementTree.SubElement(case, kind, message=said).text = f"{_on(entry).strip()} {entry['command']}".strip()
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(_number(entries, kind)))
    suite.set("tests", str(len(suite)))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _number(entries: Sequence[tuple[str, Any]], wanted: str) -> int:
    return sum(kind == wanted for kind, _entry in entries)
