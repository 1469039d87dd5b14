"""A run that dies at any task leaves the public alone, and the next one ends where an undisturbed one would have."""

from __future__ import annotations

import json
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from environment import Environment, Probe, kill, until

from bench.killed.outcomes import Part, Row, keep, write

WANTED = ("-e", "release_name=1.1")
EARLIER = 10
"""Tasks by which a run that was over too soon is killed earlier."""
TASK = re.compile(r"^(PLAY|TASK) \[(.*)\] \*", re.M)

# All that a run leaves on a host: files with mode and content, containers, units; but no times, epochs, process ids.
SNAPSHOT = """
import hashlib, json, os, pathlib, subprocess
folders = ["/etc/greenroom", "/etc/containers", "/etc/haproxy", "/etc/systemd/system", "/etc/postgresql",
           "/etc/prometheus", "/etc/default", "/etc/nftables.conf", "/usr/local/lib/greenroom",
           "/var/lib/greenroom/trees"]
def content(path):
    if path.name == "bundle.json" or path.parent.name == "trees":
        manifest = json.loads(path.read_text())
        # Its one file has an epoch in it.
        return sorted(manifest["files"]) if path.name == "edge-record.json" else [manifest["hash"], manifest["files"]]
    if path.name == "live.map":
        return path.read_text().partition(":")[2]
    return hashlib.sha256(path.read_bytes()).hexdigest()
found = {}
for folder in map(pathlib.Path, folders):
    for path in [folder, *folder.rglob("*")] if folder.exists() else []:
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            found[str(path)] = [oct(status.st_mode), status.st_uid, status.st_gid, content(path)]
def lines(*command):
    try:
        return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    except FileNotFoundError:
        return []
# Simulated people come by a timer, whatever runs do.
found["containers"] = [line for line in lines("podman", "ps", "-a", "--format", "{{.Names}} {{.Image}} {{.State}}")
                       if not line.startswith("greenroom-simulation ")]
found["units"] = [" ".join(line.split()[:4]) for pattern in ("*-blue.service", "*-green.service")
                  for line in lines("systemctl", "list-units", "--plain", "--no-legend", pattern)]
found["failed"] = lines("systemctl", "list-units", "--plain", "--no-legend", "--state=failed")
found["roles"] = lines("su", "postgres", "-c", "cd / && psql -XAtc 'SELECT rolname, rolcanlogin FROM pg_roles'") \
    if os.path.exists("/etc/postgresql") else []
print(json.dumps(found))
"""
# Takes a slot back to where it is before its first deploy.
EMPTY = """
for unit in $(cd /etc/containers/systemd && ls *-{slot}.container 2>/dev/null); do
    systemctl stop "${{unit%.container}}.service"
    rm -f "/etc/containers/systemd/$unit" "/var/lib/greenroom/units/${{unit%.container}}.service.json"
done
rm -rf "/etc/greenroom/slots/{slot}" "/etc/greenroom/slots/{slot}.fact"
systemctl daemon-reload
"""


def snapshot(environment: Environment) -> dict[str, Any]:
    """What a run left, by host."""
    return {host: json.loads(environment.python(host, SNAPSHOT)) for host in environment.hosts}


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two snapshots differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [line for key in keys for line in differences(left.get(key), right.get(key), f"{path} {key}")]
    return [] if left == right else [f"{path}: {left} / {right}"]


@dataclass
class Start:
    """Where each killed run begins: the old slot live, the new one empty; and what an undisturbed run makes of that."""

    environment: Environment
    old: str
    new: str
    tasks: list[tuple[str, str]]
    end: dict[str, Any]

    def again(self) -> None:
        """Go back to it."""
        if self.environment.live() != self.old:
            self.environment.go_back(self.old)
        for host in self.environment.groups["app"]:
            self.environment.ssh(host, EMPTY.format(slot=self.new))


