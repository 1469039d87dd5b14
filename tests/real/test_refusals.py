"""Faults of connections and hosts: one clear line, a failed run, and an unchanged environment.

Input that is refused before a run connects to a host is in tests/loopback.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ONE_TRY, Environment, Probe, kill, until


@pytest.fixture(scope="module", autouse=True)
def probe(staging: Environment) -> Iterator[None]:
    """Assert that the faults in this file don't affect public traffic."""
    live = staging.live()
    processes = staging.processes(live)
    with Probe(staging, every=0.3) as watching:
        yield
    assert watching.failures == []
    assert set(watching.slots) == {live}
    assert staging.processes(live) == processes


@pytest.fixture
def access(staging: Environment, tmp_path: Path) -> Path:
    """A copy of this machine's credentials for the environment, for mistakes."""
    folder = tmp_path / "access"
    shutil.copytree(staging.access, folder)
    return folder


def test_a_wrong_ssh_key_is_reported(staging: Environment, access: Path, tmp_path: Path) -> None:
    (access / "ssh_key").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(access / "ssh_key")], check=True)
    # Existing connections would work without the key, so this run doesn't use them.
    run = staging.play("site.yml", GREENROOM_ACCESS=str(access), ANSIBLE_SSH_CONTROL_PATH_DIR=str(tmp_path / "cp"))
    assert run.code != 0
    assert re.search("permission denied|publickey", run.errors, re.I), run.output
    assert "ok: [app1]" not in run.output


def test_a_host_that_becomes_unreachable_stops_the_run_for_all(staging: Environment, tmp_path: Path) -> None:
    live = staging.live()
    output = tmp_path / "output"
    process = staging.start("site.yml", "-e", "release_name=1.1", output=output, ANSIBLE_SSH_RETRIES=ONE_TRY)
    rule = "inet greenroom input tcp dport 22 ip saddr {} counter {} comment unreachable-for-a-test"
    cut = [rule.format("198.18.10.1", "drop"), rule.format(staging.hosts["edge1"], "accept")]
    try:
        until(lambda: "PLAY [Write the candidate's bundle" in output.read_text(), 600, "the deploy")
        staging.ssh("app2", "".join(f"nft insert rule {rule};" for rule in reversed(cut)))
        code = process.wait(timeout=600)
    finally:
        if process.poll() is None:
            kill(process)
        restore = "nft delete table inet greenroom; nft -f /etc/nftables.conf"
        staging.ssh("app2", restore, through="edge1")
    text = output.read_text()
    assert code != 0
    assert "fatal: [app2]: UNREACHABLE!" in text, text
    # Nothing is done after that, on any host.
    assert "TASK [" not in text[text.index("UNREACHABLE!") :]
    assert staging.live() == live
    assert staging.release() == "1.0"


def test_a_run_that_locks_itself_out_is_undone(staging: Environment) -> None:
    """The run can't foresee it: it is told that hosts see the controller under another address."""
    elsewhere = staging.hosts["ops1"]
    mistake = {"firewall_ssh_sources": [elsewhere], "firewall_controller_address": elsewhere}
    rules = "cat /etc/nftables.conf; nft --stateless list table inet greenroom; ls /var/lib/greenroom/undo"
    before = {host: staging.ask(host, rules, check=False).stdout for host in staging.hosts}
    run = staging.play("playbooks/provision.yml", "-e", json.dumps(mistake), ANSIBLE_SSH_RETRIES=ONE_TRY)
    assert run.code != 0
    for host in staging.hosts:
        assert f"fatal: [{host}]: UNREACHABLE!" in run.output
    assert "no new connection to the host since the change of firewall" in run.errors, run.output
    # Nobody does anything: the hosts let the controller in again.
    undone = "test -e /var/lib/greenroom/undo/firewall/undone && echo yes"
    until(lambda: all(staging.ssh_now(host, undone) for host in staging.hosts), 300, "all hosts went back")
    again = staging.play("playbooks/provision.yml")
    assert again.code == 0, again.output
    said = " ".join(again.output.split())
    for host in staging.hosts:
        assert f"{host}: firewall went back to its previous files at " in said, again.output
    assert {host: staging.ask(host, rules, check=False).stdout for host in staging.hosts} == before
    last = staging.play("playbooks/provision.yml")
    assert last.quiet, last.output
    assert "went back to its previous files" not in last.output


def test_a_full_disk_is_reported(staging: Environment) -> None:
    live, idle = staging.live(), staging.idle()
    folder = f"/etc/greenroom/slots/{idle}"
    staging.ssh("app2", f"mkdir -p {folder} && mount -t tmpfs -o size=8k,mode=0700 tmpfs {folder}")
    try:
        options = {"release_name": "1.1", "environment_toggles": {"new_checkout": True}}
        run = staging.play("site.yml", "-e", json.dumps(options))
    finally:
        staging.ssh("app2", f"umount {folder}")
    assert run.code != 0
    assert "fatal: [app2]" in run.output, run.output
    assert "No space left on device" in run.errors, run.output
    assert "TASK [bundle : Start the candidate" not in run.output
    assert staging.live() == live
