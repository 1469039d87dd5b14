"""What the measuring programs share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# As these see it: the lab, which has built Kratos there, and who measures.
CACHES = """
from bench.common import CACHE
from bench.identity_seed import servers
from bench.zeroloss import rivals
from greenroom_lab import paths
print(CACHE, paths.CACHE, servers.CACHE, rivals.PROGRAMS.parent)
"""


@pytest.mark.parametrize(("given", "found"), [("", "home/.cache/greenroom"), ("elsewhere", "elsewhere/greenroom")])
def test_whoever_measures_and_the_lab_keep_things_in_one_place(given: str, found: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "XDG_CACHE_HOME"}
    environment |= {"HOME": str(tmp_path / "home"), "PYTHONPATH": f"{ROOT}:{ROOT / 'lab'}"}
    if given:
        environment["XDG_CACHE_HOME"] = str(tmp_path / given)
    done = subprocess.run(
        [sys.executable, "-c", CACHES], env=environment, capture_output=True, text=True, check=True, timeout=800
    )
    assert set(done.stdout.split()) == {str(tmp_path / found)}
