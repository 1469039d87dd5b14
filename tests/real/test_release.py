"""A release change under load: nobody notices, and a candidate that is broken gets nowhere near the public."""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import re
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from environment import Environment, Probe, until

RATE = 40


class Load:
    """Open-loop load from the ops host, from entering until leaving; afterwards `account` says what became of it."""

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
        assert status == 200, f"the load's endpoint is not there (portal_test_endpoints): {status} {body}"
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
            until(self.logged, 30, "the first request in a backend's log")
        except BaseException:
            self.process.communicate()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        output, errors = self.process.communicate(timeout=90)
        self.environment.ssh("ops1", f"rm -f {self.program}")
        assert self.process.returncode == 0, errors
        self.account = json.loads(output)
        slots = dict(collections.Counter(self.account["answered"].values()))
        self.environment.say(
            f"load: {self.account['sent']} requests at {RATE}/s, answered by {slots}, lost {len(self.account['lost'])}"
        )

    def logged(self) -> dict[str, list[str]]:
        """The requests that the backends logged, as id and the slots that did."""
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
        """Every request that was sent got its answer, and was done exactly once by the slot that says so."""
        assert self.account["lost"] == {}
        assert len(self.account["answered"]) == self.account["sent"]
        expected = {name: [slot] for name, slot in self.account["answered"].items()}
        until(lambda: len(self.logged()) >= len(expected), 30, "all requests in the backends' logs")
        assert self.logged() == expected


def without_moving(processes: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Processes but for those that move with the live slot: the mail courier's and the workers'."""
    return {
        key: value for key, value in processes.items() if not key[1].startswith(("kratos-courier-", "portal-worker-"))
    }


def test_a_broken_candidate_behind_a_healthy_live_slot_is_caught(staging: Environment) -> None:
    live, idle = staging.live(), staging.idle()
    processes = staging.processes(live)
    faults = ("-e", "release_name=1.1", "-e", "portal_fault=error_rate", "-e", "portal_error_percent=100")
    # As a run leaves it that was killed when it had made the migration's container, and had not started it yet.
    image = f"$(podman inspect --format '{{{{.ImageName}}}}' portal-{live})"
    staging.ssh("app1", f"podman create --rm --name portal-migrate {image} sleep 600")
    with Probe(staging) as probe:
        run = staging.play("site.yml", *faults)
    assert run.code != 0
    assert "portal-migrate" not in staging.ssh("app1", "podman ps --all --format '{{.Names}}'").stdout.split()
    # It was ready, so only the smoke checks can have known; they say which check, what they expected and what they got.
    assert "PLAY [Check the slot before anybody sees it]" in run.output or "smoke : Run the checks" in run.output
    assert re.search(r"expected.*got.*500|got.*500", run.errors), run.errors
    assert probe.failures == []
    assert set(probe.slots) == {live}
    assert staging.live() == live
    assert staging.processes(live) == processes
    assert staging.bundle("app1", idle)["metadata"]["release"] == "1.1"


def test_a_release_change_and_the_way_back_lose_no_request(staging: Environment) -> None:
    old, new = staging.live(), staging.idle()
    before = without_moving(staging.processes(old))
    with Load(staging) as load:
        run = staging.play("site.yml", "-e", "release_name=1.1")
        assert run.code == 0, run.output
        assert staging.live() == new
        assert without_moving(staging.processes(old)) == before
        version = json.loads(staging.get("/version")[2])
        assert (version["version"], version["release"], version["slot"]) == ("1.1.0", "1.1", new)
        serving = without_moving(staging.processes(new))
        staging.go_back(old)
        version = json.loads(staging.get("/version")[2])
        assert (version["version"], version["release"], version["slot"]) == ("1.0.0", "1.0", old)
        assert without_moving(staging.processes(old)) == before
        assert without_moving(staging.processes(new)) == serving
    load.reconcile()
    slots = collections.Counter(load.account["answered"].values())
    assert min(slots["blue"], slots["green"]) > 2 * RATE


def test_a_slot_holds_its_catalogue_and_nothing_else(staging: Environment) -> None:
    services = {path.name for path in (Path(__file__).parents[2] / "services").iterdir()}
    # Both slots were deployed just now; whatever other services they held is gone.
    idle = staging.idle()
    for host in staging.groups["app"]:
        folders = staging.ssh(host, f"cd /etc/greenroom/slots/{idle} && ls -d */").stdout.replace("/", "").split()
        units = staging.ssh(host, f"cd /etc/containers/systemd && ls *-{idle}.container").stdout.split()
        assert set(folders) == services
        assert {unit.removesuffix(f"-{idle}.container") for unit in units} <= services


def serves(environment: Environment) -> bool:
    """Whether a visitor is answered; losing the connection or waiting in vain is what a killed slot may do to one."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return environment.get("/version")[0] == 200
    return False


def test_the_same_load_notices_a_slot_that_is_killed(staging: Environment) -> None:
    live = staging.live()
    with Load(staging) as load:
        kills = [
            subprocess.Popen(staging.ssh_command(host, f"sudo podman kill -s KILL portal-{live}"))
            for host in staging.groups["app"]
        ]
        assert [process.wait(timeout=30) for process in kills] == [0, 0]
        until(lambda: serves(staging), 60, "the killed slot serves again")
        time.sleep(1)
    assert load.account["lost"]
    until(
        lambda: all(
            staging.ssh(host, f"podman exec portal-{live} true", check=False).returncode == 0
            for host in staging.groups["app"]
        ),
        60,
        "both containers run again",
    )
