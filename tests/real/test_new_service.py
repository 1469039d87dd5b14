# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A further service needs one folder under services/, and nothing else anywhere: what the page about it says, done."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from environment import ROOT, Environment, Probe

PAGE = (ROOT / "docs/bring-your-own-service.md").read_text()
SECRET = "inbox/value/smtp"
PORTS = {"blue": "11080", "green": "21080"}


def from_page(file: str) -> str:
    """The content that the page gives a file: the block after its name."""
    found = re.search(rf"`{re.escape(file)}`.*?```yaml\n(.*?)```", PAGE, re.S)
    assert found, f"the page has no {file}"
    return found[1]


@pytest.fixture
def services(tmp_path: Path, staging: Environment) -> Iterator[Path]:
    """The catalogue and the page's service; afterwards the environment serves its own catalogue again."""
    folder = tmp_path / "services"
    shutil.copytree(ROOT / "services", folder)
    (folder / "inbox").mkdir()
    for file in ("service.yml", "checks.yml"):
        (folder / "inbox" / file).write_text(from_page(f"services/inbox/{file}"))
    yield folder
    if any("inbox" in unit for _host, unit in staging.processes(staging.live())):
        staging.converge()


def test_a_service_comes_with_its_folder_and_goes_with_it(staging: Environment, services: Path) -> None:
    old, new = staging.live(), staging.idle()
    ours = str(services)
    listed = staging.vault().secrets.kv.v2.list_secrets(path=staging.name, mount_point="greenroom")["data"]["keys"]
    if "inbox/" not in listed:
        run = staging.play("site.yml", GREENROOM_SERVICES=ours)
        command = "ansible-playbook -i inventories/staging playbooks/secrets.yml -e create=missing"
        line = f"secrets of staging are missing: {SECRET}; run: {command}"
        assert line in PAGE
        assert run.code != 0
        assert line in run.errors
    assert staging.play("playbooks/secrets.yml", "-e", "create=missing", GREENROOM_SERVICES=ours).code == 0

    with Probe(staging) as probe:
        run = staging.play("site.yml", GREENROOM_SERVICES=ours)
        assert run.code == 0, run.output
        assert staging.live() == new

        # It runs on each host, in the new slot only, and is served through the edge under its route.
        for host in staging.groups["app"]:
            assert (host, f"inbox-{new}.service") in staging.processes(new)
            assert (host, f"inbox-{old}.service") not in staging.processes(old)
            assert PORTS[new] in staging.ssh(host, "nft list table inet greenroom").stdout
        status, headers, body = staging.get("/inbox/")
        assert (status, headers["x-greenroom-slot"]) == (200, new)
        assert "MailDev" in body
        assert staging.get("/inbox/email")[0] == 200
        names = {check["name"] for check in yaml.safe_load((services / "inbox/checks.yml").read_text())}
        assert names <= {check["name"] for check in described(staging, new)["checks"]}

        # Without the folder it is gone from the public; the slot with it is the way back until the next release.
        staging.converge()
    assert staging.live() == old
    assert staging.get("/inbox/")[0] == 404
    assert not [unit for _host, unit in staging.processes(old) if unit.startswith("inbox-")]
    assert not staging.ssh("app1", f"ls /etc/containers/systemd/inbox-{old}.container", check=False).stdout
    assert "inbox" not in staging.ssh("edge1", f"cat /etc/haproxy/slots/{old}.cfg").stdout
    assert "inbox" in staging.ssh("edge1", f"cat /etc/haproxy/slots/{new}.cfg").stdout
    assert PORTS[new] in staging.ssh("app1", "nft list table inet greenroom").stdout
    assert probe.failures == []
    assert set(probe.slots) == {old, new}


def described(environment: Environment, slot: str) -> dict[str, list[dict[str, str]]]:
    """What a slot's bundle says about it."""
    result: dict[str, list[dict[str, str]]] = yaml.safe_load(
        environment.ssh("app1", f"cat /etc/greenroom/slots/{slot}.fact").stdout
    )
    return result
