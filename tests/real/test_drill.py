"""Drills on real hosts: faults are undone, and the environment is as before."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from environment import Environment

FAULTS = ("candidate-unhealthy",)
MORE_FAULTS = (
    "none",
    "fails-after-cutover",
    "previous-does-not-start",
    "edge-killed",
    "operator-killed",
    "database-restarted",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test all faults in the long proof."""
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", FAULTS + (MORE_FAULTS if metafunc.config.getoption("--proof") else ()))


def drill(environment: Environment, fault: str, *options: str) -> dict[str, Any]:
    """Run a drill that must pass; return its result."""
    run = environment.play("playbooks/drill.yml", "-e", f"fault={fault}", *options)
    assert run.code == 0, run.output
    found = re.search(r"report: (\S+)/report\.html", run.output)
    assert found, run.output
    result: dict[str, Any] = json.loads(Path(found[1], "result.json").read_text())
    return result


def lasting(environment: Environment, slot: str) -> dict[tuple[str, str], str]:
    """The processes of a slot without background services."""
    moving = ("kratos-courier-", "portal-worker-")
    return {key: value for key, value in environment.processes(slot).items() if not key[1].startswith(moving)}


@pytest.mark.usefixtures("no_simulation")
def test_a_drill_passes_and_ends_as_it_began(both_slots: Environment, fault: str) -> None:
    live = both_slots.live()
    before = lasting(both_slots, live)
    result = drill(both_slots, fault)
    assert result["verdict"] == "pass"
    assert result["figures"]["lost_outside"] == 0
    assert both_slots.live() == live
    # The live slot is unchanged, except for background services.
    assert lasting(both_slots, live) == before
    both_slots.say(f"{fault}: {result['figures']['lost']} of {result['figures']['sent']} requests lost")
