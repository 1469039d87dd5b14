# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The action `template_tree` opens a new connection after a change that could have locked the controller out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import plays
import yaml
from plays import ROOT

# Stands for the module, which has changed the firewall, and had undone an earlier change.
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule({{"name": {{}}, "units": {{}}, "state": {{}}, "apply": {{}}, "metadata": {{"type": "dict"}},
               "directories": {{"type": "list"}}, "confirm_files": {{"type": "list"}}, "_files": {{}},
               "_secret_files": {{}}}}).exit_json(changed=True, **{result!r})
"""
# This machine, as a host: `log` has what it was asked for, and it lets in nobody new if `locked` exists.
CONNECTION = '''
DOCUMENTATION = """
name: watched
short_description: This machine
description: This machine.
author: Greenroom developers
"""
from pathlib import Path
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local
FOLDER = Path({folder!r})
class Connection(Local):
    transport = "watched"
    new = False
    def reset(self):
        self.new = True
        self.say("reset")
    def exec_command(self, cmd, in_data=None, sudoable=True):
        if self.new and (FOLDER / "locked").exists():
            raise AnsibleConnectionFailure("Connection timed out")
        self.say("confirm" if "armed" in cmd else "call")
        return super().exec_command(cmd, in_data, sudoable)
    def say(self, word):
        with open(FOLDER / "log", "a") as log:
            print(word, file=log)
'''
UNDONE = {"name": "firewall", "at": 1764504180}


class Host:
    """A host whose undo is armed for some trees."""

    def __init__(self, folder: Path, *armed: str, result: dict[str, object] | None = None) -> None:
        self.folder = folder
        for name in ("action", "library", "connection"):
            (folder / name).mkdir()
        action = (ROOT / "plugins/action/template_tree.py").read_text()
        state = f"undo.manifest.STATE_DIRECTORY = {str(folder)!r}\n"
        (folder / "action/template_tree.py").write_text(f"{action}\n\n{state}")
        (folder / "library/template_tree.py").write_text(MODULE.format(result={"armed": list(armed), **(result or {})}))
        (folder / "connection/watched.py").write_text(CONNECTION.format(folder=str(folder)))
        for name in armed:
            (folder / "undo" / name).mkdir(parents=True)
            (folder / "undo" / name / "armed").touch()
        tasks = [{"template_tree": {"name": "firewall"}}, {"ansible.builtin.debug": {"msg": "and goes on"}}]
        plays.configure(folder, action_plugins=folder / "action", connection_plugins=folder / "connection")
        own = {
            "ansible_connection": "watched",
            "ansible_pipelining": True,
            "ansible_python_interpreter": sys.executable,
        }
        plays.write_hosts(folder, {"web": {"hosts": {"web1": own}}}, {})
        (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "web", "gather_facts": False, "tasks": tasks}]))

    def run(self) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run the play; return it, and what the host was asked for, without the module's own calls."""
        done = plays.run(self.folder)
        return done, [word for word in (self.folder / "log").read_text().split() if word != "call"]


def test_a_new_connection_confirms_the_change(tmp_path: Path) -> None:
    done, words = Host(tmp_path, "base", "firewall").run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "and goes on" in done.stdout
    # Both trees with one connection.
    assert words == ["reset", "confirm"]
    assert list((tmp_path / "undo").iterdir()) == []


def test_nothing_to_confirm_opens_no_connection(tmp_path: Path) -> None:
    done, words = Host(tmp_path).run()
    assert (done.returncode, words) == (0, [])


def test_a_run_that_is_locked_out_says_what_happens(tmp_path: Path) -> None:
    host = Host(tmp_path, "firewall")
    (tmp_path / "locked").touch()
    done, words = host.run()
    assert done.returncode == 4, done.stdout
    assert words == ["reset"]
    output = " ".join(done.stdout.split())
    assert "no new connection to the host since the change of firewall: Connection timed out" in output
    assert "The host puts the previous files back by itself within 60 s" in output
    assert "and goes on" not in output
    assert (tmp_path / "undo/firewall/armed").exists()


def test_a_connection_that_comes_too_late_is_a_failure(tmp_path: Path) -> None:
    host = Host(tmp_path, "firewall")
    (tmp_path / "undo/firewall/armed").rename(tmp_path / "undo/firewall/undone")
    done, _words = host.run()
    assert done.returncode == 2
    assert "came too late, so it undid the change of firewall" in " ".join((done.stdout + done.stderr).split())


def test_the_next_run_says_that_the_host_went_back(tmp_path: Path) -> None:
    done, _words = Host(tmp_path, result={"undone": [UNDONE]}).run()
    assert done.returncode == 0
    output = " ".join((done.stdout + done.stderr).split())
    assert "web1: firewall went back to its previous files at 2025-11-30 12:03:00 UTC, because the run that" in output


def test_a_failed_change_is_confirmed_too(tmp_path: Path) -> None:
    done, words = Host(tmp_path, "firewall", result={"failed": True, "msg": "unit haproxy failed to start"}).run()
    assert done.returncode == 2
    assert "unit haproxy failed to start" in done.stdout + done.stderr
    assert words == ["reset", "confirm"]
