# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""`template_tree` on a real host with a real systemd: stale units, edits by hand, a kill, Quadlet, and removal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
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
# A systemctl that kills the run at the restart.
DEADLY = """\
cat > /usr/local/sbin/systemctl <<'END'
#!/bin/sh
[ "$1" = restart ] && kill -9 $PPID && exit 1
exec /usr/bin/systemctl "$@"
END
chmod 755 /usr/local/sbin/systemctl
"""
TAME = "rm -f /usr/local/sbin/systemctl"
PID = f"systemctl show -P MainPID {UNIT}"
PLACES = ("/etc", "/etc/*/system", "/etc/*/systemd", "/var/lib/greenroom/*")
LEFT = f"ls -d {' '.join(f'{place}/tree-test*' for place in PLACES)} || true"
ABSENT = {"state": "absent"}


class Story:
    """Runs calls of template_tree and scripts on one host in sequence."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.run = Run(0, "")

    def __call__(self, *steps: Mapping[str, Any] | str) -> list[Any]:
        """Run all steps in one play: a call with these options, or a script. Returns each result or output."""
        names = [f"step{number}" for number in range(len(steps))]
        tasks = [
            {"name": name, "register": name, **(shell(step) if isinstance(step, str) else call(**step))}
            for name, step in zip(names, steps, strict=True)
        ]
        keep = {"content": f"{{{{ [{', '.join(names)}] | to_json }}}}", "dest": str(self.folder / "results.json")}
        tasks.append({"ansible.builtin.copy": {**keep, "mode": "0600"}, **HERE})
        play = {"hosts": HOST, "gather_facts": False, "become": True, "tasks": tasks}
        (self.folder / "templates").mkdir(exist_ok=True)
        (self.folder / "templates" / "tree-test.conf.j2").write_text("setting = {{ setting }}\n")
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        self.run = self.environment.play(str(self.folder / "play.yml"))
        assert self.run.code == 0, self.run.output
        results: list[dict[str, Any]] = json.loads((self.folder / "results.json").read_text())
        return [
            result["stdout"].strip() if isinstance(step, str) else result
            for step, result in zip(steps, results, strict=True)
        ]

    def on_host(self, script: str) -> str:
        return self.environment.ssh(HOST, script).stdout.strip()


HERE = {"delegate_to": "localhost", "connection": "local", "become": False}


def call(setting: str = "one", command: str = "exec sleep 1000", **options: Any) -> dict[str, Any]:
    """A task that applies a unit and its configuration, unless `options` replace them."""
    wanted = {
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
    return {"template_tree": wanted, "ignore_errors": True}


def shell(script: str) -> dict[str, Any]:
    """A task that runs a script and ignores errors."""
    return {"ansible.builtin.shell": {"cmd": script}, "ignore_errors": True}


@pytest.fixture
def story(tmp_path: Path, say: Callable[[str], None]) -> Iterator[Story]:
    made = Story(Environment(say=say), tmp_path)
    # A killed test may have left it.
    made.on_host(TAME)
    yield made
    made.on_host(TAME)
    if made.on_host(LEFT):
        made(ABSENT)
    assert made.on_host(LEFT) == ""


def test_one_ssh_process_applies_all_and_a_second_call_changes_nothing(story: Story) -> None:
    [first] = story({})
    assert first["units"] == {UNIT: "started"}
    assert story.run.ssh[HOST] == 1
    pid = story.on_host(PID)
    assert story.on_host(f"systemctl is-active {UNIT}; systemctl is-enabled {UNIT}") == "active\nenabled"
    [second] = story({})
    assert not second["changed"]
    assert story.run.ssh[HOST] == 1
    assert story.on_host(PID) == pid
    third, line, _gone = story({"setting": "two"}, f"tail -n 1 {CONFIG}", ABSENT)
    assert third["units"] == {UNIT: "restarted"}
    assert line == "setting = two"


def test_the_next_run_completes_one_killed_between_write_and_restart(story: Story) -> None:
    _first, before, _deadly, killed, line, after, _tame, result, _gone = story(
        {}, PID, DEADLY, {"setting": "two"}, f"tail -n 1 {CONFIG}", PID, TAME, {"setting": "two"}, ABSENT
    )
    assert killed["failed"]
    assert line == "setting = two"
    assert after == before != ""
    assert result["changed_files"] == []
    assert result["units"] == {UNIT: "restarted"}


def test_an_edit_is_repaired_without_a_restart_and_reported_if_loaded(story: Story) -> None:
    drift = {"apply": "drift"}
    show = f"cat {CONFIG}"
    _first, _edit, before, result, after, text, _loaded, *found, repaired, outdated, line, _gone = story(
        *({}, f"echo edited >> {CONFIG}", PID, drift, PID, show),
        *(f"echo edited >> {CONFIG}; systemctl restart {UNIT}", drift, drift, {}),
        *({"setting": "two", **drift}, f"tail -n 1 {CONFIG}", ABSENT),
    )
    assert result["drifted_files"] == [CONFIG]
    assert result["loaded_drift"] == []
    assert not result["outdated"]
    assert after == before != ""
    assert "setting = one" in text
    assert "edited" not in text
    assert [each["loaded_drift"] for each in found] == [[UNIT]] * 2
    assert repaired["units"] == {UNIT: "restarted"}
    assert outdated["outdated"]
    assert line == "setting = one"


def test_a_unit_that_crashes_at_once_is_reported_with_its_output(story: Story) -> None:
    crash = {"command": "echo I will not; exit 3"}
    # On a busy machine, the crash may come after the time for which a new process is watched. So there are three calls.
    *results, good, _gone = story(crash, crash, crash, {}, ABSENT)
    result = next(each for each in results if each.get("failed"))
    assert result["msg"].startswith(f"unit {UNIT} failed to start")
    assert "\n  I will not\n" in result["msg"]
    assert good["units"] == {UNIT: "started"}


def test_quadlet_units_are_created_and_removed(story: Story) -> None:
    files = [{"dest": "/etc/containers/systemd/tree-test.network", "content": "[Network]\n"}]
    units = [{"name": "tree-test-network", "on_change": "none"}]
    bad = [*files, {"dest": "/etc/containers/systemd/tree-test.container", "content": "[Container]\nNonsense=1\n"}]
    first, second, enabled, nonsense, stopped, removed, _gone = story(
        {"files": files, "units": units},
        {"files": files, "units": units},
        {"files": files, "units": [{**units[0], "enabled": True}]},
        {"files": bad, "units": [{"name": "tree-test"}]},
        {"files": [], "units": []},
        "podman network rm systemd-tree-test",
        ABSENT,
    )
    assert first["units"] == {"tree-test-network.service": "started"}
    assert not second["changed"]
    assert "can't be enabled" in enabled["msg"]
    assert "unsupported key 'Nonsense'" in nonsense["msg"]
    assert stopped["units"] == {"tree-test-network.service": "stopped"}
    assert removed == "systemd-tree-test"
