"""Files that somebody edited by hand on the hosts are shown, and mended without anybody noticing."""

from __future__ import annotations

import json

import pytest
from environment import Environment, Probe

MANIFESTS = """
import json, pathlib
folder = pathlib.Path("/var/lib/greenroom/trees")
print(json.dumps({path.stem: json.loads(path.read_text())["files"] for path in folder.glob("*.json")}))
"""
EDIT = "# edited by hand"
# Formats in which the edit would be no comment, so that a service could not start any more.
NO_COMMENTS = (".json", ".pem", ".key", ".crt", ".lst", "pgpass")


def files(environment: Environment, every: bool) -> list[tuple[str, str]]:
    """Host and path of one file of each tree that a role owns on any host; or of each file."""
    found: dict[str, list[tuple[str, str]]] = {}
    for host in environment.hosts:
        for tree, paths in json.loads(environment.python(host, MANIFESTS)).items():
            if tree != f"edge-{environment.idle()}":
                found.setdefault(tree, []).extend((host, path) for path in paths if not path.endswith(NO_COMMENTS))
    assert {"base", "firewall", "container_runtime", "node_exporter", "postgres", "edge", "edge-unit"} <= set(found)
    assert {"backup", "monitoring", "mail_sandbox", "activation", f"edge-{environment.live()}"} <= set(found)
    return [place for places in found.values() for place in (places if every else places[:1])]


def test_edits_by_hand_are_shown_and_mended(staging: Environment, request: pytest.FixtureRequest) -> None:
    live = staging.live()
    edited = files(staging, request.config.getoption("--proof"))
    edited.append(("app1", f"/etc/greenroom/slots/{live}/portal/config/portal.yml"))
    staging.say("edited by hand: " + ", ".join(f"{host}:{path}" for host, path in edited))
    sums = {place: staging.ssh(place[0], f"sha256sum {place[1]}").stdout for place in edited}
    for host, path in edited:
        staging.ssh(host, f"echo '{EDIT}' >> {path}")
    processes = staging.processes(live)

    shown = staging.play("site.yml", "--check", "--diff")
    assert shown.code == 0, shown.output
    for host, path in edited:
        assert path in shown.output, f"{host}:{path} is not shown"
    assert shown.output.count(f"\n-{EDIT}") >= len(edited) - 3  # Less secret files, whose lines nobody sees.
    assert EDIT in staging.ssh(edited[0][0], f"cat {edited[0][1]}").stdout

    with Probe(staging) as probe:
        staging.converge()
    assert {place: staging.ssh(place[0], f"sha256sum {place[1]}").stdout for place in edited} == sums
    assert probe.failures == []
    assert staging.live() == live
    assert staging.processes(live) == processes


def test_an_edit_that_a_running_process_has_loaded_moves_the_release_to_the_other_slot(staging: Environment) -> None:
    old, new = staging.live(), staging.idle()
    path = f"/etc/greenroom/slots/{old}/portal/config/portal.yml"
    staging.ssh("app1", f"echo '{EDIT}' >> {path} && systemctl restart portal-{old}")
    with Probe(staging) as probe:
        staging.converge()
    assert probe.failures == []
    assert set(probe.slots) == {old, new}
    assert staging.live() == new
    assert staging.release() == "1.0"
    assert EDIT not in staging.ssh("app1", f"cat {path}").stdout
