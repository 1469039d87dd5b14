# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What systemd says about the units of both slots, read at the beginning and the end of an interval, and by the status.

systemd knows each service's restarts, also those of services without a metrics page. A reading is {state, restarts,
started}; `restarts` and `started` (microseconds since the host booted) are None if systemd doesn't say them. With
`details`, it has also `result` (of the process that ended last) and `since` (when the unit became active, UTC).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from .metrics_page import row

PROPERTIES = ("Id", "ActiveState", "SubState", "NRestarts", "ExecMainStartTimestampMonotonic")
"""The properties to ask `systemctl show` for."""
_DETAILS = (*PROPERTIES, "Result", "ActiveEnterTimestamp")

Reading = dict[str, Any]
_RUNS = ("active", "reloading")


def command(names: Iterable[str], *, details: bool = False) -> list[str]:
    """Return the command that shows the state of units, for `read`."""
    options = (
        ["--timestamp=unix", f"--property={','.join(_DETAILS)}"] if details else [f"--property={','.join(PROPERTIES)}"]
    )
    return ["systemctl", "show", *options, *names]


def read(text: str) -> dict[str, Reading]:
    """Return {unit: reading} from the output of `systemctl show`, which has a paragraph for each unit."""
    found = {}
    for paragraph in text.split("\n\n"):
        said = dict(line.partition("=")[::2] for line in paragraph.splitlines())
        if said.get("Id") and said.get("ActiveState"):
            found[said["Id"]] = {
                "state": f"{said['ActiveState']} ({said.get('SubState', '')})",
                "restarts": _number(said.get("NRestarts")),
                # systemd says 0 for a unit that never had a process.
                "started": _number(said.get("ExecMainStartTimestampMonotonic")) or None,
                **({"result": said["Result"]} if said.get("Result") else {}),
                **({"since": _time(said["ActiveEnterTimestamp"])} if said.get("ActiveEnterTimestamp") else {}),
            }
    return found


def compared(wanted: Mapping[str, Any], begin: Reading | None, end: Reading | None) -> dict[str, Any]:
    """Return the row of a unit that must run (`metrics_page.row`); a reading is None if systemd did not respond.

    `wanted` = {service, host, unit}.
    """
    what = f"{wanted['unit']} on {wanted['host']}"
    problems, unread = [], []
    if end and not end["state"].startswith(_RUNS):
        problems.append(f"{what} is {end['state']}, not running")
    elif begin and end and begin["started"] and end["started"]:
        if begin["started"] != end["started"]:
            problems.append(f"{what} was restarted{_times(begin, end)}")
    else:
        unread.append(f"the state of {what}")
    return row(wanted["service"], wanted["host"], problems=problems, unread=unread)


def _times(begin: Reading, end: Reading) -> str:
    """Return how often systemd restarted a unit. A restart by hand begins the count again."""
    number = (end["restarts"] or 0) - (begin["restarts"] or 0)
    return f" {number} times" if number > 1 else ""


def _time(text: str) -> str:
    """Return systemd's time (`@` and seconds) in UTC as ISO 8601; as it is in any other form."""
    seconds = _number(text.removeprefix("@"))
    return text if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
