# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""make ps, logs, exec and console: what they run, on which hosts, with the inventory's settings."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def operate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("operate", ROOT / "tools/operate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["operate"] = module
    spec.loader.exec_module(module)
    return module


def test_the_inventorys_settings_for_ssh_count(operate: ModuleType, tmp_path: Path) -> None:
    settings = {
        "ansible_host": "192.0.2.{{ 7 }}",
        "ansible_user": "{{ 'ada' }}",
        "ansible_port": 2222,
        "ansible_ssh_common_args": "-o ProxyJump=gate -o 'UserKnownHostsFile={{ inventory_dir }}/a b'",
        "ansible_ssh_private_key_file": "/keys/ada",
    }
    hosts = {"all": {"children": {"app": {"hosts": {"one": settings, "two": {}}}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    inventory = operate.Inventory(str(tmp_path / "hosts.yml"))
    assert inventory.hosts("") == ["one", "two"]
    one = operate.ssh("one", inventory.variables("one", operate.SSH), "id", terminal=True)
    assert one == [
        *("ssh", "-t", "-o", "LogLevel=ERROR", "-o", "ProxyJump=gate", "-o", f"UserKnownHostsFile={tmp_path}/a b"),
        *("-i", "/keys/ada", "-p", "2222", "-l", "ada", "192.0.2.7", "sudo id"),
    ]
    bare = operate.ssh("two", {"ansible_become": False}, "id", terminal=False)
    assert bare == ["ssh", "-T", "-o", "LogLevel=ERROR", "two", "id"]


def test_sudo_reads_a_known_password_from_its_input(
    operate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The password is in no command line, and what sudo says without one becomes what to do."""
    (tmp_path / "ssh").write_text(
        '#!/bin/sh\ncase "$*" in *"sudo -S"*) read -r word; echo got $word;;'
        " *) echo sudo: a password is required; exit 1;; esac\n"
    )
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    hosts = {"all": {"children": {"app": {"hosts": {"one": {"ansible_become_password": "{{ 'pass' }}1"}, "two": {}}}}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    inventory = operate.Inventory(str(tmp_path / "hosts.yml"))
    assert operate.every(inventory, ["one", "two"], "id") == 1
    assert sorted(capsys.readouterr().out.splitlines()) == ["one  got pass1", f"two  {operate.PASSWORD}"]
    assert operate.every(inventory, ["two"], "id", "asked") == 0
    assert capsys.readouterr().out == "two  got asked\n"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["exec", "--service", "shop", "--command", "sh -c 'echo $HOME'"], "exec shop sh -c 'echo $HOME'"),
        (["console", "--service", "shop", "--slot", "blue"], "console --slot blue shop"),
    ],
)
def test_words_arrive_as_they_are(operate: ModuleType, words: list[str], command: str) -> None:
    assert operate.remote(operate.arguments(words)) == f"{operate.RUN} {command}"


def test_logs_are_those_of_the_service_and_its_jobs(operate: ModuleType) -> None:
    found = operate.remote(operate.arguments(["logs", "--service", "shop", "--slot", "blue", "--lines", "5"]))
    assert "--lines=5 --unit=shop-blue.service --unit='shop-job-*-blue.service'" in found
    assert "--follow" not in found


def test_a_command_without_a_service_says_what_to_write(operate: ModuleType) -> None:
    for what in ("logs", "exec", "console"):
        with pytest.raises(operate.OperateError, match=f"make {what} SERVICE=portal"):
            operate.remote(operate.arguments([what]))
    with pytest.raises(operate.OperateError, match="COMMAND="):
        operate.remote(operate.arguments(["exec", "--service", "shop"]))
