# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Molecule's scenarios: each passes with `molecule test` on hosts that are up."""

from __future__ import annotations

import os
import subprocess

import pytest
from environment import ROOT, Environment

SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_passes(staging: Environment, scenario: str) -> None:
    staging.touched = True
    # `molecule test` without a name runs the scenario `default`.
    chosen = [] if scenario == "default" else ["--scenario-name", scenario]
    done = subprocess.run(
        ["molecule", "test", *chosen],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
