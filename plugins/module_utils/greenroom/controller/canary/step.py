# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A step of a canary, interval by interval. The result is one fact, and the next step continues with it.

A result is {verdict, reasons, figures, line, slot, weight, began, seconds, left, length, intervals, until, units}: `left`
intervals of `length` seconds are still to come, `intervals` are all intervals since `began`, `until` = {edge host: the
time up to which its journal was read}, `units` = {app host: {unit: its latest reading}}.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...canary import units, verdict
from ...canary.figures import merged

OTHER = {"blue": "green", "green": "blue"}
MOST_INTERVALS = 20
PUBLIC = 100
"""The weight of a candidate that has gone live."""

Result = Mapping[str, Any]
Traffic = Mapping[str, Mapping[str, Any]]
"""The results of canary_traffic by edge host."""
Readings = Mapping[str, Mapping[str, units.Reading]]
"""{app host: {unit: reading}}. Without a host, systemd did not respond there."""


def begun(before: Result | None, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result at the beginning of a step, with the earlier intervals of the same slot since `began`.

    `plan` = {slot, weight, began, seconds, interval}; `interval` is the length of an interval in seconds. Those of a
    long step are longer.
    """
    slot, weight, began, seconds = (plan[name] for name in ("slot", "weight", "began", "seconds"))
    same = before is not None and (before.get("slot"), before.get("began")) == (slot, began)
    left = max(1, min(MOST_INTERVALS, math.ceil(seconds / plan["interval"])))
    return {
        "verdict": "no data",
        "reasons": [],
        "figures": {},
        "line": f"no data: {slot} at {weight} %: no observations yet",
        **{name: plan[name] for name in ("slot", "weight", "began")},
        "seconds": 0,
        "left": left,
        "length": seconds / left,
        "intervals": list(before["intervals"]) if same and before else [],
        "until": dict(before["until"]) if same and before else {},
        "units": dict(before["units"]) if same and before else {},
    }


def unit_command(wanted: Iterable[Mapping[str, str]], host: str) -> list[str]:
    """Return the command that shows the state of the units on a host; `wanted` is the result of `watch.units`."""
    names = [each["unit"] for each in wanted if each["host"] == host]
    return ["systemctl", "show", f"--property={','.join(units.PROPERTIES)}", *names]


def unit_readings(results: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, units.Reading]]:
    """Return the readings from the results of `systemctl show` in a loop over the app hosts."""
    return {each["item"]: units.read(each["stdout"]) for each in results if each.get("rc") == 0}


def with_units(result: Result, readings: Readings) -> dict[str, Any]:
    """Return a result with the first readings of the units. Units that were read before keep their reading."""
    hosts = {*readings, *result["units"]}
    return {
        **result,
        "units": {host: {**readings.get(host, {}), **result["units"].get(host, {})} for host in sorted(hosts)},
    }


def with_baseline(result: Result, traffic: Traffic) -> dict[str, Any]:
    """Return a result with the baseline slot's figures from before the step, when it was live."""
    seen = verdict.empty_interval(0)
    seen["public"]["live"] = merged(host["slots"][OTHER[result["slot"]]] for host in traffic.values())
    return {**result, "intervals": [seen, *result["intervals"]]}


def continued(
    result: Result,
    probed: Mapping[str, Any],
    traffic: Traffic,
    journeys: Mapping[str, Any],
    limits: verdict.Limits,
    wanted: Sequence[Mapping[str, str]] = (),
    readings: Readings | None = None,
) -> dict[str, Any]:
    """Return the result after one more interval.

    `probed` is the result of canary_probe, `traffic` that of canary_traffic, `journeys` that of smoke_check, or empty.
    `wanted` are the units that must run (`watch.units`), `readings` those at the end of the interval.
    """
    readings = readings or {}
    slot, weight = result["slot"], result["weight"]
    slots = {"candidate": slot, "live": OTHER[slot]}
    short = [f"{name} logged more lines than were read" for name, host in traffic.items() if not host["complete"]]
    failed = [
        f"{check['name']}: expected {check['expected']}, got {check['got']}"
        for check in journeys.get("checks", ())
        if not check["ok"]
    ]
    if "checks" not in journeys and "msg" in journeys:
        failed = [str(journeys["msg"])]
    seen = {
        "weight": weight,
        "seconds": probed["seconds"],
        "public": {side: merged(host["slots"][name] for host in traffic.values()) for side, name in slots.items()},
        "probes": probed["probes"],
        "watched": {
            side: [*probed["watched"][side], *_units(result, readings, wanted, name)] for side, name in slots.items()
        },
        "notes": [*probed["notes"], *short],
        "journeys": failed,
    }
    intervals = [*result["intervals"], seen]
    judged = verdict.verdict(intervals, limits)
    return {
        **result,
        **judged,
        "line": verdict.line(judged, slot, OTHER[slot], weight),
        "seconds": round(result["seconds"] + probed["seconds"], 1),
        "left": 0 if judged["verdict"] == "fail" else result["left"] - 1,
        "intervals": intervals,
        "until": {name: host["until"] for name, host in traffic.items()},
        "units": {**result["units"], **readings},
    }


def _units(
    result: Result, readings: Readings, wanted: Sequence[Mapping[str, str]], slot: str
) -> list[dict[str, Any]]:
    """Return the row of each unit of a slot."""
    return [
        units.compared(
            each,
            result["units"].get(each["host"], {}).get(each["unit"]),
            readings.get(each["host"], {}).get(each["unit"]),
        )
        for each in wanted
        if each["slot"] == slot
    ]
