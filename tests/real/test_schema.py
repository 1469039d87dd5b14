# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A previous slot that would not start again: a trial start finds it out, and no run stops the slot or waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from environment import READY, READY_PORTS, Environment, Probe

HOST = "app1"
REASON = "ended with exit code 1: schema 5 is newer than 4"
SCHEMA = "/etc/greenroom/slots/{slot}.schema"
# Stands for a release that refuses a newer schema: it serves, unless a file says that the schema is newer.
FOLDER = "/run/greenroom-trial-test"
PROGRAM = """
import http.server, os, signal, socketserver, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
if os.path.exists("/schema/newer"):
    sys.exit("schema 5 is newer than 4")
socketserver.TCPServer(("", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
START = """
mkdir -p {folder}
podman run --detach --replace --name trial-test --network greenroom-{slot} --publish 127.0.0.1:18999:8080 \
    --volume {folder}:/schema:ro --workdir /schema --entrypoint /opt/portal/venv/bin/python {image} -c '{program}'
"""
END = f"podman rm --force --ignore --time=0 trial-test trial-test-trial; rm -rf {FOLDER}"


def trial(name: str, image: str, path: str) -> dict[str, Any]:
    """A task that tries a container."""
    container = {"name": name, "image": image, "port": 8080, "path": path}
    return {"slot_trial": {"containers": [container], "seconds": 60}}


def test_a_trial_start_tells_a_release_that_would_start_from_one_that_would_not(
    both_slots: Environment, tmp_path: Path
) -> None:
    live, idle = both_slots.live(), both_slots.idle()
    # The deploy of the idle slot has recorded what its release was started on.
    record = json.loads(both_slots.ask(HOST, f"cat {SCHEMA.format(slot=idle)}").stdout)
    assert (record["schema_of"], record["starts"], list(record["heads"])) == (idle, True, ["portal"])
    image = json.loads(both_slots.ask(HOST, f"cat /etc/greenroom/slots/{live}.fact").stdout)["images"]["portal"]
    before = both_slots.processes(live)
    start = START.format(folder=FOLDER, slot=live, image=image, program=PROGRAM)
    steps = [
        {"ansible.builtin.shell": {"cmd": start}},
        trial(f"portal-{live}", image, "/readyz"),
        trial("trial-test", image, "/"),
        {"ansible.builtin.file": {"path": f"{FOLDER}/newer", "state": "touch"}},
        trial("trial-test", image, "/"),
    ]
    tasks: list[dict[str, Any]] = [{"register": f"step{number}", **step} for number, step in enumerate(steps)]
    results = {"content": "{{ [step1, step2, step4] | to_json }}", "dest": str(tmp_path / "results.json")}
    here = {"delegate_to": "localhost", "connection": "local", "become": False}
    tasks.append({"ansible.builtin.copy": {**results, "mode": "0600"}, **here})
    play = {"hosts": HOST, "gather_facts": False, "become": True, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    try:
        run = both_slots.play(str(tmp_path / "play.yml"))
        assert run.code == 0, run.output
        names = both_slots.ask(HOST, "podman ps --all --format '{{.Names}}'").stdout.split()
    finally:
        both_slots.ssh(HOST, END)
    trials = json.loads((tmp_path / "results.json").read_text())
    assert [result["tried"] for result in trials] == [
        [{"name": f"portal-{live}", "starts": True, "reason": ""}],
        [{"name": "trial-test", "starts": True, "reason": ""}],
        [{"name": "trial-test", "starts": False, "reason": REASON}],
    ]
    assert not [name for name in names if name.endswith("-trial")]
    assert both_slots.processes(live) == before


@contextmanager
def refusing(environment: Environment, slot: str) -> Iterator[None]:
    """A slot with a release that would not start again, as a deploy records it."""
    file = SCHEMA.format(slot=slot)
    record = {"schema_of": slot, "heads": {"portal": []}, "starts": False, "reason": f"portal-{slot} {REASON}"}
    hosts = environment.groups["app"]
    for host in hosts:
        environment.ssh(host, f"[ ! -e {file} ] || cp -p {file} {file}.kept; echo '{json.dumps(record)}' > {file}")
    try:
        yield
    finally:
        for host in hosts:
            environment.ssh(host, f"rm -f {file}; [ ! -e {file}.kept ] || mv {file}.kept {file}")


def test_a_slot_that_would_not_start_again_is_kept_and_no_way_back_once_it_is_down(both_slots: Environment) -> None:
    old, new = both_slots.live(), both_slots.idle()
    hosts = both_slots.groups["app"]
    warning = f"does not start on the present database schema (portal-{old} {REASON})"
    with refusing(both_slots, old):
        moved = both_slots.play("playbooks/cutover.yml", "-e", f"to={new}")
        assert moved.code == 0, moved.output
        before_move, _, _ = moved.output.partition("PLAY [Cut over to the candidate]")
        assert warning in " ".join(before_move.split())
        kept = both_slots.processes(old)
        deploy = both_slots.play("playbooks/deploy.yml", "-e", "release_name=1.0")
        assert deploy.code != 0
        assert f"Nothing was deployed: a deploy stops {old}, to which a rollback from {new} would go." in deploy.errors
        assert warning in " ".join(deploy.errors.split())
        assert both_slots.processes(old) == kept
        with Probe(both_slots) as probe:
            for host in hosts:
                both_slots.ssh(host, f"systemctl stop portal-{old}")
            try:
                back = both_slots.play("playbooks/rollback.yml")
            finally:
                for host in hosts:
                    both_slots.ssh(host, f"systemctl start portal-{old}")
            assert back.code != 0
            assert f"No traffic was moved: {old} is down (portal-{old}.service on {', '.join(hosts)})." in back.errors
            assert warning in " ".join(back.errors.split())
            for host in hosts:
                both_slots.ask(host, READY.format(slot=old, **READY_PORTS[old]))
            # The edge hosts check each server once a second.
            time.sleep(3)
            run = both_slots.play("playbooks/rollback.yml")
            assert run.code == 0, run.output
        assert probe.failures == []
    assert both_slots.live() == old
