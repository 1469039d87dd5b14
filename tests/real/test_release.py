"""Release changes under load lose no request, a broken candidate gets no traffic, and the run after a killed one leaves
the same state as an uninterrupted run.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import random
import re
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from environment import OFFER, ROOT, Environment, Probe, kill, until
from killing import EARLIER, EMPTY, lasting_differences, moments, snapshot

from bench.killed.outcomes import Part, Row, keep, write

RATE = 40


class Load:
    """Open-loop load from the ops host, as a context manager; afterwards, `account` has the results."""

    program = "/run/greenroom-load.py"

    def __init__(self, environment: Environment, longest: float = 600) -> None:
        self.environment = environment
        self.run = f"load-{uuid.uuid4().hex[:8]}"
        self.account: dict[str, Any] = {}
        self.began = 0
        self.settings = {
            "address": environment.address,
            "name": environment.public_name,
            "ca": "/etc/greenroom/ca.crt",
            "authorization": environment.authorization(),
            "rate": RATE,
            "run": self.run,
            "longest": longest,
        }

    def __enter__(self) -> Self:
        status, _headers, body = self.environment.get("/ping?id=first")
        assert status == 200, f"the load's endpoint is missing (toggle test_endpoints): {status} {body}"
        content = (Path(__file__).parent / "load.py").read_text()
        self.environment.ssh("ops1", f"cat > {self.program} <<'END'\n{content}\nEND\n")
        self.began = int(self.environment.ssh("app1", "date +%s").stdout) - 1
        self.process = subprocess.Popen(
            self.environment.ssh_command("ops1", f"sudo python3 -I {self.program}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(self.settings) + "\n")
        self.process.stdin.flush()
        try:
            until(self.logged, 120, "the first request in a backend's log")
        except BaseException:
            self.process.communicate()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        output, errors = self.process.communicate(timeout=300)
        self.environment.ssh("ops1", f"rm -f {self.program}")
        assert self.process.returncode == 0, errors
        self.account = json.loads(output)
        slots = dict(collections.Counter(self.account["answered"].values()))
        self.environment.say(
            f"load: {self.account['sent']} requests at {RATE}/s, answered by {slots}, lost {len(self.account['lost'])}"
        )

    def logged(self) -> dict[str, list[str]]:
        """The requests in the backends' logs: {id: slots that handled it}."""
        found: dict[str, list[str]] = {}
        search = (
            f"journalctl -u portal-blue -u portal-green --since @{self.began} -o cat --no-pager | grep -F {self.run}"
        )
        for host in self.environment.groups["app"]:
            for line in self.environment.ssh(host, search, check=False).stdout.splitlines():
                if name := re.search(rf'"id": "({self.run}-\d+)"', line):
                    found.setdefault(name[1], []).append(json.loads(line)["slot"])
        return found

    def reconcile(self) -> None:
        """Assert that every request got its response, and was handled exactly once by the slot in the response."""
        assert self.account["lost"] == {}
        assert len(self.account["answered"]) == self.account["sent"]
        expected = {name: [slot] for name, slot in self.account["answered"].items()}
        until(lambda: len(self.logged()) >= len(expected), 120, "all requests in the backends' logs")
        assert self.logged() == expected


