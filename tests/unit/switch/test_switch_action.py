# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The action of bluegreen_switch: it calls the program on the host, and the module where there is none like it."""

from __future__ import annotations

import sys
from pathlib import Path

import plays
import pytest
import yaml
from plays import ROOT

# As roles/edge installs it, with the logic of this checkout.
PROGRAM = f"""#!{sys.executable} -I
import sys
sys.path.insert(0, {str(ROOT / "plugins/module_utils")!r})
from greenroom.switch import module_call
from greenroom.switch.watchdog import main
LOGIC
sys.exit(main(sys.argv[1:]))
"""
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.switch.options import ARGUMENTS
AnsibleModule(ARGUMENTS, supports_check_mode=True).fail_json(msg="this is the module")
"""


def run(folder: Path, program: str | None, *options: str) -> str:
    """Run a play that sets the live slot and tells the result; return what Ansible printed."""
    for name in ("action", "library"):
        (folder / name).mkdir()
    action = (ROOT / "plugins/action/bluegreen_switch.py").read_text()
    assert action.count("/usr/local/sbin/greenroom-edge") == 1
    place = folder / "greenroom-edge"
    (folder / "action/bluegreen_switch.py").write_text(action.replace("/usr/local/sbin/greenroom-edge", str(place)))
    (folder / "library/bluegreen_switch.py").write_text(MODULE)
    if program is not None:
        place.write_text(program)
        place.chmod(0o755)
    files = {"state_file": "state.json", "map_file": "live.map", "socket": "admin.sock", "master_socket": "master.sock"}
    switch = {"site": "staging", "live": "green", **{name: str(folder / file) for name, file in files.items()}}
    tasks = [
        {"bluegreen_switch": switch, "register": "result"},
        {"ansible.builtin.debug": {"msg": "live {{ result.live }}, repaired {{ result.repaired | join(' ') }}"}},
    ]
    plays.configure(folder, action_plugins=folder / "action")
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    plays.write_hosts(folder, {"edge": {"hosts": {"edge1": own}}}, {})
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "edge", "gather_facts": False, "tasks": tasks}]))
    done = plays.run(folder, *options)
    return done.stdout + done.stderr


def test_the_program_does_what_the_module_would(tmp_path: Path) -> None:
    assert "live green, repaired state map" in run(tmp_path, PROGRAM.replace("LOGIC", ""))
    assert (tmp_path / "live.map").read_text() == "staging 1:green:-:0:-\n"


def test_check_mode_reaches_the_program(tmp_path: Path) -> None:
    assert "live green, repaired state map" in run(tmp_path, PROGRAM.replace("LOGIC", ""), "--check")
    assert not (tmp_path / "live.map").exists()


def test_a_refusal_of_the_program_fails_the_task(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    output = run(tmp_path, PROGRAM.replace("LOGIC", ""))
    assert "state.json" in output
    assert "failed=1" in output
    assert "this is the module" not in output


@pytest.mark.parametrize(
    "program",
    [None, PROGRAM.replace("LOGIC", "module_call.logic_digest = lambda: 'older'"), "#!/bin/sh\nexit 2\n"],
    ids=["none", "other logic", "older program"],
)
def test_without_such_a_program_the_module_runs(tmp_path: Path, program: str | None) -> None:
    assert "this is the module" in run(tmp_path, program)


def test_a_switch_that_broke_off_is_not_sent_again(tmp_path: Path) -> None:
    output = run(tmp_path, PROGRAM.replace("LOGIC", "module_call.carry_out = None"))
    assert "greenroom-edge module ended without a result (exit code 1)" in output
    assert "this is the module" not in output