@pytest.fixture(scope="module")
def start(staging: Environment) -> Start:
    """The tasks and the end state of an undisturbed release change."""
    point = Start(staging, staging.live(), staging.idle(), [], {})
    point.again()
    run = staging.converge(*WANTED)
    play = ""
    for kind, name in TASK.findall(run.output):
        if kind == "PLAY":
            play = name
        else:
            point.tasks.append((play, name))
    point.end = snapshot(staging)
    assert staging.live() == point.new
    return point


def moments(tasks: list[tuple[str, str]], every_phase: bool, seed: int) -> list[int]:
    """Numbers of the tasks at which to kill: one from each half, or one from each play."""
    chance = random.Random(seed)
    # The last play only tells what was done, and may be over before it is killed.
    tasks = [(play, name) for play, name in tasks if play != tasks[-1][0]]
    if not every_phase:
        # Playbooks open the run again where they are imported, and skip what is done: nothing to kill there.
        numbers = [
            number for number, (play, _) in enumerate(tasks) if play != "Open the run" or number < len(tasks) / 8
        ]
        middle = len(numbers) // 2
        return [chance.choice(numbers[:middle]), chance.choice(numbers[middle:])]
    plays = sorted({play: number for number, (play, _) in reversed(list(enumerate(tasks)))}.values())
    return [chance.randrange(first, last) for first, last in zip(plays, [*plays[1:], len(tasks)], strict=True)]


def killed(start: Start, number: int, chance: random.Random, output: Path) -> str:
    """Kill a run within its task with this number and let the next one make it good; say what that took.

    Empty when there was nothing to kill: the run was over, because it had less to do than the undisturbed one.
    """
    environment = start.environment
    with Probe(environment) as probe:
        process = environment.start("site.yml", *WANTED, output=output)
        until(
            lambda: output.read_text().count("\nTASK [") > number or process.poll() is not None,
            300,
            f"task {number + 1} begins",
        )
        # Anywhere within the task.
        time.sleep(chance.uniform(0, 0.6))
        if process.poll() is not None:
            assert process.returncode == 0, output.read_text()
            assert probe.failures == []
            return ""
        kill(process)
        environment.say(f"killed at task {number + 1}: {' / '.join(start.tasks[number])}")
        run = environment.converge(*WANTED)
    assert probe.failures == []
    assert environment.live() == start.new
    assert differences(start.end, snapshot(environment)) == []
    return f"made good: {sum(run.changed.values())} changes; {probe.asked} requests meanwhile, all answered"


def write_down(start: Start, seed: int, outcomes: dict[int, str], config: pytest.Config) -> None:
    """Keep what came of these killed runs; write the page when they are all, or the last part of all."""
    rows = [Row(number + 1, *start.tasks[number], outcome) for number, outcome in outcomes.items()]
    parts = [Part(seed, len(start.tasks), rows)]
    if folder := config.getoption("--kept"):
        number, of = config.getoption("--part")
        parts = keep(parts[0], number, of, Path(folder))
    if parts:
        write(parts)


@pytest.mark.timeout(7200)
def test_runs_that_are_killed_are_made_good_by_the_next(
    start: Start, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    environment = start.environment
    proof = request.config.getoption("--proof")
    seed = random.SystemRandom().randrange(10**6)
    part, parts = request.config.getoption("--part")
    chosen = moments(start.tasks, proof, seed)[part - 1 :: parts]
    environment.say(f"seed {seed}: a run of {len(start.tasks)} tasks is killed at {[number + 1 for number in chosen]}")
    chance = random.Random(seed)
    outcomes: dict[int, str] = {}
    try:
        while chosen:
            number = chosen.pop(0)
            outcomes[number] = f"failed; see the test's output (seed {seed})"
            start.again()
            outcomes[number] = killed(start, number, chance, tmp_path / f"killed-{number}")
            if not outcomes[number]:
                environment.say(f"over before task {number + 1}: an earlier one is taken")
                del outcomes[number]
                chosen.insert(0, number - EARLIER)
    finally:
        if proof:
            write_down(start, seed, outcomes, request.config)
    last = environment.converge(*WANTED)
    assert sum(last.changed.values()) == 0, last.output
    environment.go_back(start.old)
