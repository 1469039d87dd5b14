# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Each slot follows its own bundle, even if the catalog has changed: during a deploy, while idle, and in a rollback."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from environment import ROOT, Environment, Probe, Run

PAGE = (ROOT / "docs/bring-your-own-service.md").read_text()
CHECK = """
- name: The portal listens on the port in this catalog
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
calls: [kratos.public, kratos.admin]
environment:
  KRATOS_PUBLIC_URL: http://kratos:4433
  KRATOS_ADMIN_URL: http://kratos:4434
  PORTAL_CONFIG: /etc/portal/portal.yml
config_of: portal
config_path: /etc/portal
"""
# Its check is a command in its container.
POST = """
image: maildev
ports:
  smtp: {container: 1025, host: 12025, from: []}
  web: {container: 1080, host: 12080, from: []}
health:
  command:
    - node
    - -e
    - require("net").connect(1025, "127.0.0.1").on("connect", () => process.exit(0)).on("error", () => process.exit(1))
  start_period: 300
"""
# A feature that is off in the inventory. `-e` replaces the inventory's toggles.
TOGGLED = ("-e", json.dumps({"environment_toggles": {"new_checkout": True, "test_endpoints": True}}))
PORTS = {"blue": 18088, "green": 28088}
INBOX_PORTS = {"blue": "11080", "green": "21080"}
MOVING = ("kratos-courier-", "portal-worker-")


def from_page(file: str) -> str:
    """The content of a file on the page about your own service: the block after its name."""
    found = re.search(rf"`{re.escape(file)}`.*?```yaml\n(.*?)```", PAGE, re.S)
    assert found, f"the page has no {file}"
    return found[1]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's service, a worker and a renamed courier; another port, and one more route and check for the portal.

    Kratos and one more service have health checks of other kinds.
    """
    folder = tmp_path_factory.mktemp("catalogue") / "services"
    shutil.copytree(ROOT / "services", folder)
    path = folder / "portal/service.yml"
    portal = yaml.safe_load(path.read_text())
    portal["ports"]["http"]["container"] = 8088
    portal["environment"]["PORTAL_PORT"] = "8088"
    portal["routes"].append({"path": "/static", "auth": False})
    path.write_text(yaml.safe_dump(portal))
    checks = folder / "portal/checks.yml"
    checks.write_text(checks.read_text() + CHECK)
    kratos = yaml.safe_load((folder / "kratos/service.yml").read_text())
    kratos["health"] = {"port": "public", "tcp": True}
    (folder / "kratos/service.yml").write_text(yaml.safe_dump(kratos))
    (folder / "post").mkdir()
    (folder / "post/service.yml").write_text(POST)
    (folder / "worker").mkdir()
    (folder / "worker/service.yml").write_text(WORKER)
    (folder / "kratos-courier").rename(folder / "courier")
    (folder / "inbox").mkdir()
    for file in ("service.yml", "checks.yml"):
        (folder / "inbox" / file).write_text(from_page(f"services/inbox/{file}"))
    return folder


@dataclass
class Deploy:
    """A deploy of another catalog with one more toggle that is on, and the state before."""

    environment: Environment
    catalogue: str
    old: str
    new: str
    before: dict[tuple[str, str], str]
    status: int = 0
    off: bool = False
    failures: list[str] = field(default_factory=list)

    def play(self, playbook: str, *arguments: str) -> Run:
        """Run a playbook with that catalog and toggle; it must succeed."""
        run = self.environment.play(playbook, *TOGGLED, *arguments, GREENROOM_SERVICES=self.catalogue)
        assert run.code == 0, run.output
        return run

    def untouched(self) -> bool:
        """Whether the old slot's processes are unchanged, except for background services."""
        now = self.environment.processes(self.old)
        return {key: value for key, value in now.items() if key in self.before} == self.before


@pytest.fixture(scope="module")
def deploy(staging: Environment, services: Path) -> Iterator[Deploy]:
    """One deploy of that catalog, which goes live; afterwards, the environment has its own catalog again."""
    old, new = staging.live(), staging.idle()
    before = {key: value for key, value in staging.processes(old).items() if not key[1].startswith(MOVING)}
    off = not new_checkout(staging)
    made = Deploy(staging, str(services), old, new, before, without_password(staging), off)
    made.play("playbooks/secrets.yml", "-e", "create=missing")
    with Probe(staging) as probe:
        made.play("site.yml")
    made.failures = probe.failures
    yield made
    if any("inbox" in unit for _host, unit in staging.processes(staging.live())):
        staging.converge()


def without_password(environment: Environment) -> int:
    """The status of the style sheet without the edge's password."""
    connection = environment.connection()
    try:
        connection.request("GET", "/static/portal.css")
        return int(connection.getresponse().status)
    finally:
        connection.close()


