# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Kills the module, and HAProxy during its calls, at every moment of every change, with Debian's HAProxy."""

from __future__ import annotations

import json

from bench.switch import inside
from bench.switch.crash_list import CHANGES


def test_after_a_kill_at_any_moment_one_run_repairs_the_state() -> None:
    found = json.loads(inside.run("crash", "/tmp", seconds=800).splitlines()[-1])
    assert found["failures"] == []
    assert found["unserved"] == 0
    assert found["requests"] > 100
    assert found["cases"] > 10 * len(CHANGES)
