# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-job: each tick starts a job once, in the live slot; and what waits for jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.switch import peers as switch_peers
from ansible.module_utils.greenroom.switch import slot_jobs
from ansible.module_utils.greenroom.switch.peers import Peers

STEM = "shop-job-nightly"
CONFIGURATION = {
    **{"site": "staging", "edges": ["192.0.2.1"], "port": 8406},
    **{"public_name": "portal.test", "ca_file": "/etc/greenroom/ca.crt"},
}


class Host:
    """An app host in a folder; edge hosts that say `says`; units that run for some more questions."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "live.json"
        self.file.write_text(json.dumps(CONFIGURATION | {"slots": str(folder)}))
        for slot in ("blue", "green"):
            (folder / f"{slot}.jobs").write_text(f"{STEM}\n")
        self.folder = folder
        self.says: list[str | None] = ["9:green:-:0"]
        self.running: dict[str, int] = {}
        self.started: list[str] = []
        self.code = 0
        self.slept = 0.0
        monkeypatch.setattr(switch_peers, "ask", self.ask)

    def ask(self, _peers: Peers, _address: str, _seconds: float) -> str:
        value = self.says[0] if len(self.says) == 1 else self.says.pop(0)
        if value is None:
            raise TimeoutError("no route")
        return value

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        if command[1] == "start":
            self.started.append(command[-1])
            return self.code, ""
        blocks = []
        for unit in command[4:]:
            left = self.running.get(unit, 0)
            self.running[unit] = left - 1
            blocks.append(f"Id={unit}\nActiveState={'activating' if left > 0 else 'inactive'}\n")
        return 0, "\n".join(blocks)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def call(self, *words: str) -> int:
        return int(slot_jobs.main(str(self.file), words, self.run, self.sleep))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_tick_starts_the_job_in_the_live_slot_and_fails_as_it_does(host: Host) -> None:
    assert host.call(STEM) == 0
    host.says, host.code = ["10:blue:green:20"], 1
    assert host.call(STEM) == 1
    assert host.started == [f"{STEM}-green.service", f"{STEM}-blue.service"]


def test_a_tick_waits_for_an_edge_host_but_not_forever(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.says = [None, None, "9:green:-:0"]
    assert host.call(STEM) == 0
    assert host.started == [f"{STEM}-green.service"]
    host.says = [None]
    assert host.call(STEM) == 1
    assert len(host.started) == 1
    assert "did not run" in capsys.readouterr().err


def test_a_job_that_the_live_slot_does_not_have_here_does_not_run(host: Host) -> None:
    (host.folder / "green.jobs").write_text("")
    assert host.call(STEM) == 0
    (host.folder / "green.jobs").unlink()
    assert host.call(STEM) == 0
    assert host.started == []


def test_a_job_does_not_run_beside_itself_in_the_other_slot(host: Host) -> None:
    host.running = {f"{STEM}-blue.service": 3}
    assert host.call(STEM) == 0
    assert host.slept > 0
    assert host.started == [f"{STEM}-green.service"]


def test_wait_ends_with_the_jobs_of_the_slot(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.running = {f"{STEM}-blue.service": 2}
    assert host.call("wait", "blue") == 0
    assert host.slept == 2
    host.running = {f"{STEM}-blue.service": 1000}
    assert host.call("wait", "blue") == slot_jobs.BUSY
    assert capsys.readouterr().out == f"{STEM}-blue.service\n"
    assert host.call("wait", "green") == 0


def test_other_words_are_refused(host: Host) -> None:
    assert host.call() == 2
    assert host.call("--help") == 2
    assert host.call(STEM, "more") == 2