def new_checkout(environment: Environment) -> bool:
    """Whether the live portal has the new checkout, as its front page says."""
    page = environment.get("/")[2]
    found = re.search(r"New checkout <small>(on|off)</small>", page)
    assert found, page
    return found[1] == "on"


def workers(environment: Environment) -> set[str]:
    """The running background services, as host and unit."""
    units = {*environment.processes("blue"), *environment.processes("green")}
    return {f"{host} {unit}" for host, unit in units if unit.startswith(("worker-", "courier-", "kratos-courier-"))}


def described(environment: Environment, slot: str) -> dict[str, list[dict[str, str]]]:
    """The description of a slot in its bundle."""
    result: dict[str, list[dict[str, str]]] = yaml.safe_load(
        environment.ask("app1", f"cat /etc/greenroom/slots/{slot}.fact").stdout
    )
    return result


def test_a_slot_keeps_its_ports_routes_checks_and_workers(staging: Environment, deploy: Deploy) -> None:
    old, new = deploy.old, deploy.new
    with Probe(staging) as probe:
        assert deploy.status == 401
        assert staging.live() == new
        assert without_password(staging) == 200
        # The toggle is on in this slot only, and the portal behaves so.
        assert deploy.off
        assert new_checkout(staging)
        shown = staging.play("playbooks/status.yml").output
        assert re.findall(r"toggles on: (.+)", shown).count("new_checkout, test_endpoints") == 1, shown
        assert workers(staging) == {
            f"app1 courier-{new}.service",
            *(f"{host} worker-{new}.service" for host in ("app1", "app2")),
        }
        for host in staging.groups["app"]:
            rules = staging.ask(host, "nft list table inet greenroom").stdout
            assert {str(PORTS[new]), str(PORTS[old] - 8)} <= set(rules.replace(",", " ").split()), rules

        # All ports were already open or closed, and the old slot is unchanged.
        again = deploy.play("site.yml")
        assert again.changed == dict.fromkeys(staging.hosts, 0), again.output
        assert deploy.untouched()

        # The rollback uses the old slot's own checks, and starts its own background services.
        deploy.play("playbooks/cutover.yml", "-e", f"to={old}")
        assert staging.live() == old
        assert without_password(staging) == 401
        assert not new_checkout(staging)
        assert workers(staging) == {f"app1 kratos-courier-{old}.service"}
    assert deploy.failures + probe.failures == []
    assert set(probe.slots) == {old, new}


def test_a_service_is_added_and_removed_with_its_folder(staging: Environment, deploy: Deploy) -> None:
    old, new = deploy.old, deploy.new
    with Probe(staging) as probe:
        if staging.live() == old:
            deploy.play("playbooks/cutover.yml", "-e", f"to={new}")
        assert staging.live() == new

        # It runs on each host, only in the new slot, and is served through the edge on its route.
        for host in staging.groups["app"]:
            assert (host, f"inbox-{new}.service") in staging.processes(new)
            assert (host, f"inbox-{old}.service") not in staging.processes(old)
            assert (host, f"post-{new}.service") in staging.processes(new)
            assert INBOX_PORTS[new] in staging.ask(host, "nft list table inet greenroom").stdout
        status, headers, body = staging.get("/inbox/")
        assert (status, headers["x-greenroom-slot"]) == (200, new)
        assert "MailDev" in body
        assert staging.get("/inbox/email")[0] == 200
        names = {check["name"] for check in yaml.safe_load(from_page("services/inbox/checks.yml"))}
        assert names <= {check["name"] for check in described(staging, new)["checks"]}

        # Without the folder, it is no longer public. The slot with it stays for a rollback until the next release.
        staging.converge()
    assert staging.live() == old
    assert staging.get("/inbox/")[0] == 404
    assert not [unit for _host, unit in staging.processes(old) if unit.startswith("inbox-")]
    assert not staging.ask("app1", f"ls /etc/containers/systemd/inbox-{old}.container", check=False).stdout
    assert "inbox" not in staging.ask("edge1", f"cat /etc/haproxy/slots/{old}.cfg").stdout
    assert "inbox" in staging.ask("edge1", f"cat /etc/haproxy/slots/{new}.cfg").stdout
    assert INBOX_PORTS[new] in staging.ask("app1", "nft list table inet greenroom").stdout
    assert deploy.failures + probe.failures == []
    assert set(probe.slots) == {old, new}


def test_an_edited_bundle_description_is_repaired(staging: Environment) -> None:
    staging.rest()
    live = staging.live()
    path = f"/etc/greenroom/slots/{live}.fact"
    before = staging.ask("app1", f"sha256sum {path}").stdout
    processes = staging.processes(live)
    staging.ssh("app1", f"echo edited >> {path}")
    run = staging.converge()
    # The run used the other host's copy, so nothing else changed.
    assert run.changed == dict.fromkeys(staging.hosts, 0) | {"app1": 1}, run.output
    assert staging.ask("app1", f"sha256sum {path}").stdout == before
    assert staging.live() == live
    assert staging.processes(live) == processes
