"""A further service needs one folder under services/, and nothing else anywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ROOT, Environment, Probe

SERVICE = """
image: portal
group: app
command: [serve]
ports:
  http: {container: 8090, from: [edge]}
secrets:
  DATABASE_URL: {login: portal, of: portal}
  PORTAL_CSRF_KEYS: {ring: csrf, of: portal}
environment:
  PORTAL_PORT: "8090"
  KRATOS_PUBLIC_URL: http://kratos:4433
  KRATOS_ADMIN_URL: http://kratos:4434
  PORTAL_CONFIG: /etc/hello/portal.yml
config_path: /etc/hello
health: {port: http, path: /readyz}
routes:
  - {path: /ping}
"""
CHECKS = """
- name: The new service says hello
  url: /ping?id=hello
  expect: {json: {id: hello, slot: "{{ smoke_slot }}"}}
"""


@pytest.fixture
def services(tmp_path: Path, staging: Environment) -> Iterator[Path]:
    """The catalogue and one service more; afterwards the environment serves its own catalogue again."""
    folder = tmp_path / "services"
    shutil.copytree(ROOT / "services", folder)
    (folder / "hello/config").mkdir(parents=True)
    (folder / "hello/service.yml").write_text(SERVICE)
    (folder / "hello/checks.yml").write_text(CHECKS)
    (folder / "hello/config/portal.yml.j2").write_text("features: {test_endpoints: true}\n")
    yield folder
    if any("hello" in unit for _host, unit in staging.processes(staging.live())):
        staging.converge()


def test_a_service_comes_with_its_folder_and_goes_with_it(staging: Environment, services: Path) -> None:
    old, new = staging.live(), staging.idle()
    port = {"blue": 18090, "green": 28090}[new]
    with Probe(staging) as probe:
        run = staging.play("site.yml", GREENROOM_SERVICES=str(services))
        assert run.code == 0, run.output
        assert staging.live() == new

        # It runs on each host in the live slot only, and is served through the edge under its route.
        for host in staging.groups["app"]:
            assert (host, f"hello-{new}.service") in staging.processes(new)
            assert (host, f"hello-{old}.service") not in staging.processes(old)
            rules = staging.ssh(host, "nft list table inet greenroom").stdout
            assert str(port) in rules
        status, _headers, body = staging.get("/ping?id=from-a-test")
        assert (status, json.loads(body)) == (200, {"id": "from-a-test", "slot": new})
        logs = [
            staging.ssh(host, f"journalctl -u hello-{new} --since -5min -o cat | grep -F from-a-test || true").stdout
            for host in staging.groups["app"]
        ]
        assert any(logs)

        # Without the folder it is gone from the public; the slot with it is the way back until the next release.
        staging.converge()
    assert staging.live() == old
    assert not [unit for _host, unit in staging.processes(old) if unit.startswith("hello-")]
    assert not staging.ssh("app1", f"ls /etc/containers/systemd/hello-{old}.container", check=False).stdout
    assert "hello" not in staging.ssh("edge1", f"cat /etc/haproxy/slots/{old}.cfg").stdout
    assert probe.failures == []
    assert set(probe.slots) == {old, new}
