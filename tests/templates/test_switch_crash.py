# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module, and HAProxy under it, killed at every moment of every change: Debian's HAProxy, in a container."""

from __future__ import annotations

import json

from bench.switch import inside
from bench.switch.crash_list import CHANGES


def test_a_kill_at_any_moment_leaves_one_truth_and_is_mended_by_one_run() -> None:
    found = json.loads(inside.run("crash", "/tmp", seconds=800).splitlines()[-1])
    assert found["failures"] == []
    assert found["unserved"] == 0
    assert found["requests"] > 100
    assert found["cases"] > 10 * len(CHANGES)
