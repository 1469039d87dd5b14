# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Restarts and crash loops, as systemd tells them, for every service of both slots."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import units
from ansible.module_utils.greenroom.controller.canary import step, watch
from canary_rows import LIMITS, PLAN, bundle, probed, traffic

# Of systemd 257: a service that runs, one that crash-loops, one that never starts, and one that does not exist.
SHOWN = """\
NRestarts=0
ExecMainStartTimestampMonotonic=1110391568
Id=portal-green.service
ActiveState=active
SubState=running

NRestarts=2
ExecMainStartTimestampMonotonic=1114651596
Id=worker-green.service
ActiveState=activating
SubState=auto-restart

NRestarts=3
ExecMainStartTimestampMonotonic=1120124781
Id=kratos-green.service
ActiveState=activating
SubState=start

NRestarts=0
ExecMainStartTimestampMonotonic=0
Id=missing-green.service
ActiveState=inactive
SubState=dead
"""
WANTED = {"service": "portal", "slot": "green", "host": "app1", "unit": "portal-green.service"}
GROUPS = {"app": ["app1", "app2"]}


def reading(**changes: Any) -> dict[str, Any]:
    return {"state": "active (running)", "restarts": 0, "started": 1110391568, **changes}


def test_systemds_output_is_read() -> None:
    found = units.read(SHOWN)
    assert found["portal-green.service"] == reading()
    assert found["worker-green.service"] == {
        "state": "activating (auto-restart)",
        "restarts": 2,
        "started": 1114651596,
    }
    assert found["missing-green.service"] == {"state": "inactive (dead)", "restarts": 0, "started": None}
    assert (len(found), units.read("")) == (4, {})


@pytest.mark.parametrize(
    ("begin", "end", "problems"),
    [
        (reading(), reading(), []),
        (reading(), reading(restarts=1, started=2), ["was restarted"]),
        (reading(), reading(restarts=3, started=2), ["was restarted 3 times"]),
        # A restart by hand begins the count again, and so does a reboot.
        (reading(restarts=7), reading(started=2), ["was restarted"]),
        # systemd of old doesn't count.
        (reading(restarts=None), reading(restarts=None, started=2), ["was restarted"]),
        (reading(), reading(state="activating (auto-restart)"), ["is activating (auto-restart), not running"]),
        (None, reading(state="failed (failed)"), ["is failed (failed), not running"]),
        (reading(), reading(state="inactive (dead)", started=None), ["is inactive (dead), not running"]),
        (reading(), reading(state="reloading (reload)"), []),
    ],
)
def test_restarts_and_stops_are_problems(begin: Any, end: Any, problems: list[str]) -> None:
    row = units.compared(WANTED, begin, end)
    assert row["problems"] == [f"portal-green.service on app1 {problem}" for problem in problems]
    assert row["unread"] == []


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (None, reading()),
        (reading(), None),
        (None, None),
        # What is missing twice is not equal.
        (reading(started=None), reading(started=None)),
        (reading(started=None), reading()),
    ],
)
def test_a_state_that_was_not_read_is_reported(begin: Any, end: Any) -> None:
    row = units.compared(WANTED, begin, end)
    assert (row["problems"], row["unread"]) == ([], ["the state of portal-green.service on app1"])


SERVICES = {"worker": {"activation": "live_only"}, "clock": {"activation": "singleton"}}


def names(live: str, **more: Any) -> list[str]:
    bundles = {slot: bundle(slot, 1, SERVICES) for slot in ("blue", "green")}
    return [f"{each['unit'].removesuffix('.service')} {each['host']}" for each in watch.units(bundles, live, **more)]


def test_background_services_are_watched_where_they_run() -> None:
    assert names("green", groups=GROUPS) == [
        "shop-blue app1",
        "shop-blue app2",
        "shop-green app1",
        "clock-green app1",
        "worker-green app1",
        "shop-green app2",
        "worker-green app2",
    ]


def test_hosts_that_the_run_does_without_are_not_watched() -> None:
    assert {name.split()[1] for name in names("blue", groups=GROUPS, silent=["app2"])} == {"app1"}


def test_a_singleton_that_may_still_run_elsewhere_is_not_expected() -> None:
    bundles = {slot: bundle(slot, 1, SERVICES) for slot in ("blue", "green")}
    bundles["green"]["hosts"] = {"app": [{"name": "app2", "address": ""}]}

    def clocks(silent: list[str]) -> list[str]:
        found = watch.units(bundles, "green", GROUPS, silent)
        return [each["host"] for each in found if each["unit"] == "clock-green.service"]

    # In blue, it runs on app1.
    assert (clocks([]), clocks(["app1"])) == (["app2"], [])


# In a step


def shown(state: str = "active", started: int = 5) -> list[dict[str, Any]]:
    """The result of `systemctl show` for the worker on app1."""
    text = f"NRestarts=0\nExecMainStartTimestampMonotonic={started}\nId=worker-green.service\nActiveState={state}\n"
    return [{"item": "app1", "rc": 0, "stdout": f"{text}SubState=x\n"}]


UP, DEAD = shown(), [{"item": "app1", "unreachable": True}]


def bake(*readings: list[dict[str, Any]]) -> dict[str, Any]:
    """The result of a bake in which systemd said this at first, and at the end of each interval."""
    wanted = [{"service": "worker", "slot": "green", "host": "app1", "unit": "worker-green.service"}]
    found = [step.unit_readings(each) for each in readings]
    result: dict[str, Any] = step.opened(step.begun(None, {**PLAN, "weight": 100}), traffic(), found[0])
    for each in found[1:]:
        result = step.continued(result, probed(), traffic(), {}, LIMITS, wanted=wanted, readings=each)
    return result


def test_a_worker_that_runs_passes() -> None:
    assert bake(UP, UP, UP)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        ([UP, shown("activating")], "worker-green.service on app1 is activating (x), not running"),
        ([UP, UP, shown(started=77)], "worker-green.service on app1 was restarted"),
    ],
)
def test_a_worker_that_crash_loops_fails(readings: list[Any], reason: str) -> None:
    result = bake(*readings)
    assert (result["verdict"], result["left"]) == ("fail", 0)
    assert reason in result["reasons"]


@pytest.mark.parametrize("readings", [[UP, DEAD], [DEAD, UP], [[], []]])
def test_a_host_that_does_not_say_is_no_pass(readings: list[Any]) -> None:
    result = bake(*readings)
    assert result["verdict"] == "no data"
    assert "can't read the state of worker-green.service on app1" in result["reasons"]


def test_a_restart_between_two_steps_is_noticed() -> None:
    first = bake(UP, UP)
    following = step.opened(step.begun(first, {**PLAN, "weight": 100}), {}, step.unit_readings(shown(started=77)))
    assert following["units"]["app1"]["worker-green.service"]["started"] == 5
    other = step.opened(step.begun(first, {**PLAN, "began": 9.0}), {}, step.unit_readings(shown(started=77)))
    assert other["units"]["app1"]["worker-green.service"]["started"] == 77


def test_one_command_asks_for_all_units_of_a_host() -> None:
    wanted = [WANTED, {**WANTED, "host": "app2"}, {**WANTED, "unit": "worker-green.service"}]
    assert step.unit_command(wanted, "app1") == [
        "systemctl",
        "show",
        "--property=Id,ActiveState,SubState,NRestarts,ExecMainStartTimestampMonotonic",
        "portal-green.service",
        "worker-green.service",
    ]
