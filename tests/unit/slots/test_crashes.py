# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which services crash-loop or restart often, as the status tells it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.slots import crashes, health

SERVICES = {name: {"name": name, "group": "app"} for name in ("clock", "jobs", "portal")}
BOTH = {slot: {"slot": slot, "hosts": {}, "services": SERVICES} for slot in ("blue", "green")}
GROUPS = {"app": ["app1", "app2"]}
# Of systemd 257: it prints the time with --timestamp=unix.
SHOWN = """\
Result={result}
NRestarts={restarts}
ExecMainStartTimestampMonotonic=1114651596
Id={unit}.service
ActiveState={active}
SubState={sub}
ActiveEnterTimestamp={since}
"""
RUNNING = {"result": "success", "restarts": 0, "active": "active", "sub": "running", "since": "@1769860800"}
LOOPING = {"result": "exit-code", "restarts": 12, "active": "activating", "sub": "auto-restart", "since": ""}


def shown(unit: str, **changes: Any) -> str:
    """What systemd says of a unit."""
    return SHOWN.format(unit=unit, **{**RUNNING, **changes})


def asked(*texts: str, **result: Any) -> dict[str, Any]:
    """The variables of a host that was asked."""
    return {"status_units": {"rc": 0, "stdout": "\n".join(texts), **result}}


def lines(*texts: str, slot: str = "green") -> list[str]:
    found: list[str] = crashes.lines(crashes.readings({"app1": asked(*texts)}, ["app1"]), slot)
    return found


def test_one_command_asks_for_all_units_of_both_slots_on_a_host() -> None:
    names = ["clock-blue", "jobs-blue", "portal-blue", "clock-green", "jobs-green", "portal-green"]
    command = crashes.command(BOTH, "app1", GROUPS)
    assert command[:3] == ["systemctl", "show", "--timestamp=unix"]
    assert command[3].startswith("--property=Id,ActiveState,SubState,NRestarts,")
    assert command[4:] == [f"{name}.service" for name in names]
    assert crashes.command(BOTH, "edge1", GROUPS) == crashes.command({}, "app1", GROUPS) == []


def test_a_service_that_crash_loops_is_named_with_what_to_do() -> None:
    assert lines(shown("portal-green"), shown("jobs-green", **LOOPING)) == [
        "jobs-green.service on app1: 12 restarts, now activating (auto-restart), last result exit-code; "
        "journalctl -u jobs-green.service on app1 says why"
    ]
    assert lines(shown("jobs-green", **LOOPING), slot="blue") == []


def test_a_service_that_restarted_often_says_since_when_it_runs() -> None:
    assert lines(shown("portal-green", restarts=5)) == [
        "portal-green.service on app1: 5 restarts, now active (running) since 2026-01-31T12:00:00Z; "
        "journalctl -u portal-green.service on app1 says why"
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, False),
        ({"restarts": 2}, False),
        ({"restarts": 3}, True),
        # systemd of old doesn't count.
        ({"restarts": ""}, False),
        ({**LOOPING, "restarts": ""}, True),
        ({**LOOPING, "restarts": 0}, True),
        ({**LOOPING, "sub": "auto-restart-queued"}, True),
        # Starting again, and for the first time.
        ({"restarts": 1, "active": "activating", "sub": "start"}, True),
        ({"active": "activating", "sub": "start"}, False),
        # Stopped by hand, after restarts.
        ({"restarts": 9, "active": "inactive", "sub": "dead"}, False),
        ({"restarts": 9, "active": "failed", "sub": "failed", "result": "exit-code"}, True),
    ],
)
def test_which_services_are_named(changes: dict[str, Any], named: bool) -> None:
    assert bool(lines(shown("portal-green", **changes))) == named


def test_a_time_in_another_form_is_shown_as_it_is() -> None:
    (line,) = lines(shown("portal-green", restarts=5, since="Sat 2026-01-31 12:00:00 UTC"))
    assert "now active (running) since Sat 2026-01-31 12:00:00 UTC; " in line


# Two hosts that were not asked, one that is dead, one without units.
HOSTVARS = {
    "app1": asked(shown("jobs-green", **LOOPING)),
    "app2": asked(shown("jobs-green")),
    "app3": {"status_units": {"unreachable": True, "msg": "no route"}},
    "app4": {"status_units": {"skipped": True}},
    "app5": {},
    "app6": asked("", rc=1, stderr="Failed to connect to bus"),
    "app7": {"status_units": {"failed": True, "msg": "no systemctl"}},
}


def test_only_hosts_that_answered_have_readings() -> None:
    found = crashes.readings(HOSTVARS, list(HOSTVARS))
    assert {host: len(own) for host, own in found.items()} == {"app1": 1, "app2": 1, "app6": 0, "app7": 0}


def test_a_host_is_not_in_order_while_a_service_restarts_or_systemd_is_silent() -> None:
    found = crashes.readings(HOSTVARS, list(HOSTVARS))
    silent = ["systemd did not respond: it is unknown whether services crash"]
    assert {host: crashes.on_host(found, host) for host in HOSTVARS} == {
        "app1": ["jobs-green.service is restarting"],
        "app6": silent,
        "app7": silent,
        **{host: [] for host in ("app2", "app3", "app4", "app5")},
    }
    # It has restarted often, and runs now.
    assert crashes.on_host(crashes.readings({"app1": asked(shown("jobs-green", restarts=9))}, ["app1"]), "app1") == []


UPTIME = "5114.65 9999.99\n"


@pytest.mark.parametrize(
    ("uptime", "changes", "looping"),
    [
        (UPTIME, {}, False),
        (UPTIME, LOOPING, True),
        # It runs, and has just been restarted once more.
        ("1120.65 9999.99\n", {"restarts": 3}, True),
        ("1120.65 9999.99\n", {"restarts": 2}, False),
        # It crashed long ago.
        (UPTIME, {"restarts": 3}, False),
    ],
)
def test_a_service_that_was_restarted_often_and_just_now_is_in_a_crash_loop(
    uptime: str, changes: dict[str, Any], looping: bool
) -> None:
    """systemd started it 1114.65 s after the host's boot."""
    found = crashes.snapshot({"app1": uptime + shown("portal-green", **changes) + '\n{"slot": "green"}\n', "app2": ""})
    assert list(found) == ["app1"], "the other host said nothing"
    assert crashes.is_looping(found["app1"]["portal-green.service"]) == looping


@pytest.mark.parametrize(
    ("app2", "states"),
    [
        (shown("portal-green"), []),
        (
            shown("portal-green", active="failed", sub="failed"),
            ["app1: in a crash loop, 12 restarts", "app2: failed (failed)"],
        ),
        (shown("portal-blue"), ["app1: in a crash loop, 12 restarts", "app2: stopped"]),
        ("", []),
    ],
    ids=["runs elsewhere", "failed", "stopped", "host gone"],
)
def test_a_unit_that_runs_nowhere_is_dead(app2: str, states: list[str]) -> None:
    texts = {"app1": UPTIME + shown("portal-green", **LOOPING), "app2": UPTIME + app2 if app2 else ""}
    portal = {"portal": {"name": "portal", "group": "app", "activation": "always"}}
    # A background service runs for the live slot only.
    jobs = {"jobs": {"name": "jobs", "group": "app", "activation": "live_only"}}
    bundle = {"slot": "green", "hosts": {}, "services": portal | jobs}
    expected = {"portal-green.service": states} if states else {}
    assert health.dead(crashes.snapshot(texts), bundle, GROUPS) == expected