def without_moving(processes: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Processes without background services: mail courier and workers."""
    return {
        key: value for key, value in processes.items() if not key[1].startswith(("kratos-courier-", "portal-worker-"))
    }


def assert_own_catalogue(environment: Environment, slot: str) -> None:
    """Assert that a slot has exactly the catalog's services, and none from an earlier deploy."""
    services = {path.name for path in (ROOT / "services").iterdir()}
    for host in environment.groups["app"]:
        folders = environment.ask(host, f"cd /etc/greenroom/slots/{slot} && ls -d */").stdout.replace("/", "").split()
        units = environment.ask(host, f"cd /etc/containers/systemd && ls *-{slot}.container").stdout.split()
        assert set(folders) == services
        assert {unit.removesuffix(f"-{slot}.container") for unit in units} <= services


def test_smoke_checks_detect_a_broken_candidate(staging: Environment) -> None:
    live, idle = staging.live(), staging.idle()
    processes = staging.processes(live)
    faults = ("-e", "release_name=1.1", "-e", "portal_fault=error_rate", "-e", "portal_error_percent=100")
    # As after the kill of a run that had created the migration's container, but not started it.
    image = f"$(podman inspect --format '{{{{.ImageName}}}}' portal-{live})"
    staging.ssh("app1", f"podman create --rm --name portal-migrate {image} sleep 600")
    with Probe(staging) as probe:
        run = staging.play("site.yml", *faults)
    assert run.code != 0
    assert "portal-migrate" not in staging.ssh("app1", "podman ps --all --format '{{.Names}}'").stdout.split()
    # It was ready, so only the smoke checks can detect it. They report the check, the expected and the actual result.
    assert re.search(r"PLAY \[Run the smoke checks against the candidate\]|smoke : Run the smoke checks", run.output)
    assert re.search(r"expected.*got.*500|got.*500", run.errors), run.errors
    assert probe.failures == []
    assert set(probe.slots) == {live}
    assert staging.live() == live
    assert staging.processes(live) == processes
    assert staging.bundle("app1", idle)["metadata"]["release"] == "1.1"
    # Even if the slot had other services before.
    assert_own_catalogue(staging, idle)


@dataclass
class Change:
    """An uninterrupted release change to an empty idle slot, under load, and a rollback.

    `processes` are the old slot's before, between and afterwards, then the new slot's between and afterwards.
    `versions` are the public responses between and afterwards. `end` is the state of all hosts after the change.
    """

    environment: Environment
    old: str
    new: str
    processes: list[dict[tuple[str, str], str]]
    versions: list[dict[str, str]]
    tasks: list[tuple[str, str]]
    end: dict[str, Any]
    load: Load

    def again(self) -> None:
        """Restore the state before the change."""
        begin(self.environment, self.old, self.new)


def begin(environment: Environment, old: str, new: str) -> None:
    """Cut over to the old slot, and reset the other one to its state before the first deploy."""
    if environment.live() != old:
        environment.go_back(old)
    for host in environment.groups["app"]:
        environment.ssh(host, EMPTY.format(slot=new))


@pytest.fixture(scope="module")
def change(staging: Environment) -> Change:
    """One uninterrupted release change, for all tests that compare with it."""
    old, new = staging.live(), staging.idle()
    begin(staging, old, new)
    before = without_moving(staging.processes(old))
    with Load(staging) as load:
        run = staging.converge(*OFFER)
        assert staging.live() == new
        kept = without_moving(staging.processes(old))
        version = json.loads(staging.get("/version")[2])
        serving = without_moving(staging.processes(new))
        end = snapshot(staging)
        staging.go_back(old)
        back = json.loads(staging.get("/version")[2])
        afterwards = [without_moving(staging.processes(slot)) for slot in (old, new)]
    processes = [before, kept, afterwards[0], serving, afterwards[1]]
    return Change(
        staging, old, new, processes, [version, back], [(task.play, task.name) for task in run.tasks], end, load
    )


def test_a_release_change_and_a_rollback_lose_no_request(change: Change) -> None:
    before, kept, afterwards, serving, still = change.processes
    assert before
    assert kept == before
    assert afterwards == before
    assert serving
    assert still == serving
    said = [(version["version"], version["release"], version["slot"]) for version in change.versions]
    assert said == [("1.1.0", "1.1", change.new), ("1.0.0", "1.0", change.old)]
    assert_own_catalogue(change.environment, change.new)
    change.load.reconcile()
    slots = collections.Counter(change.load.account["answered"].values())
    assert min(slots["blue"], slots["green"]) > 2 * RATE


def killed(change: Change, number: int, chance: random.Random, output: Path) -> str:
    """Kill a run within the task with this number, and let the next run complete it; return the outcome.

    Returns an empty string if the run ended before the kill, because it had less to do than the uninterrupted one.
    """
    environment = change.environment
    with Probe(environment) as probe:
        process = environment.start("site.yml", *OFFER, output=output)
        until(
            lambda: environment.begun(output) > number or process.poll() is not None,
            900,
            f"start of task {number + 1}",
        )
        # Anywhere within the task.
        time.sleep(chance.uniform(0, 0.6))
        if process.poll() is not None:
            assert process.returncode == 0, output.read_text()
            assert probe.failures == []
            return ""
        kill(process)
        environment.say(f"killed at task {number + 1}: {' / '.join(change.tasks[number])}")
        run = environment.converge(*OFFER)
    assert probe.failures == []
    assert environment.live() == change.new
    assert lasting_differences(environment, change.end) == []
    return f"completed: {sum(run.changed.values())} changes; {probe.asked} requests meanwhile, none failed"


def save_outcomes(change: Change, seed: int, outcomes: dict[int, str], config: pytest.Config) -> None:
    """Save the outcomes of these killed runs; write the page if they are all, or the last part."""
    rows = [Row(number + 1, *change.tasks[number], outcome) for number, outcome in outcomes.items()]
    parts = [Part(seed, len(change.tasks), rows)]
    if folder := config.getoption("--kept"):
        number, of = config.getoption("--part")
        parts = keep(parts[0], number, of, Path(folder))
    if parts:
        write(parts)


@pytest.mark.timeout(7200)
def test_the_next_run_completes_a_killed_run(change: Change, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    environment = change.environment
    proof = request.config.getoption("--proof")
    seed = random.SystemRandom().randrange(10**6)
    part, parts = request.config.getoption("--part")
    chosen = moments(change.tasks, proof, seed)[part - 1 :: parts]
    environment.say(f"seed {seed}: a run of {len(change.tasks)} tasks is killed at {[number + 1 for number in chosen]}")
    chance = random.Random(seed)
    outcomes: dict[int, str] = {}
    try:
        while chosen:
            number = chosen.pop(0)
            outcomes[number] = f"failed; see the test's output (seed {seed})"
            change.again()
            outcomes[number] = killed(change, number, chance, tmp_path / f"killed-{number}")
            if not outcomes[number]:
                environment.say(f"the run ended before task {number + 1}; trying an earlier task")
                del outcomes[number]
                chosen.insert(0, number - EARLIER)
    finally:
        if proof:
            save_outcomes(change, seed, outcomes, request.config)
    last = environment.converge(*OFFER)
    assert sum(last.changed.values()) == 0, last.output
    environment.go_back(change.old)


def serves(environment: Environment) -> bool:
    """Whether a client gets a response. A killed slot may also reset the connection or never respond."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return environment.get("/version")[0] == 200
    return False


def test_the_same_load_detects_a_killed_slot(staging: Environment) -> None:
    live = staging.live()
    with Load(staging) as load:
        kills = [
            subprocess.Popen(staging.ssh_command(host, f"sudo podman kill -s KILL portal-{live}"))
            for host in staging.groups["app"]
        ]
        assert [process.wait(timeout=120) for process in kills] == [0, 0]
        until(lambda: serves(staging), 180, "the killed slot serves again")
        time.sleep(1)
    assert load.account["lost"]
    until(
        lambda: all(
            staging.ssh(host, f"podman exec portal-{live} true", check=False).returncode == 0
            for host in staging.groups["app"]
        ),
        180,
        "both containers run again",
    )
