"""Files that were edited by hand on the hosts are shown, and repaired without effect on public traffic."""

from __future__ import annotations

import json
import re

import pytest
from environment import Environment, Probe
from trees import HELD

MANIFESTS = """
import json, pathlib
folder = pathlib.Path("/var/lib/greenroom/trees")
found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
print(json.dumps({tree: {dest: dest in made["secret"] for dest in made["files"]} for tree, made in found.items()}))
"""
EDIT = "# edited by hand"
# A host's result, which comes after the task's diff.
RESULT = re.compile(r"^(?:ok|changed|skipping|failed|fatal): \[([^] ]+)", re.M)
# Formats in which the edit wouldn't be a comment, so that a service couldn't start.
NO_COMMENTS = (".json", ".pem", ".key", ".crt", ".lst", "pgpass")


def files(environment: Environment, every: bool) -> dict[tuple[str, str], bool]:
    """One file of each tree that site.yml applies on any host, or each file, as {(host, path): is it secret?}."""
    found: dict[str, list[tuple[tuple[str, str], bool]]] = {}
    # There may be others, for example after a drill.
    held = {name.format(live=environment.live()) for name in HELD}
    for host in environment.hosts:
        for tree, paths in json.loads(environment.python(host, MANIFESTS)).items():
            if tree in held:
                own = [((host, path), secret) for path, secret in paths.items() if not path.endswith(NO_COMMENTS)]
                found.setdefault(tree, []).extend(own)
    assert set(found) == held
    return dict(place for places in found.values() for place in (places if every else places[:1]))


def shown_edits(output: str) -> dict[tuple[str, str], bool]:
    """Edits in the output of a run with --diff: {(host, path): whether the lines are hidden}."""
    found: dict[tuple[str, str], bool] = {}
    start = 0
    for result in RESULT.finditer(output):
        text, start = output[start : result.start()], result.end()
        for part in re.split(r"^--- before: ", text, flags=re.M)[1:]:
            if f"\n-{EDIT}\n" in part:
                found[result[1], part.split()[0]] = False
        for path in re.findall(r"^(/\S+): changed \(content is secret\)$", text, re.M):
            found[result[1], path] = True
    return found


def test_edits_by_hand_are_shown_and_repaired(staging: Environment, request: pytest.FixtureRequest) -> None:
    staging.rest()
    live = staging.live()
    edited = files(staging, request.config.getoption("--proof"))
    edited["app1", f"/etc/greenroom/slots/{live}/portal/config/portal.yml"] = False
    staging.say("edited by hand: " + ", ".join(f"{host}:{path}" for host, path in edited))
    sums = {place: staging.ask(place[0], f"sha256sum {place[1]}").stdout for place in edited}
    for host, path in edited:
        staging.ssh(host, f"echo '{EDIT}' >> {path}")
    processes = staging.processes(live)

    shown = staging.play("site.yml", "--check", "--diff")
    assert shown.code == 0, shown.output
    # Each on its host, with the added line; for secret files, only that they differ.
    assert shown_edits(shown.output) == edited
    for host, path in edited:
        assert EDIT in staging.ask(host, f"tail -n 1 {path}").stdout, f"{host}:{path} was repaired in check mode"

    with Probe(staging) as probe:
        staging.converge()
    assert {place: staging.ask(place[0], f"sha256sum {place[1]}").stdout for place in edited} == sums
    assert probe.failures == []
    assert staging.live() == live
    assert staging.processes(live) == processes


def test_an_edit_that_a_process_has_loaded_deploys_to_the_idle_slot(staging: Environment) -> None:
    old, new = staging.live(), staging.idle()
    path = f"/etc/greenroom/slots/{old}/portal/config/portal.yml"
    staging.ssh("app1", f"echo '{EDIT}' >> {path} && systemctl restart portal-{old}")
    with Probe(staging) as probe:
        staging.converge()
    assert probe.failures == []
    assert set(probe.slots) == {old, new}
    assert staging.live() == new
    assert staging.release() == "1.0"
    assert EDIT not in staging.ask("app1", f"cat {path}").stdout
