# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What became of scheduled jobs, as systemd says on the hosts that run them: the last run, its result, the next run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..bundle.description import Description, Groups
from ..bundle.jobs import jobs_on, timer

_PROPERTIES = (
    *("Id", "ActiveState", "LastTriggerUSec", "NextElapseUSecRealtime"),
    *("Result", "ExecMainStartTimestamp", "ExecMainExitTimestamp"),
)


def job_command(bundles: Mapping[str, Description], live: str | None, host: str, groups: Groups) -> list[str]:
    """Return the command that asks systemd about the live slot's jobs on a host; none if it has no jobs."""
    names = [timer(job["stem"]) for job in jobs_on(bundles.get(live or "", {}), host, groups)]
    units = [f"{name}.{kind}" for name in names for kind in ("timer", "service")]
    shown = [f"--property={name}" for name in _PROPERTIES]
    return ["systemctl", "show", "--timestamp=unix", *shown, *units] if units else []


def job_lines(
    hostvars: Mapping[str, Mapping[str, Any]],
    task: str,
    bundles: Mapping[str, Description],
    live: str | None,
    groups: Groups,
) -> dict[str, str]:
    """Return {"<service> <job>": what became of it} from the answers to `job_command`, registered as `task`."""
    found = {}
    for host in hostvars:
        for job in jobs_on(bundles.get(live or "", {}), host, groups):
            answer = hostvars[host].get(task) or {}
            units = _units(str(answer.get("stdout", "")))
            name = timer(job["stem"])
            found[f"{job['service']} {job['name']}"] = (
                f"on {host}: {_says(units.get(f'{name}.timer', {}), units.get(f'{name}.service', {}), name)}"
                if units
                else f"on {host}: unknown"
            )
    return dict(sorted(found.items()))


def _units(text: str) -> dict[str, dict[str, str]]:
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def _says(timer_unit: Mapping[str, str], unit: Mapping[str, str], name: str) -> str:
    if timer_unit.get("ActiveState") != "active":
        return f"{name}.timer is {timer_unit.get('ActiveState', 'unknown')}; run playbooks/cutover.yml without `to`"
    then = f"next {_time(timer_unit.get('NextElapseUSecRealtime', '')) or 'never'}"
    began, ended = (_time(unit.get(f"ExecMain{part}Timestamp", "")) for part in ("Start", "Exit"))
    if unit.get("ActiveState") == "activating":
        # Only when it has ended does systemd know when the next one is due.
        return f"running since {began}"
    if not ended:
        # systemd forgets what ran before the host booted.
        last = _time(timer_unit.get("LastTriggerUSec", ""))
        return f"last {last}, {then}" if last else f"not run yet, {then}"
    result = unit.get("Result", "unknown")
    why = "" if result == "success" else f" ({result}; journalctl -u '{name.removeprefix('greenroom-')}-*' says why)"
    return f"last {began}, {'succeeded' if result == 'success' else 'failed'}{why}, {then}"


def _time(stamp: str) -> str:
    """Return systemd's `@<seconds>` as a time, "" if there is none."""
    number = stamp.removeprefix("@")
    return datetime.fromtimestamp(int(number), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if number.isdigit() else ""
