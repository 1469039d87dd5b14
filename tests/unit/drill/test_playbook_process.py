# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A playbook run beside a drill: its record, its output, its end by force."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.greenroom.controller.drill import playbook_process

LIMIT = 60
PLAYBOOK = """
print("PLAY [Open the run] ****", flush=True)
print("ok: [one]", flush=True)
print("PLAY [Cut over to the candidate] ****", flush=True)
"""
# A worker of its own session with a child, as Ansible's are.
WORKERS = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("PLAY [x] *", flush=True)
time.sleep(60)
"""


def start(folder: Path, program: str, limit: float = LIMIT) -> dict[str, Any]:
    environment = dict(os.environ)
    command = [sys.executable, "-c", program]
    started: dict[str, Any] = playbook_process.start(
        folder, "cutover", command, ["-e", "to=green"], cwd="/", env=environment, limit=limit
    )
    return started


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def ended(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] | None = playbook_process.wait(folder, "cutover", LIMIT)
    assert record is not None
    return record


def test_a_run_that_ends_leaves_its_record_and_its_output(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    first = start(folder, PLAYBOOK)
    assert (first["name"], first["arguments"]) == ("cutover", ["-e", "to=green"])
    assert first["pid"] > 0
    record = ended(folder)
    assert (record["code"], record["said"]) == (0, "")
    assert [phase["what"] for phase in record["phases"]] == ["Open the run", "Cut over to the candidate"]
    assert record["began"] <= record["phases"][0]["at"] <= record["ended"]
    assert "ok: [one]" in (folder / "cutover.log").read_text()


def test_a_run_that_fails_says_why_on_one_line(tmp_path: Path) -> None:
    start(tmp_path, 'print("[ERROR]: Task failed: Action failed: app1 is\\nnot ready\\nOrigin: x.yml:3"); exit(2)')
    record = ended(tmp_path)
    assert (record["code"], record["said"]) == (2, "app1 is not ready")


def test_a_run_that_is_killed_dies_with_all_of_its_workers(tmp_path: Path) -> None:
    record = start(tmp_path, WORKERS)
    until(lambda: bool((playbook_process.read(tmp_path, "cutover") or {})["phases"]))
    workers = list(playbook_process._descendants(record["pid"]))
    assert workers
    playbook_process.kill(record["pid"])
    assert ended(tmp_path)["code"] == -9
    until(lambda: not any(Path(f"/proc/{worker}/cmdline").exists() and alive(worker) for worker in workers))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_run_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    start(tmp_path, WORKERS, limit=0.5)
    assert ended(tmp_path)["code"] == -9


def test_waiting_for_what_does_not_end_ends(tmp_path: Path) -> None:
    record = start(tmp_path, WORKERS)
    assert playbook_process.wait(tmp_path, "cutover", 0.3) is None
    playbook_process.kill(record["pid"])
    ended(tmp_path)


def test_what_it_said_is_short() -> None:
    assert playbook_process.said("nothing") == ""
    assert len(playbook_process.said(f"[ERROR]: {'x' * 900}\nOrigin: y")) == playbook_process.SAID_CHARACTERS
