# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The action of a module that hosts have compiled: when it calls the program, and when the module."""

from __future__ import annotations

import json
import sys
from typing import Any

import plays
import pytest
import yaml
from ansible.module_utils.greenroom.common.started import STARTED
from plays import ROOT

# Stands in for the program, and does what the option `subject` says. It notes how it was called.
PROGRAM = f"""
import json, os, sys
call = json.load(sys.stdin)
note = {{{{**call, "argv": sys.argv, "isolated": sys.flags.isolated, "env": dict(os.environ)}}}}
with open({{notes!r}}, "a") as notes:
    print(json.dumps(note), file=notes)
word = call["arguments"]["subject"]
if word == "refuses":
    print("this host has other logic")
    sys.exit()
if word == "dies early":
    sys.exit("SyntaxError: invalid syntax")
if word == "after a greeting":
    print("Welcome to this host!")
print({STARTED!r}, flush=True)
if word == "dies late":
    sys.exit("it broke")
print(json.dumps({{{{"way": "program", "failed": word == "fails", "msg": "said by the program", "bytes": "\\udcff"}}}}))
if word == "before a farewell":
    print("Goodbye!")
"""
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.modules.smoke_check import ARGUMENTS
AnsibleModule(ARGUMENTS, supports_check_mode=True).exit_json(way="module")
"""
CHECKS = [{"name": "one", "url": "http://127.0.0.1:1", "password": "a password"}]
# Tasks, and which way they take. `arguments` are the module's, the rest are the task's keywords.
TASKS: dict[str, tuple[dict[str, Any], str]] = {
    "usual": ({}, "program"),
    "after a greeting": ({}, "program"),
    "before a farewell": ({}, "program"),
    "fails": ({}, "program"),
    "large": ({"arguments": {"variables": {"a": "x" * 6_000_000}}}, "program"),
    "in check mode": ({"check_mode": True, "diff": True}, "program"),
    "dictionary": ({"arguments": {"variables": {1: "{{ '2026-01-02' | to_datetime('%Y-%m-%d') }}"}}}, "program"),
    "refuses": ({}, "module"),
    "dies early": ({}, "module"),
    "with an environment": ({"environment": {"A": "b"}}, "module"),
    "in the background": ({"async": 20, "poll": 1}, "module"),
    "with a path of the host": ({"arguments": {"junit": "~/report.xml"}}, "module"),
    "with a variable of the host": ({"arguments": {"defaults": {"ca_file": "$HOME/ca.crt"}}}, "module"),
    "with text for a list": ({"arguments": {"unreadable": "a,b"}}, "program"),
    "with text for a dictionary": ({"arguments": {"defaults": "url=http://a"}}, "module"),
    "with its invocation": ({"vars": {"ansible_inject_invocation": True}}, "module"),
    "python to be found": ({"vars": {"ansible_python_interpreter": "auto_silent"}}, "module"),
    # Whose Python must be found, too.
    "on another host": ({"delegate_to": "app2"}, "module"),
    "without checks": ({"arguments": {"checks": None}}, ""),
    "unknown option": ({"arguments": {"retries": 1}}, ""),
    "dies late": ({}, ""),
}
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, list[dict[str, Any]], str]:
    """The results of all tasks, the calls of the program, and what Ansible printed with -vvv."""
    folder = tmp_path_factory.mktemp("play")
    for name in ("action", "library"):
        (folder / name).mkdir()
    place = folder / "greenroom-module"
    place.write_text(PROGRAM.format(notes=str(folder / "notes")))
    action = (ROOT / "plugins/action/smoke_check.py").read_text()
    (folder / "action/smoke_check.py").write_text(f"{action}    PROGRAM = {str(place)!r}\n")
    (folder / "action/without_program.py").write_text(f"{action}    PROGRAM = {str(place) + '-missing'!r}\n")
    for name in ("smoke_check", "without_program"):
        (folder / f"library/{name}.py").write_text(MODULE)
    tasks = []
    for number, (name, (given, _way)) in enumerate(TASKS.items()):
        keywords = {key: value for key, value in given.items() if key != "arguments"}
        arguments = {"checks": CHECKS, "subject": name, **given.get("arguments", {})}
        tasks.append({"smoke_check": arguments, "register": f"r{number}", "ignore_errors": True, **keywords})
    tasks.append({"without_program": {"checks": CHECKS}, "register": f"r{len(TASKS)}"})
    results = {name: f"{{{{ r{number} }}}}" for number, name in enumerate([*TASKS, "none"])}
    tasks.append({"ansible.builtin.copy": {"content": "{{ results | to_json }}", "dest": str(folder / "results")}})
    tasks[-1]["vars"] = {"results": results}
    plays.configure(folder, action_plugins=folder / "action")
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    other = {**own, "ansible_python_interpreter": "auto_silent"}
    plays.write_hosts(folder, {"app": {"hosts": {"app1": own, "app2": other}}}, {})
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "app1", "gather_facts": False, "tasks": tasks}]))
    done = plays.run(folder, "-vvv")
    assert (folder / "results").exists(), done.stdout + done.stderr
    calls = [json.loads(line) for line in (folder / "notes").read_text().splitlines()]
    return json.loads((folder / "results").read_text()), calls, done.stdout


@pytest.mark.parametrize("name", TASKS)
def test_a_call_takes_one_way(ran: tuple[Results, list[dict[str, Any]], str], name: str) -> None:
    results, _calls, _output = ran
    assert results[name].get("way", "") == TASKS[name][1]


def test_a_host_without_the_program_gets_the_module(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    assert ran[0]["none"]["way"] == "module"


def test_what_may_have_run_does_not_run_again(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    result = ran[0]["dies late"]
    assert result["failed"]
    assert result["msg"].endswith(
        "/greenroom-module ended without a result (exit code 1). It may have changed the host."
    )
    assert (result["rc"], result["module_stderr"]) == (1, "it broke\n")
    assert STARTED in result["module_stdout"]


def test_a_failure_is_the_tasks(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    result = ran[0]["fails"]
    assert (result["failed"], result["msg"]) == (True, "said by the program")


def test_the_module_says_what_is_wrong_with_arguments(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    results, _calls, _output = ran
    assert "Unsupported parameters for (smoke_check) module: retries" in results["unknown option"]["msg"]
    assert "checks" in results["without checks"]["msg"]


def test_the_program_is_called_once_with_all_that_it_needs(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    _results, calls, _output = ran
    called = [call["arguments"]["subject"] for call in calls]
    expected = [name for name, (_given, way) in TASKS.items() if way == "program"]
    assert called == [*expected[:7], "refuses", "dies early", *expected[7:], "dies late"]
    usual = calls[0]
    assert (usual["module"], usual["check"], usual["diff"], usual["isolated"]) == ("smoke_check", False, False, 1)
    # With the defaults of all options, as a module has them.
    assert usual["arguments"]["deadline"] == 60
    assert usual["arguments"]["defaults"]["timeout"] == 10
    by_subject = dict(zip(called, calls, strict=True))
    assert len(by_subject["large"]["arguments"]["variables"]["a"]) == 6_000_000
    assert (by_subject["in check mode"]["check"], by_subject["in check mode"]["diff"]) == (True, True)
    assert by_subject["dictionary"]["arguments"]["variables"] == {"1": "2026-01-02T00:00:00"}
    assert by_subject["with text for a list"]["arguments"]["unreadable"] == ["a", "b"]


def test_secrets_go_through_standard_input_only(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    _results, calls, _output = ran
    for call in calls:
        assert len(call["argv"]) == 1
        assert "a password" not in json.dumps([call["argv"], call["env"]])
        assert "a password" in json.dumps(call["arguments"])


def test_verbose_output_says_why_the_module_ran(ran: tuple[Results, list[dict[str, Any]], str]) -> None:
    _results, _calls, output = ran
    for reason in ("this host has other logic", "SyntaxError: invalid syntax"):
        assert f"/greenroom-module doesn't: {reason}" in output
    assert "/greenroom-module-missing doesn't: " in output
