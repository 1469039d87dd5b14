# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The journals of all hosts as one: which command reads them, and their lines in the order of time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..common.ages import age

FIELDS = "SYSLOG_IDENTIFIER,MESSAGE,_SYSTEMD_UNIT"
REQUEST = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SLOTS = ("blue", "green")


def command(request: str, service: str, since: str, lines: int, services: Iterable[str]) -> list[str]:
    """Return the command that reads a host's journal: `lines` of it, of a request or a service ("" means all).

    `since` is an age such as 10m, 2h or 3d, a date, a time, `today` or `yesterday`. Raises ValueError for what isn't a
    request ID, a service or a time.
    """
    if request and not REQUEST.fullmatch(request):
        message = f'request: "{request}" is not a request ID; take it from the header X-Request-Id of the response'
        raise ValueError(message)
    known = sorted(services)
    if service and service not in known:
        raise ValueError(f'service: there is no service "{service}"; there are {", ".join(known)}')
    words = [
        *("journalctl", "--output=json", f"--output-fields={FIELDS}", "--no-pager", "--quiet"),
        *("--since", _since(since.strip())),
        *("--lines", str(lines)),
    ]
    if request:
        words += ["--case-sensitive", "--grep", re.escape(request)]
    # Scheduled jobs and one-time commands of a slot have units of their own, which begin with its name.
    words += [word for slot in SLOTS if service for word in ("--unit", f"*{service}-{slot}*")]
    return words


def merged(journals: Mapping[str, str], service: str, lines: int) -> list[str]:
    """Return the last `lines` lines of the journals, {host: its lines as JSON}: time (UTC), host, program, message."""
    entries = [
        (int(entry["__REALTIME_TIMESTAMP"]), host, entry)
        for host, text in journals.items()
        for entry in _entries(text)
        if _wanted(entry, service)
    ]
    # Entries of one host at the same time keep their order.
    found = sorted(entries, key=lambda one: one[:2])[-lines:]
    rows = [(_time(stamp), host, _program(entry), _message(entry)) for stamp, host, entry in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def _since(since: str) -> str:
    """Return a time as journalctl takes it."""
    if found := age(since):
        number, unit = found
        return f"{number} {unit} ago"
    if since in ("today", "yesterday"):
        return since
    try:
        return datetime.fromisoformat(since).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        message = f'since: "{since}" is not a time; use 10m, 2h, 3d, today, 2026-01-31 or 2026-01-31T08:00'
        raise ValueError(message) from None


def _entries(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "__REALTIME_TIMESTAMP" in entry:
            yield entry


def _wanted(entry: Mapping[str, Any], service: str) -> bool:
    # A pattern of units also finds those of services whose names end with this one's.
    unit = str(entry.get("_SYSTEMD_UNIT", ""))
    if service and not re.match(rf"(greenroom-)?{re.escape(service)}-({'|'.join(SLOTS)})\b", unit):
        return False
    # The search itself, which sudo has logged.
    return not (_program(entry) == "sudo" and "journalctl" in _message(entry)) and not _program(entry).startswith(
        "python"
    )


def _program(entry: Mapping[str, Any]) -> str:
    return str(entry.get("SYSLOG_IDENTIFIER") or entry.get("_SYSTEMD_UNIT") or "unknown")


def _message(entry: Mapping[str, Any]) -> str:
    """Return a message in one line. The journal has bytes that aren't UTF-8 as a list, and null for a large message."""
    message = entry.get("MESSAGE")
    if isinstance(message, Sequence) and not isinstance(message, str):
        message = bytes(message).decode(errors="backslashreplace")
    if message is None:
        return "(too long to show)"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(message).rstrip())


def _time(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
