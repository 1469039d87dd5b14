# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the status page shows, as plain data: from Prometheus, the history of the runs, and the lock's file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..history import runs as history
from ..lock.remote import Lock
from . import prometheus

Status = dict[str, Any]
"""What the page shows:

environment, address (its public URL), at (ISO time), live (slot or ""), slots ([slot]), alerts ([alert], as in
`prometheus.alerts`), running (the runs that hold the lock), runs (the last ones, the newest first), hosts ([host]),
backups ([{what, hours}]), problems (what the page can't tell, and lines of the history that were changed).
A slot is {name, live, release, servers ({route: number}), requests (per second), errors (percent)}, a host
{name, up, memory and disk (free, percent), reboot, certificate (days)}; what is unknown is None.
"""

SLOTS = ("blue", "green")


def gather(settings: Mapping[str, Any], server: prometheus.Prometheus, now: datetime | None = None) -> Status:
    """Return the status. `settings` = {environment, address, history, lock, expire_seconds, shown_runs}."""
    now = now or datetime.now(UTC)
    problems = []
    found: dict[str, list[prometheus.Sample]] = {}
    alerts: list[dict[str, Any]] = []
    try:
        found = {name: server.ask(query) for name, query in prometheus.QUERIES.items()}
        alerts = server.alerts()
    except prometheus.SilentError as silence:
        problems.append(str(silence))
    text = _text(f"{settings['history']}.1") + _text(settings["history"])
    lock = Lock(settings["lock"], {}, settings["expire_seconds"])
    holder = lock.holder()
    known = history.runs(text, [holder["id"]] if holder and lock.alive(holder) else [])
    if changed := history.changed_lines(text):
        lines = ", ".join(map(str, changed))
        problems.append(f"The history of the runs was changed, or a crash has left it incomplete, at line {lines}.")
    live = next((labels["slot"] for labels, _value in found.get("live", [])), "")
    return {
        "environment": settings["environment"],
        "address": settings["address"],
        "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "live": live,
        "slots": _slots(found, live, _releases(known)),
        "alerts": sorted(alerts, key=lambda alert: (alert["severity"] != "critical", alert["name"])),
        "running": [run for run in known if run["result"] == "running"],
        "runs": known[: settings["shown_runs"]],
        "hosts": _hosts(found),
        "backups": [
            {"what": labels["what"], "hours": (now.timestamp() - value) / 3600}
            for labels, value in sorted(found.get("backups", []), key=lambda sample: sample[0]["what"])
        ],
        "problems": problems,
    }


def _slots(
    found: Mapping[str, list[prometheus.Sample]], live: str, releases: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "name": slot,
            "live": slot == live,
            "release": releases.get(slot),
            "servers": {
                labels["route"]: int(value)
                for labels, value in sorted(found.get("servers", []), key=lambda sample: sample[0]["route"])
                if labels["slot"] == slot
            },
            "requests": (requests := _of(found, "requests", "slot", slot)),
            "errors": 100 * (_of(found, "errors", "slot", slot) or 0.0) / requests if requests else None,
        }
        for slot in SLOTS
    ]


def _releases(known: list[history.Run]) -> dict[str, str]:
    """Return {slot: its release}, as the last run that reported it said."""
    releases: dict[str, str] = {}
    for run in reversed(known):
        for line in ("live slot", "idle slot"):
            slot, _, release = str(run["summary"].get(line, "")).partition(", ")
            if slot in SLOTS and release:
                releases[slot] = release.removeprefix("release ")
    return releases


def _hosts(found: Mapping[str, list[prometheus.Sample]]) -> list[dict[str, Any]]:
    seconds = {labels["host"]: value for labels, value in found.get("certificates", []) if "host" in labels}
    reboot = {labels.get("host") for labels, _value in found.get("reboot", [])}
    return [
        {
            "name": labels["host"],
            "up": value == 1,
            "memory": _of(found, "memory", "host", labels["host"]),
            "disk": _of(found, "disk", "host", labels["host"]),
            "reboot": labels["host"] in reboot,
            "certificate": seconds[labels["host"]] / 86400 if labels["host"] in seconds else None,
        }
        for labels, value in sorted(found.get("up", []), key=lambda sample: sample[0].get("host", ""))
        if "host" in labels
    ]


def _of(found: Mapping[str, list[prometheus.Sample]], name: str, label: str, wanted: str) -> float | None:
    return next((value for labels, value in found.get(name, []) if labels.get(label) == wanted), None)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
