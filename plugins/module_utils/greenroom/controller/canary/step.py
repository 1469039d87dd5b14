# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A step of a canary, interval by interval. The result is one fact, and the next step continues with it.

A result is {verdict, reasons, figures, line, slot, weight, began, seconds, left, length, intervals, marks, units,
short, promoted, planned, aborted}: `left` of `planned` intervals of `length` seconds are still to come, `intervals` are
all intervals since `began`,
`marks` = {edge host: the place up to which its log was read}, `units` = {app host: {unit: its latest reading}}. `short`
is the length of a baseline that is shorter than asked for, in seconds, or None. `promoted` is whether an operator has
ended the step, `aborted` says who has ended the operation meanwhile, "" while it goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...canary import services, units, verdict
from ...canary.comparison import PUBLIC
from ...canary.figures import merged
from ...canary.limits import Limits
from . import gaps

OTHER = {"blue": "green", "green": "blue"}
MOST_INTERVALS = 20

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
        "planned": left,
        "length": seconds / left,
        "intervals": list(before["intervals"]) if same and before else [],
        "marks": dict(before["marks"]) if same and before else {},
        "units": dict(before["units"]) if same and before else {},
        "short": before["short"] if same and before else None,
        "promoted": False,
        "aborted": "",
    }


def unit_command(wanted: Iterable[Mapping[str, str]], host: str) -> list[str]:
    """Return the command that shows the state of the units on a host; `wanted` is the result of `watch.units`."""
    return units.command(each["unit"] for each in wanted if each["host"] == host)


def unit_readings(results: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, units.Reading]]:
    """Return the readings from the results of `systemctl show` in a loop over the app hosts."""
    return {each["item"]: units.read(each["stdout"]) for each in results if each.get("rc") == 0}


def opened(result: Result, traffic: Traffic, readings: Readings, baseline_seconds: float = 0.0) -> dict[str, Any]:
    """Return the result once the interval's begin is known: the place in each edge's log, and the units' state.

    What an earlier step has read stays, so that nothing between two steps is missed. If the slot got all traffic at
    once, `traffic` has the earlier requests of the previous slot, its baseline, from `baseline_seconds` or less, in
    parts as long as an interval.
    """
    hosts = {*readings, *result["units"]}
    new = {
        **result,
        "marks": {name: host["mark"] for name, host in traffic.items()} | result["marks"],
        "units": {host: {**readings.get(host, {}), **result["units"].get(host, {})} for host in sorted(hosts)},
    }
    if result["weight"] != PUBLIC or result["intervals"]:
        return new
    times = {name: host.get("parts", [host]) for name, host in traffic.items()}
    earlier = []
    # The journal of an edge host may not go back as far as that of another one.
    for index in range(-min(map(len, times.values()), default=0), 0):
        parts = {name: own[index] for name, own in times.items()}
        seen = verdict.empty_interval(0)
        seen |= services.together(_public(parts, {"live": OTHER[result["slot"]]}), {services.REST: seen["probes"]})
        earlier.append(seen | {"seconds": min(part["seconds"] for part in parts.values())})
    # A second less may be a matter of rounding.
    short = [host["seconds"] for host in traffic.values() if host["seconds"] < baseline_seconds - 1]
    return {**new, "intervals": earlier, "short": min(short, default=None)}


def aborted(result: Result, answers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the result with who has ended the operation, if it is over on the edge hosts: there is no next interval.

    `answers` are their results of `bluegreen_switch`; those that don't answer say nothing. If one of them still knows
    the operation, it goes on, and the others are behind.
    """
    said = [answer for answer in answers if "operation" in answer]
    if not said or any(answer["operation"] for answer in said):
        return dict(result)
    by = next((answer["changed_by"] for answer in said if answer.get("changed_by")), "an edge host")
    at = max(answer["changed_at"] or "" for answer in said)
    return {**result, "verdict": "no data", "left": 0, "aborted": f"{by} ended it at {at}"}


def continued(
    result: Result,
    probed: Mapping[str, Any],
    traffic: Traffic,
    journeys: Mapping[str, Any],
    limits: Limits,
    *,
    own: services.Own | None = None,
    wanted: Sequence[Mapping[str, str]] = (),
    readings: Readings | None = None,
    missing: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the result after one more interval.

    `probed` is the result of canary_probe, `traffic` that of canary_traffic, `journeys` that of smoke_check, or empty.
    `own` are the limits of services that have some of their own (`settings.limits`).
    `wanted` are the units that must run (`watch.units`), `readings` those at the end of the interval, `missing` is what
    can't be compared at all (`watch.missing_pages`).
    """
    readings = readings or {}
    slot, weight = result["slot"], result["weight"]
    slots = {"candidate": slot, "live": OTHER[slot]}
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
        **services.together(_public(traffic, slots), {services.REST: probed["probes"], **probed.get("services", {})}),
        "watched": {
            side: [*probed["watched"][side], *_units(result, readings, wanted, name)] for side, name in slots.items()
        },
        "notes": probed["notes"],
        "journeys": failed,
    }
    intervals = [*result["intervals"], seen]
    seen["gaps"] = [*missing, *gaps.found(result, intervals, traffic, slots, limits.minimum)]
    left = result["left"] - 1
    judged = services.judged(intervals, limits, own or {}, verdict.part(left, result["planned"]))
    return {
        **result,
        **judged,
        "line": verdict.line(judged, slot, OTHER[slot], weight),
        "seconds": round(result["seconds"] + probed["seconds"], 1),
        "left": 0 if judged["verdict"] == "fail" or probed.get("ended") else left,
        "promoted": bool(probed.get("ended")),
        "intervals": intervals,
        "marks": {name: host["mark"] for name, host in traffic.items()},
        "units": {**result["units"], **readings},
    }


def _public(traffic: Traffic, slots: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the figures of public requests on all edge hosts, {service: {side: figures}}."""
    hosts = [{services.REST: host["slots"], **host.get("services", {})} for host in traffic.values()]
    names = dict.fromkeys(name for host in hosts for name in host)
    return {name: {side: merged(host[name][slot] for host in hosts) for side, slot in slots.items()} for name in names}


def _units(result: Result, readings: Readings, wanted: Sequence[Mapping[str, str]], slot: str) -> list[dict[str, Any]]:
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
