# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A module that runs as a fork is the same as one that Python's start runs."""

from __future__ import annotations

import json
import sys
from typing import Any

import plays
import pytest

MODULE = """#!/usr/bin/python
import os, signal, sys
from ansible.module_utils import _internal
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.common import web

module = AnsibleModule({"how": {}}, supports_check_mode=True)
if module.params["how"] == "crash":
    raise ValueError("it broke")
if module.params["how"] == "die":
    os.kill(os.getpid(), signal.SIGTERM)
if module.params["how"] == "fail":
    module.fail_json("it is not there")
if module.params["how"] == "talk":
    sys.stderr.write("to everybody")
    sys.exit("no result")
print("a line before the result")
module.exit_json(
    warm="statistics" in sys.modules,
    said={
        "argv": [word.partition(".zip")[1:] for word in sys.argv],
        "environment": {name: os.environ.get(name) for name in ("KIND", "HOME", "PATH")},
        "cwd": os.getcwd(),
        "given": sys.stdin.read(),
        "controller": [_internal.is_controller, "ansible._internal" in sys.modules],
        "file": hasattr(sys.modules["__main__"], "__file__"),
        "logic": web.__file__.partition(".zip")[1:],
        "modules": sorted(name for name in sys.modules if name.startswith("ansible.module_utils.greenroom")),
        "check": module.check_mode,
    },
)
"""
WAYS: dict[str, dict[str, Any]] = {
    "usual": {},
    "environment": {"environment": {"KIND": "one's own; $HOME"}},
    "check": {"check_mode": True},
    **{how: {"tell": {"how": how}} for how in ("crash", "die", "fail", "talk")},
}
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    """The results of tasks as forks, and with another name of the same Python, which is started."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "library").mkdir()
    (folder / "library/tell.py").write_text(MODULE)
    other = folder / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    tasks: list[dict[str, Any]] = [
        {"tell": {}, "register": f"r_{name}", "ignore_errors": True, **given} for name, given in WAYS.items()
    ]
    results = {name: f"{{{{ r_{name} }}}}" for name in WAYS}
    keep = {"content": "{{ results | to_json }}", "dest": f"{folder}/{{{{ inventory_hostname }}}}"}
    tasks.append({"ansible.builtin.copy": keep, "vars": {"results": results}})
    plays.configure(folder)
    hosts = {name: {"ansible_python_interpreter": path} for name, path in (("warm", sys.executable), ("cold", other))}
    groups = {
        "all_of_them": {"hosts": {name: {key: str(path) for key, path in each.items()} for name, each in hosts.items()}}
    }
    plays.write_hosts(folder, groups, {"ansible_connection": "local"})
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all_of_them", "gather_facts": False, "tasks": tasks}]))
    done = plays.run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    warm, cold = (json.loads((folder / name).read_text()) for name in ("warm", "cold"))
    return warm, cold


def test_a_module_is_a_fork_only_with_the_tests_own_python(both: tuple[Results, Results]) -> None:
    assert [each["usual"]["warm"] for each in both] == [True, False]


@pytest.mark.parametrize("name", WAYS)
def test_its_surroundings_and_its_end_are_the_same(both: tuple[Results, Results], name: str) -> None:
    warm, cold = (each[name] for each in both)
    assert warm.get("said") == cold.get("said")
    # A shell adds its own word about a signal to the errors.
    for key in ("failed", "msg", "rc", "module_stdout", "warnings", *(["module_stderr"] if name != "die" else [])):
        assert warm.get(key) == cold.get(key), key
