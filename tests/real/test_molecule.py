# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Molecule's scenarios on hosts that are up."""

from __future__ import annotations

import os
import re
import subprocess

from environment import ROOT, Environment

from tests import warm_start

SCENARIOS = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}


def molecule(environment: Environment, *words: str) -> str:
    """Run molecule, which must succeed; return its output."""
    environment.touched = True
    program = warm_start.server().program()
    done = subprocess.run(
        ["molecule", *words],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "PATH": f"{program}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_default_scenario_passes(staging: Environment) -> None:
    # `molecule test` without a name runs it. Its second run of site.yml has changed nothing.
    molecule(staging, "test")
    staging.touched = False


def test_the_scenarios_of_a_part_change_nothing_on_converged_hosts(staging: Environment) -> None:
    """They have the steps of `default`, and on these hosts, their first run tells what a second one would."""
    staging.rest()
    names = sorted(SCENARIOS - {"default", "release"})
    said = molecule(staging, "converge", *(word for name in names for word in ("--scenario-name", name)))
    assert said.count("PLAY RECAP") == len(names), said
    assert not re.search(r"changed=[1-9]", said), said
    staging.touched = False


def test_a_release_is_deployed_and_rolled_back(staging: Environment) -> None:
    molecule(staging, "test", "--scenario-name", "release")
    staging.remember_offer(staging.idle())
