# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Each slot is what its own bundle says, whatever the catalogue says by now: on the way there, beside it, and back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from environment import ROOT, Environment, Probe

CHECK = """
- name: The portal listens where this catalogue says
  "on": app
  url: "http://127.0.0.1:{{ catalogue.portal.ports.http.host[smoke_slot] }}/version"
"""
WORKER = """
image: portal
activation: live_only
command: [serve]
secrets:
  DATABASE_URL: {login: portal, of: portal}
  PORTAL_CSRF_KEYS: {ring: csrf, of: portal}
environment:
  KRATOS_PUBLIC_URL: http://kratos:4433
  KRATOS_ADMIN_URL: http://kratos:4434
  PORTAL_CONFIG: /etc/portal/portal.yml
config_of: portal
config_path: /etc/portal
"""
PORTS = {"blue": 18088, "green": 28088}


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """Another port, a route and a check more for the portal; a worker more; the courier by another name."""
    folder = tmp_path / "services"
    shutil.copytree(ROOT / "services", folder)
    path = folder / "portal/service.yml"
    portal = yaml.safe_load(path.read_text())
    portal["ports"]["http"]["container"] = 8088
    portal["environment"]["PORTAL_PORT"] = "8088"
    portal["routes"].append({"path": "/static", "auth": False})
    path.write_text(yaml.safe_dump(portal))
    checks = folder / "portal/checks.yml"
    checks.write_text(checks.read_text() + CHECK)
    (folder / "worker").mkdir()
    (folder / "worker/service.yml").write_text(WORKER)
    (folder / "kratos-courier").rename(folder / "courier")
    return folder


def without_password(environment: Environment) -> int:
    """What a stranger gets who asks for the style sheet."""
    connection = environment.connection()
    try:
        connection.request("GET", "/static/portal.css")
        return int(connection.getresponse().status)
    finally:
        connection.close()


def workers(environment: Environment) -> set[str]:
    """What runs of the services that run beside the live slot only, as host and unit."""
    units = {*environment.processes("blue"), *environment.processes("green")}
    return {f"{host} {unit}" for host, unit in units if unit.startswith(("worker-", "courier-", "kratos-courier-"))}


def test_a_slot_keeps_its_ports_routes_checks_and_workers(staging: Environment, services: Path) -> None:
    old, new = staging.live(), staging.idle()
    ours = str(services)
    moving = ("kratos-courier-", "portal-worker-")
    before = {key: value for key, value in staging.processes(old).items() if not key[1].startswith(moving)}
    with Probe(staging) as probe:
        assert without_password(staging) == 401
        run = staging.play("site.yml", GREENROOM_SERVICES=ours)
        assert run.code == 0, run.output
        assert staging.live() == new
        assert without_password(staging) == 200
        assert workers(staging) == {
            f"app1 courier-{new}.service",
            *(f"{host} worker-{new}.service" for host in ("app1", "app2")),
        }
        for host in staging.groups["app"]:
            rules = staging.ssh(host, "nft list table inet greenroom").stdout
            assert {str(PORTS[new]), str(PORTS[old] - 8)} <= set(rules.replace(",", " ").split()), rules

        # Nothing was left to open or to close, and nothing of the old slot's was touched.
        again = staging.play("site.yml", GREENROOM_SERVICES=ours)
        assert again.code == 0, again.output
        assert again.changed == dict.fromkeys(staging.hosts, 0), again.output
        assert {key: value for key, value in staging.processes(old).items() if key in before} == before

        # The way back is checked with the old slot's own checks, and brings its own workers.
        back = staging.play("playbooks/cutover.yml", "-e", f"to={old}", GREENROOM_SERVICES=ours)
        assert back.code == 0, back.output
        assert staging.live() == old
        assert without_password(staging) == 401
        assert workers(staging) == {f"app1 kratos-courier-{old}.service"}
    assert probe.failures == []
    assert set(probe.slots) == {old, new}


def test_what_a_bundle_says_is_mended_when_somebody_edited_it(staging: Environment) -> None:
    # The ports of the catalogue, which is our own again, are opened beside those of the test before.
    staging.converge()
    live = staging.live()
    path = f"/etc/greenroom/slots/{live}.fact"
    before = staging.ssh("app1", f"sha256sum {path}").stdout
    processes = staging.processes(live)
    staging.ssh("app1", f"echo edited >> {path}")
    run = staging.converge()
    # The other host's copy stood in for it: nothing else was to be done.
    assert run.changed == dict.fromkeys(staging.hosts, 0) | {"app1": 1}, run.output
    assert staging.ssh("app1", f"sha256sum {path}").stdout == before
    assert staging.live() == live
    assert staging.processes(live) == processes


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--limit", "app2"), "--limit leaves out app1, data1, edge1, edge2, ops1"),
        (("--limit", "app:edge"), "--limit leaves out data1, ops1"),
        (("-e", "slot_target=blue"), "slot_target: a run finds this out by itself"),
    ],
    ids=["one host", "some groups", "a slot"],
)
def test_a_run_cannot_be_talked_into_half_an_environment(
    staging: Environment, arguments: tuple[str, ...], line: str
) -> None:
    run = staging.play("site.yml", *arguments)
    assert run.code != 0
    assert line in run.errors
    assert sum(run.ssh.values()) == 0, run.ssh
