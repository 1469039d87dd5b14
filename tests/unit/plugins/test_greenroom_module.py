# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-module, which carries out calls of modules on hosts: what it refuses, and that it returns what they do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import _list_no_log_values, remove_values
from ansible.module_utils.greenroom.common.started import STARTED
from ansible.module_utils.greenroom.modules import logic, no_log, program, smoke_check, template_tree
from ansible.module_utils.greenroom.tree import converge, files
from ansible.module_utils.greenroom.tree import manifest as tree_manifest
from modules import run_module
from plays import ROOT
from webserver import Reply, serve

LOGIC = ROOT / "plugins/module_utils/greenroom"
SECRET = "correct-horse-battery-staple-7"
ARGUMENTS = {"smoke_check": smoke_check.ARGUMENTS, "template_tree": template_tree.ARGUMENTS}
NOBODY = [{"name": "one", "type": "tcp", "host": "127.0.0.1", "port": 1}]


def request(module: str, check: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
    """A call as the action sends it."""
    checked = ArgumentSpecValidator(ARGUMENTS[module]).validate(arguments)
    assert not checked.error_messages
    given = checked.validated_parameters
    return {"module": module, "logic": logic.digest(), "arguments": given, "check": check, "diff": diff}


# --- on a host of its own ---


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder with what roles/base installs."""
    for package in logic.PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(LOGIC / package, tmp_path / "lib/greenroom" / package, ignore=ignored)
    shutil.copy(LOGIC / "__init__.py", tmp_path / "lib/greenroom")
    text = (ROOT / "roles/base/templates/programs/greenroom-module.j2").read_text()
    for installed, here in (("/usr/local/lib/greenroom/modules", "lib"), ("/var/cache/greenroom", "cache")):
        assert text.count(installed) == 1
        text = text.replace(installed, str(tmp_path / here))
    (tmp_path / "lib/greenroom-module").write_text(text)
    return tmp_path


def send(host: Path, call: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Send a call to the program on the host."""
    command = [sys.executable, "-I", str(host / "lib/greenroom-module")]
    return subprocess.run(command, input=json.dumps(call), capture_output=True, text=True, check=False)


def tree(host: Path, **more: Any) -> dict[str, Any]:
    """A call that writes a file."""
    wanted = files.File(str(host / "etc/a"), b"text\n", files.Attributes(0o600))
    return request(
        "template_tree", name="test", _files=files.pack([wanted]), manifest=str(host / "manifest.json"), **more
    )


def test_it_carries_out_a_call_and_leaves_its_folder_alone(host: Path) -> None:
    before = sorted(host.glob("lib/**/*"))
    done = send(host, tree(host))
    started, result = done.stdout.splitlines()
    assert started == STARTED
    assert json.loads(result)["changed_files"] == [str(host / "etc/a")]
    assert (host / "etc/a").read_text() == "text\n"
    # What Python compiled is elsewhere, so it is no drift.
    assert sorted(host.glob("lib/**/*")) == before
    assert list(host.glob("cache/**/converge.*.pyc"))


def edit(host: Path) -> None:
    (host / "lib/greenroom/tree/diff.py").open("a").write("# by hand\n")


def compiled_and_edited(host: Path) -> None:
    send(host, tree(host, check=True))
    edit(host)


def half(host: Path) -> None:
    (host / "lib/greenroom/tree/diff.py").write_text("")


def missing(host: Path) -> None:
    (host / "lib/greenroom/tree/diff.py").unlink()


def more_files(host: Path) -> None:
    (host / "lib/greenroom/tree/json.py").write_text("")


def no_package(host: Path) -> None:
    shutil.rmtree(host / "lib/greenroom/smoke")


def no_program(host: Path) -> None:
    shutil.rmtree(host / "lib/greenroom/modules")


def old_python(host: Path) -> None:
    (host / "lib/greenroom/modules/program.py").write_text("a syntax of tomorrow\n")


@pytest.mark.parametrize(
    "damage", [edit, compiled_and_edited, half, missing, more_files, no_package, no_program, old_python]
)
def test_it_does_nothing_with_other_files_than_the_controllers(host: Path, damage: Callable[[Path], None]) -> None:
    damage(host)
    assert STARTED not in send(host, tree(host)).stdout
    assert not (host / "etc").exists()


def test_a_secret_is_neither_in_the_result_nor_in_the_command_or_a_file(host: Path) -> None:
    checks = [{"name": "one", "url": f"http://127.0.0.1:1/{SECRET}"}]
    call = request("smoke_check", checks=checks, secret_variables={"a": SECRET}, subject=SECRET, deadline=5)
    done = send(host, call)
    assert STARTED in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert not [path for path in host.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


# --- within the test ---


def run_program(call: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Send a call to the program in this process; returns the lines that it printed."""
    printed = io.StringIO()
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(call).encode()))
    with monkeypatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "stdin", stdin)
        assert program.main() == 0
    return printed.getvalue().splitlines()


def test_with_selinux_only_the_module_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "enforce").touch()
    monkeypatch.setattr(program, "SELINUX", str(tmp_path / "enforce"))
    assert run_program(request("smoke_check", checks=NOBODY), monkeypatch) == ["this host has SELinux"]


def test_only_modules_run(monkeypatch: pytest.MonkeyPatch) -> None:
    call = {**request("smoke_check", checks=NOBODY), "module": "logic"}
    assert run_program(call, monkeypatch) == ["there is no module logic"]


def test_files_that_are_replaced_while_it_imports_them_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    call = request("smoke_check", checks=NOBODY)
    digests = iter([call["logic"], "newer"])
    monkeypatch.setattr(logic, "digest", lambda: next(digests))
    assert run_program(call, monkeypatch) == ["this host has other logic"]


def test_the_hash_covers_names_contents_and_packages(host: Path) -> None:
    root = host / "lib/greenroom"
    found = {logic.digest(), logic.digest(str(root))}
    assert len(found) == 1
    (root / "tree/diff.py").rename(root / "tree/differences.py")
    found.add(logic.digest(str(root)))
    (root / "tree/differences.py").rename(root / "smoke/diff.py")
    found.add(logic.digest(str(root)))
    edit_of = root / "smoke/diff.py"
    edit_of.write_bytes(edit_of.read_bytes() + b"\n")
    found.add(logic.digest(str(root)))
    assert len(found) == 4


# --- the same result both ways ---


def file(host: Path, name: str = "etc/a", text: str = "text\n", **more: Any) -> files.File:
    return files.File(str(host / name), text.encode(), files.Attributes(0o600), **more)


def tree_call(host: Path, *wanted: files.File, **more: Any) -> dict[str, Any]:
    packed = {
        "_files": files.pack(one for one in wanted if not one.secret),
        "_secret_files": files.pack(one for one in wanted if one.secret),
    }
    return {"name": "test", **packed, **more}


WEB = [{"name": "web"}]
# What the action sends of a role's tree.
SENT: dict[str, Any] = {
    "directories": [],
    "units": [],
    "state": "present",
    "apply": "all",
    "metadata": {},
    "confirm_files": [],
}
# Calls of template_tree, one after the other on one host.
TREES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "check of the first": lambda host: tree_call(host, file(host), units=WEB, check=True, diff=True),
    "first": lambda host: tree_call(
        host, file(host), file(host, "etc/b", f"password {SECRET}\n", secret=True), units=WEB, diff=True
    ),
    "again": lambda host: tree_call(host, file(host), units=WEB),
    "directories": lambda host: tree_call(host, file(host), directories=[{"path": str(host / "d"), "mode": "0750"}]),
    "drift": lambda host: tree_call(host, file(host), apply="drift"),
    "nobody": lambda host: tree_call(host, files.File(str(host / "x"), b"", files.Attributes(0o600, "nobody-here"))),
    "invalid name": lambda host: tree_call(host, name="/"),
    "validation that prints a secret": lambda host: tree_call(
        host, file(host, "etc/s", f"password {SECRET}\n", secret=True, validate="sh -c 'cat %s >&2; exit 1'")
    ),
    "validation that prints bytes": lambda host: tree_call(
        host, file(host, "etc/s", "x", validate="sh -c 'printf \"\\\\377 no\" >&2; exit 1' %s")
    ),
    "validation that is missing": lambda host: tree_call(host, file(host, "etc/s", "x", validate="no-such-program %s")),
    "folder in the way": lambda host: tree_call(host, file(host, "d")),
    "unit that fails": lambda host: tree_call(host, file(host), units=[{"name": "absent"}]),
    "roles": lambda host: {
        "roles": ["one"],
        "_trees": files.compress([{**tree_call(host, file(host, "etc/c")), **SENT}]),
        "diff": True,
    },
    "missing packages": lambda _host: {"roles": ["one"], "packages": ["no-such-package"]},
    "absent": lambda host: tree_call(host, state="absent"),
}


def module_way(name: str, call: dict[str, Any], _monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    result = run_module(name, **call)
    del result["text"], result["invocation"]
    return result


def program_way(name: str, call: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    started, printed = run_program(request(name, **call), monkeypatch)
    assert started == STARTED
    result: dict[str, Any] = json.loads(printed)
    return result


def test_both_ways_have_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = tmp_path / "host"
    monkeypatch.setattr(converge, "SYSTEMD_IS_UP", str(tmp_path))
    monkeypatch.setattr(tree_manifest, "STATE_DIRECTORY", str(host / "state"))
    monkeypatch.setenv("FAKE_SYSTEMD", str(host / "systemd.json"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    for name in ("systemctl", "journalctl"):
        text = (ROOT / "tests/unit/systemctl_fake.py").read_text()
        (tmp_path / "bin" / name).write_text(text.replace("/usr/bin/env python3", sys.executable, 1))
        (tmp_path / "bin" / name).chmod(0o755)
    results = []
    for way in (module_way, program_way):
        host.mkdir()
        web = {"load": "loaded", "active": "inactive", "file_state": "disabled", "type": "notify"}
        (host / "systemd.json").write_text(json.dumps({"units": {"web.service": web}, "calls": []}))
        results.append({name: way("template_tree", make(host), monkeypatch) for name, make in TREES.items()})
        calls = json.loads((host / "systemd.json").read_text())["calls"]
        results[-1]["systemctl"] = {"calls": calls}
        shutil.rmtree(host)
    one, other = results
    for name in (*TREES, "systemctl"):
        assert one[name] == other[name], name
    failed = {name for name, result in one.items() if result.get("failed")}
    assert failed == {
        "nobody",
        "invalid name",
        "validation that prints a secret",
        "validation that prints bytes",
        "validation that is missing",
        "folder in the way",
        "unit that fails",
    }
    assert SECRET not in json.dumps(results)
    assert "no-such-program" in one["validation that is missing"]["msg"]


SMOKE: dict[str, dict[str, Any]] = {
    "passes": {"checks": [{"name": "one", "url": "/"}]},
    "fails": {"checks": [{"name": "one", "url": "/missing"}], "subject": "blue", "hint": "Repair it"},
    "only reports": {"checks": [{"name": "one", "url": "/missing"}], "report_only": True},
    "changes data": {"checks": [{"name": "one", "url": "/", "mutates": True}], "check": True},
    "secret": {
        "checks": [{"name": "one", "url": "/missing"}],
        "secret_variables": {"a": SECRET, "b": 12, "c": None, "d": ["404"]},
        "subject": SECRET,
    },
    "secret name": {"checks": [{"name": SECRET, "url": "/", "password": SECRET, "username": "a"}]},
    "no deadline": {"checks": NOBODY, "deadline": 0},
    "without url": {"checks": [{"name": "one"}]},
    "no report": {"checks": [{"name": "one", "url": "/"}], "junit": "/proc/no/report.xml"},
}


def without_times(result: Any) -> Any:
    if isinstance(result, dict):
        return {key: without_times(value) for key, value in result.items() if key not in ("seconds", "summary")}
    return [without_times(item) for item in result] if isinstance(result, list) else result


@pytest.mark.parametrize("name", SMOKE)
def test_checks_have_the_same_verdicts_both_ways(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda asked: Reply(404 if asked.path == "/missing" else 200, "text")) as site:
        call = {"deadline": 5, "defaults": {"url": site.url}, **SMOKE[name]}
        one, other = (way("smoke_check", call, monkeypatch) for way in (module_way, program_way))
    assert without_times(one) == without_times(other)
    assert one.keys() == other.keys()
    assert SECRET not in json.dumps([one, other])


def test_values_are_hidden_as_ansible_hides_them() -> None:
    arguments = {
        "plain": {"type": "str"},
        "secret": {"type": "raw", "no_log": True},
        "one": {"type": "dict", "options": {"secret": {"no_log": True}}},
        "many": {"type": "list", "elements": "dict", "options": {"secret": {"no_log": True}}},
    }
    given = {
        "plain": "plain",
        "secret": {"a": ["abc", "abcdef", 7, 2.5, True, None, ""], "b": {"c": "word"}},
        "one": {"secret": "inner"},
        "many": [{"secret": "first"}, {"secret": None}, {}],
    }
    result = {
        "msg": "abcdef and abc and ab",
        "abc": "abc",
        "numbers": [7, 17, 2.5, 1, True, False, None],
        "deep": {"list": [["an inner word", "plain"], "first"], "unit": "É"},
        "failed": True,
        "rc": 7,
    }
    values = no_log.secrets(arguments, given)
    assert values == _list_no_log_values(arguments, given)
    assert no_log.hidden(result, values) == remove_values(result, values)
