# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""`template_tree` on a real host with a real systemd: stale units, edits by hand, a kill, Quadlet, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from environment import Environment, Run

HOST = "app2"
UNIT = "tree-test.service"
CONFIG = "/etc/tree-test/tree-test.conf"
SERVICE = """\
[Unit]
Description=A unit to test with
[Service]
ExecStart=/bin/sh -c 'cat {config}; {command}'
[Install]
WantedBy=multi-user.target
"""
# systemctl of a host on which the run is killed when it comes to the restart.
DEADLY = """\
cat > /usr/local/sbin/systemctl <<'END'
#!/bin/sh
[ "$1" = restart ] && kill -9 $PPID && exit 1
exec /usr/bin/systemctl "$@"
END
chmod 755 /usr/local/sbin/systemctl
"""
TAME = "rm -f /usr/local/sbin/systemctl"


class Call:
    """Runs one call of template_tree and returns its result."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.run = Run(0, "")

    def __call__(self, setting: str = "one", command: str = "exec sleep 1000", **options: Any) -> dict[str, Any]:
        call = {
            "name": "tree-test",
            "files": [
                {
                    "dest": f"/etc/systemd/system/{UNIT}",
                    "content": SERVICE.format(config=CONFIG, command=command, restart="no"),
                },
                {"src": "tree-test.conf.j2", "dest": CONFIG, "vars": {"setting": setting}},
            ],
            "units": [{"name": UNIT, "enabled": True}],
            **options,
        }
        keep = {"content": "{{ result | to_json }}", "dest": str(self.folder / "result.json"), "mode": "0600"}
        tasks = [
            {"name": "Apply", "template_tree": call, "register": "result", "ignore_errors": True},
            {"ansible.builtin.copy": keep, "delegate_to": "localhost", "connection": "local", "become": False},
        ]
        play = {"hosts": HOST, "gather_facts": False, "become": True, "tasks": tasks}
        (self.folder / "templates").mkdir(exist_ok=True)
        (self.folder / "templates" / "tree-test.conf.j2").write_text("setting = {{ setting }}\n")
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        self.run = self.environment.play(str(self.folder / "play.yml"))
        assert self.run.code == 0, self.run.output
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return result

    def on_host(self, script: str) -> str:
        return self.environment.ssh(HOST, script).stdout.strip()

    def pid(self) -> str:
        return self.on_host(f"systemctl show -P MainPID {UNIT}")


@pytest.fixture
def call(tmp_path: Path, say: Callable[[str], None]) -> Iterator[Call]:
    call = Call(Environment(say=say), tmp_path)
    # A test that was killed may have left it.
    call.on_host(TAME)
    yield call
    call.on_host(TAME)
    call(state="absent")
    places = ("/etc", "/etc/*/system", "/etc/*/systemd", "/var/lib/greenroom/*")
    assert call.on_host(f"ls -d {' '.join(f'{place}/tree-test*' for place in places)} || true") == ""


def test_one_ssh_process_applies_all_and_a_second_call_changes_nothing(call: Call) -> None:
    assert call()["units"] == {UNIT: "started"}
    assert call.run.ssh[HOST] == 1
    pid = call.pid()
    assert call.on_host(f"systemctl is-active {UNIT}; systemctl is-enabled {UNIT}") == "active\nenabled"
    assert not call()["changed"]
    assert call.run.ssh[HOST] == 1
    assert call.pid() == pid
    assert call("two")["units"] == {UNIT: "restarted"}
    assert call.on_host(f"tail -n 1 {CONFIG}") == "setting = two"


def test_a_run_killed_between_write_and_restart_is_made_good_by_the_next(call: Call) -> None:
    call()
    pid = call.pid()
    call.on_host(DEADLY)
    assert call("two")["failed"]
    assert call.on_host(f"tail -n 1 {CONFIG}") == "setting = two"
    assert call.pid() == pid
    call.on_host("rm /usr/local/sbin/systemctl")
    result = call("two")
    assert result["changed_files"] == []
    assert result["units"] == {UNIT: "restarted"}


def test_an_edit_by_hand_is_mended_without_a_restart_and_found_when_it_was_loaded(call: Call) -> None:
    call()
    call.on_host(f"echo edited >> {CONFIG}")
    pid = call.pid()
    result = call(apply="drift")
    assert result["drifted_files"] == [CONFIG]
    assert result["loaded_drift"] == []
    assert not result["outdated"]
    assert call.pid() == pid
    assert "edited" not in call.on_host(f"cat {CONFIG}")
    call.on_host(f"echo edited >> {CONFIG}; systemctl restart {UNIT}")
    for _round in range(2):
        assert call(apply="drift")["loaded_drift"] == [UNIT]
    assert call()["units"] == {UNIT: "restarted"}
    assert call("two", apply="drift")["outdated"]
    assert call.on_host(f"tail -n 1 {CONFIG}") == "setting = one"


def test_a_unit_that_crashes_at_once_is_named_with_what_it_said(call: Call) -> None:
    result = call(command="echo I will not; exit 3")
    assert result["failed"]
    assert result["msg"].startswith(f"unit {UNIT} failed to start")
    assert "\n  I will not\n" in result["msg"]
    assert call()["units"] == {UNIT: "started"}


def test_quadlet_units_appear_and_go(call: Call) -> None:
    files = [{"dest": "/etc/containers/systemd/tree-test.network", "content": "[Network]\n"}]
    units = [{"name": "tree-test-network", "on_change": "none"}]
    assert call(files=files, units=units)["units"] == {"tree-test-network.service": "started"}
    assert not call(files=files, units=units)["changed"]
    assert "can't be enabled" in call(files=files, units=[{**units[0], "enabled": True}])["msg"]
    bad = [*files, {"dest": "/etc/containers/systemd/tree-test.container", "content": "[Container]\nNonsense=1\n"}]
    assert "unsupported key 'Nonsense'" in call(files=bad, units=[{"name": "tree-test"}])["msg"]
    assert call(files=[], units=[])["units"] == {"tree-test-network.service": "stopped"}
    call.on_host("podman network rm systemd-tree-test")
