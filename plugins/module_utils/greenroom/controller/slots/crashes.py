# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Services of both slots that crash-loop or restart often, as systemd tells it when `playbooks/status.yml` asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...canary import units
from ..bundle.units import slot_units

OFTEN = 3
"""From so many automatic restarts on, a service that runs is named. A start by hand begins the count again."""

RECENTLY = 60.0
"""Seconds. A service that has restarted often and started so recently is in a crash loop, although it runs."""
_UPTIME = re.compile(r"^(\d+\.\d+) \d+\.\d+$", re.M)

Readings = Mapping[str, Mapping[str, units.Reading]]
"""{app host: {unit: reading}} of the hosts that were asked and answered; {} if systemd did not respond there."""


def command(bundles: Mapping[str, Any], host: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the command that shows the units of both slots on a host, [] if it has none."""
    names = [unit for _, bundle in sorted(bundles.items()) for unit in slot_units(bundle, host, groups)]
    return units.command(names, details=True) if names else []


def readings(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, dict[str, units.Reading]]:
    """Return the readings of the hosts that were asked, from the registered results of `command`."""
    found = {host: hostvars[host].get("status_units") or {"skipped": True} for host in hosts}
    return {
        host: units.read(result.get("stdout") or "")
        for host, result in found.items()
        if not result.get("skipped") and not result.get("unreachable")
    }


def snapshot(texts: Mapping[str, str]) -> dict[str, dict[str, units.Reading]]:
    """Return the readings from what app hosts said when the run began, {host: text}, with each unit's `age` in seconds.

    The text begins with /proc/uptime and the output of `systemctl show`. A host that said nothing is left out.
    """
    found = {}
    for host, text in texts.items():
        uptime = _UPTIME.search(text)
        if own := units.read(text):
            found[host] = {unit: {**reading, "age": _age(reading, uptime)} for unit, reading in own.items()}
    return found


def _age(reading: units.Reading, uptime: re.Match[str] | None) -> float | None:
    return float(uptime[1]) - reading["started"] / 1e6 if uptime and reading["started"] else None


def lines(found: Readings, slot: str) -> list[str]:
    """Return a line for each unit of a slot that is restarting or has restarted often."""
    return [
        _line(unit, host, reading)
        for host, own in found.items()
        for unit, reading in own.items()
        if unit.endswith(f"-{slot}.service") and (_is_restarting(reading) or _has_restarted_often(reading))
    ]


def on_host(found: Readings, host: str) -> list[str]:
    """Return what is not in order on a host."""
    if host in found and not found[host]:
        return ["systemd did not respond: it is unknown whether services crash"]
    return [f"{unit} is restarting" for unit, reading in found.get(host, {}).items() if _is_restarting(reading)]


def is_looping(reading: units.Reading) -> bool:
    """Whether a unit is in a crash loop: systemd restarts it now, or it did so often, the last time recently."""
    age = reading.get("age")
    return _is_restarting(reading) or (_has_restarted_often(reading) and age is not None and age < RECENTLY)


def _is_restarting(reading: units.Reading) -> bool:
    """Whether systemd starts the unit again after it has ended by itself; a first start is none."""
    return "(auto-restart" in reading["state"] or (
        reading["state"].startswith("activating") and bool(reading["restarts"])
    )


def _has_restarted_often(reading: units.Reading) -> bool:
    # systemd keeps the number of a service that was stopped.
    return (reading["restarts"] or 0) >= OFTEN and not reading["state"].startswith("inactive")


def _line(unit: str, host: str, reading: units.Reading) -> str:
    restarts = reading["restarts"] or 0
    result = f", last result {reading['result']}" if reading.get("result", "success") != "success" else ""
    since = f" since {reading['since']}" if reading.get("since") and not _is_restarting(reading) else ""
    return (
        f"{unit} on {host}: {restarts} restart{'' if restarts == 1 else 's'}, now {reading['state']}{since}{result}; "
        f"journalctl -u {unit} on {host} says why"
    )
