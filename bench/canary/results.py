# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The results of rollouts, kept in a file for one state of the code, so that an interrupted run can go on."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from bench.canary.plan import Job, Result
from bench.canary.simulate import Outcome
from bench.common import CACHE, ROOT

LOGIC = ROOT / "plugins/module_utils/greenroom"
SOURCES = (ROOT / "bench/canary", LOGIC / "canary", LOGIC / "controller/canary", LOGIC / "controller/bundle")
LIMITS = ROOT / "roles/canary/defaults/main.yml"
NO_MATTER = ("page.py", "run.py", "results.py")
"""They decide no result."""


def state() -> str:
    """Return a name for the state of the code that decides the results."""
    programs = [path for folder in SOURCES for path in sorted(folder.glob("*.py")) if path.name not in NO_MATTER]
    return hashlib.sha256(b"".join(path.read_bytes() for path in (LIMITS, *programs))).hexdigest()[:12]


class Results:
    """All results so far, by job. The file has a line for each."""

    def __init__(self) -> None:
        self.path: Path = CACHE / "bench-canary" / f"{state()}.jsonl"
        self._found: dict[Job, Result] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            # A run that was killed may have left a part of a line.
            with contextlib.suppress(ValueError):
                read = json.loads(line)
                result = Result(Job(**read["job"]), Outcome(**read["outcome"]), read["seconds"])
                self._found[result.job] = result

    def __contains__(self, job: Job) -> bool:
        """Whether a job is done."""
        return job in self._found

    def __getitem__(self, job: Job) -> Result:
        """Return the result of a job."""
        return self._found[job]

    def add(self, result: Result) -> None:
        """Keep a result."""
        self._found[result.job] = result
        with self.path.open("a") as kept:
            kept.write(f"\n{json.dumps(asdict(result))}")

    @property
    def minutes(self) -> float:
        """The processor time of all results."""
        return sum(result.seconds for result in self._found.values()) / 60
