# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The verdict on a comparison: findings, what is allowed, and what nobody can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

from .allowances import Allowance, fingerprint
from .compare import MISSING, UNREAD_HOST, Comparison, Finding
from .document import Document
from .kinds import KINDS, SEVERITIES

Result = dict[str, Any]
_FINDING, _UNKNOWN, _EQUAL = "differs", "can't tell", "equal"


def judge(
    documents: tuple[Document, Document], compared: Comparison, allowances: Sequence[Allowance], today: date
) -> Result:
    """Return the result, as the JSON report has it.

    {verdict, sides: [{environment, taken, hosts}], findings, allowed, unknown, compared: {part: number}, sizes}. The
    three lists have {part, title, what, exactly, verdict, values, hosts, severity, command, repair, note}, the worst
    first. `verdict` is `differs` with a finding, otherwise `can't tell` with something unknown, otherwise `equal`.
    """
    by_name: dict[str, list[Allowance]] = defaultdict(list)
    for allowance in allowances:
        by_name[allowance.what].append(allowance)
    lists: dict[str, list[dict[str, Any]]] = {"findings": [], "allowed": [], "unknown": []}
    for finding in compared.findings:
        if finding.verdict == "unknown":
            lists["unknown"].append(_entry(finding, ""))
        else:
            allowed, note = _allowed(finding, by_name[finding.what], today)
            lists["allowed" if allowed else "findings"].append(_entry(finding, note))
    lists["findings"] += [_unused(one) for one in _without_use(allowances, compared)]
    for entries in lists.values():
        entries.sort(key=lambda entry: (SEVERITIES.index(entry["severity"]), entry["what"]))
    return {
        "verdict": _FINDING if lists["findings"] else _UNKNOWN if lists["unknown"] else _EQUAL,
        "sides": [
            {"environment": side["environment"], "taken": side["taken"], "hosts": len(side["hosts"])}
            for side in documents
        ],
        **lists,
        "compared": dict(compared.compared),
        "sizes": compared.sizes,
    }


def _allowed(finding: Finding, allowances: Sequence[Allowance], today: date) -> tuple[bool, str]:
    """Return whether a difference is allowed, and by whom it is or was."""
    values = fingerprint(finding.first, finding.second)
    fitting = [one for one in allowances if one.values in ("", values)]
    for one in fitting:
        if not one.expired(today):
            return True, f"{one.reason} ({one.owner}, until {one.expires})"
    if fitting:
        return False, f"was allowed until {fitting[0].expires} by {fitting[0].owner}"
    if allowances:
        return False, f"{allowances[0].owner} allowed it with other values"
    return False, ""


def _without_use(allowances: Sequence[Allowance], compared: Comparison) -> list[Allowance]:
    """Return allowances of what does not differ. What could not be read may differ."""
    unknown = {finding.what for finding in compared.findings if finding.verdict == "unknown"}
    if UNREAD_HOST in unknown:
        return []
    named = {finding.what for finding in compared.findings}
    return [one for one in allowances if one.what not in named and not any(map(one.what.startswith, unknown))]


def _entry(finding: Finding, note: str) -> dict[str, Any]:
    kind = KINDS[finding.part]
    item = finding.what.removeprefix(f"{finding.part}: ").partition(": ")[0]
    return {
        "part": finding.part,
        "title": kind.title,
        "what": finding.what,
        # As an allowance names it.
        "exactly": f"{finding.what} @{fingerprint(finding.first, finding.second)}",
        "verdict": finding.verdict,
        "values": [finding.first, finding.second],
        "hosts": finding.hosts,
        "severity": kind.severity,
        "command": kind.shows.replace("{item}", item),
        "repair": kind.repair,
        "note": note,
    }


def _unused(allowance: Allowance) -> dict[str, Any]:
    return {
        "part": "allowances",
        "title": "Allowances",
        "what": allowance.what,
        "exactly": allowance.what,
        "verdict": "unused",
        "values": [MISSING, MISSING],
        "hosts": [],
        "severity": "low",
        "command": "",
        "repair": "",
        "note": f"{allowance.owner} allowed it, but nothing differs; remove it from the list",
    }
