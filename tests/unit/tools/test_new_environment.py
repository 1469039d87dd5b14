# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""`make new`: the inventory has all keys of staging, a run accepts it, and it is said what can't be reached."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import warm_start
from tools import new_environment
from tools.new_environment import NewEnvironmentError, Wanted

ROOT = Path(__file__).resolve().parents[3]
STAGING = ROOT / "inventories/staging"
HOSTS = "edge=198.18.40.11,198.18.40.12 app=198.18.40.21 data=198.18.40.31 ops=198.18.41.41"


def wanted(hosts: str = HOSTS, **more: Any) -> Wanted:
    given: dict[str, Any] = {"name": "acme", "domain": "acme.test", "own": "127.0.0.1", **more}
    return Wanted(**given, hosts=new_environment.parse_hosts(hosts))


def variables(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in (folder / "group_vars" / name).glob("*.yml"):
        found |= yaml.safe_load(file.read_text())
    return found


@pytest.mark.parametrize(
    ("hosts", "more"),
    [(HOSTS, {"shared": "198.18.40.10", "protected": True, "login": "ada"}), ("198.18.40.5", {})],
)
def test_a_run_accepts_the_inventory(tmp_path: Path, hosts: str, more: dict[str, Any]) -> None:
    new_environment.write(wanted(hosts, **more), tmp_path, STAGING)
    own, staging = variables(tmp_path / "acme", "acme"), variables(STAGING, "staging")
    assert list(own) == list(staging)
    assert "staging" not in "".join(file.read_text() for file in tmp_path.rglob("*.yml"))
    (tmp_path / "access").mkdir(mode=0o700)
    for name in ("ca.crt", "ssh_key", "known_hosts", "vault-role-id", "vault-secret-id"):
        (tmp_path / "access" / name).write_text("x\n")
    (tmp_path / "group_vars").symlink_to(ROOT / "playbooks/group_vars")
    task = {"environment_validate": None, "run_once": True}
    play = {"hosts": "all", "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {**os.environ, "GREENROOM_ACCESS": str(tmp_path / "access")}
    environment["ANSIBLE_STDOUT_CALLBACK"] = "ansible.posix.json"
    words = ["-i", str(tmp_path / "acme"), str(tmp_path / "play.yml"), "-e", "confirm=acme"]
    done = warm_start.run(words, ROOT, environment)
    result = json.loads(done.stdout[done.stdout.index("{") :])
    (answer,) = result["plays"][0]["tasks"][0]["hosts"].values()
    assert not answer.get("failed"), answer["msg"]


def test_one_host_is_in_all_groups() -> None:
    text = new_environment.inventory(wanted("198.18.40.5"), STAGING)["hosts.yml"]
    groups = yaml.safe_load(text)["acme"]["children"]
    assert {group: list(its["hosts"]) for group, its in groups.items()} == {group: ["host1"] for group in groups}
    assert text.count("198.18.40.5") == 1


def test_a_host_in_two_groups_is_one_host() -> None:
    found = new_environment.parse_hosts("edge=192.0.2.1 app=192.0.2.1,192.0.2.2")
    assert new_environment.names(found) == {"192.0.2.1": "edge1", "192.0.2.2": "app2"}


@pytest.mark.parametrize(
    ("hosts", "network"),
    [
        (HOSTS, "198.18.40.0/23"),
        ("192.0.2.7", "192.0.2.0/24"),
        ("edge=10.0.0.1 app=10.3.0.1", "10.0.0.0/14"),
        ("edge=2001:db8::1 app=2001:db8::2", "2001:db8::/64"),
    ],
)
def test_the_network_has_all_hosts(hosts: str, network: str) -> None:
    assert new_environment.common_network(new_environment.parse_hosts(hosts)) == network


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        ("edge=192.0.2.1,", 'HOSTS: "edge=192.0.2.1,"'),
        ("edg=192.0.2.1", 'HOSTS: unknown group "edg"'),
        ("edge=192.0.2.1", "HOSTS: no host for app"),
        ("edge=192.0.2.1 app=192.0.2.1 data=192.0.2.1,192.0.2.2", "HOSTS: the group data has one host"),
    ],
)
def test_hosts_that_make_no_environment_are_refused(hosts: str, line: str) -> None:
    with pytest.raises(NewEnvironmentError) as refused:
        new_environment.parse_hosts(hosts)
    assert str(refused.value).startswith(line)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"name": "Acme"}, 'ENV: "Acme"'),
        ({"name": "edge"}, 'ENV: "edge"'),
        ({"domain": "acme"}, 'DOMAIN: "acme"'),
        ({"hosts": "192.0.2.1", "shared": "192.0.2.9"}, "SHARED: one edge host"),
    ],
)
def test_names_that_make_no_environment_are_refused(tmp_path: Path, more: dict[str, Any], line: str) -> None:
    with pytest.raises(NewEnvironmentError) as refused:
        new_environment.write(wanted(**more), tmp_path, STAGING)
    assert str(refused.value).startswith(line)
    assert list(tmp_path.iterdir()) == []


def test_an_inventory_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    with pytest.raises(NewEnvironmentError, match=r"acme exists\. Choose"):
        new_environment.write(wanted(), tmp_path, STAGING)
    assert list((tmp_path / "acme").iterdir()) == []


def test_it_is_said_whether_ssh_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            for said in (b"SSH-2.0-test\r\n", b"HTTP/1.1 400\r\n"):
                client, _address = server.accept()
                with client:
                    client.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        assert new_environment.reach("127.0.0.1", port, 60) == ""
        assert new_environment.reach("127.0.0.1", port, 60) == f"something other than SSH listens at port {port}"
        thread.join()
    assert new_environment.reach("127.0.0.1", port, 60) == f"no SSH at port {port}: Connection refused"
    assert "this name has no address" in new_environment.reach("nobody.invalid", port, 60)


def test_the_next_steps_name_what_was_guessed(tmp_path: Path) -> None:
    text = new_environment.next_steps(wanted(own=""), tmp_path / "acme")
    assert "firewall_ssh_sources   none: add your address" in text
    assert "keepalived_address     none" in text
    assert "ssh-keyscan -t ed25519 198.18.40.11 198.18.40.12" in text
