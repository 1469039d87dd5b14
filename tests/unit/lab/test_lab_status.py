"""What `make status` says of the edge hosts: who serves, and where the public name leads."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from greenroom_lab import inventory, podman, status

ADDRESS = "198.18.10.10"
OWN = {"198.18.10.11": "edge1", "198.18.10.12": "edge2", "198.18.10.21": "app1"}


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What hosts answer: {running: their names, holder: who has the shared address, live: {edge host: slot}}."""
    answers: dict[str, Any] = {"running": list(OWN.values()), "holder": "edge1", "live": {}}

    def containers() -> dict[str, dict[str, Any]]:
        made = [host for host in inventory.hosts("staging") if host.name in OWN.values()]
        state = {True: "running", False: "paused"}
        return {host.container: {"State": state[host.name in answers["running"]]} for host in made}

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        host = next(name for address, name in OWN.items() if f"operator@{address}" in command)
        assert host in answers["running"], "nobody waits for a host that can't answer"
        if command[-1] == "address":
            own = next(address for address, name in OWN.items() if name == host)
            more = f" {ADDRESS}/32" if host == answers["holder"] else ""
            return subprocess.CompletedProcess(command, 0, f"eth0@if3 UP {own}/24{more} \n")
        slot = answers["live"].get(host) if command[-1] == status.STATE_FILE else None
        return subprocess.CompletedProcess(command, 0 if slot else 1, json.dumps({"live": slot, "epoch": 7}))

    monkeypatch.setattr(podman, "containers", containers)
    monkeypatch.setattr(status, "run", run)
    return answers


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What was printed, by the words at the beginning of each line."""
    status.show()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return {line[:13].strip(): line[13:] for line in lines if not line.startswith(tuple(OWN.values()))}


def test_the_edge_host_that_serves_says_which_slot_is_live(
    say: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    say.update(holder="edge2", live={"edge1": "blue", "edge2": "green"})
    found = shown(capsys)
    assert found["serving"] == "edge2"
    assert found["live slot"] == "green (epoch 7)"
    assert found["hosts file"] == f"{ADDRESS} portal.staging.greenroom.test"


def test_bare_hosts_serve_nothing_yet(say: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    say.update(holder=None)
    found = shown(capsys)
    assert (found["serving"], found["live slot"][:8]) == ("no edge host yet", "none yet")


def test_an_edge_host_that_is_away_is_not_asked(say: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    say.update(running=["edge2", "app1"], holder="edge2", live={"edge2": "blue"})
    assert shown(capsys)["serving"] == "edge2"
