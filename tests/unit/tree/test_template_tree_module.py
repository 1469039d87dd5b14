# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module `template_tree`, run in this process with patched arguments and a systemctl of the tests' own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.tree import changes, converge, systemd, undo
from ansible.module_utils.greenroom.tree import files as tree_files
from ansible.module_utils.greenroom.tree import manifest as tree_manifest
from ansible.module_utils.greenroom.tree import options as tree_options
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[3]
Call = Callable[..., dict[str, Any]]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("template_tree", ROOT / "library" / "template_tree.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


template_tree = load()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "journalctl", "systemd-run"):
        program = programs / name
        shutil.copy(Path(__file__).parents[1] / "systemctl_fake.py", program)
        program.write_text(program.read_text().replace("/usr/bin/env python3", sys.executable, 1))
        program.chmod(0o755)
    web = {"load": "loaded", "active": "inactive", "file_state": "disabled", "type": "notify"}
    (tmp_path / "systemd.json").write_text(json.dumps({"units": {"web.service": web}, "calls": []}))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SYSTEMD", str(tmp_path / "systemd.json"))
    monkeypatch.setattr(converge, "SYSTEMD_IS_UP", str(tmp_path))
    monkeypatch.setattr(tree_manifest, "STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def call(host: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def function(*files: tree_files.File, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {
            "name": "test",
            "_files": tree_files.pack(file for file in files if not file.secret),
            "_secret_files": tree_files.pack(file for file in files if file.secret),
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_inject_invocation": True,
            "_ansible_remote_tmp": str(host / "tmp"),
            **options,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            template_tree.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return function


def systemctl(host: Path) -> list[str]:
    calls = json.loads((host / "systemd.json").read_text())["calls"]
    return [" ".join(call[1:]) for call in calls if call[1] != "show"]


def file(host: Path, name: str = "etc/a", text: str = "text\n", **more: Any) -> tree_files.File:
    return tree_files.File(str(host / name), text.encode(), tree_files.Attributes(0o600), **more)


WEB = [{"name": "web"}]


def test_nothing_changes_if_what_the_call_requires_fails(call: Call, host: Path) -> None:
    program = "print('a line'); print('refused: blue is live'); raise SystemExit(1)"
    refused = call(file(host), units=WEB, requires=f'{sys.executable} -c "{program}"')
    assert (refused["failed"], refused["msg"]) == (True, "refused: blue is live")
    assert systemctl(host) == []
    assert not (host / "etc/a").exists()
    # In check mode, what it asks for has not happened.
    assert call(file(host), units=WEB, requires="false", check=True)["changed"]
    assert call(file(host), units=WEB, requires="true")["units"] == {"web.service": "started"}


def test_files_and_units_in_one_call(call: Call, host: Path) -> None:
    result = call(file(host), units=WEB, metadata={"release": "one"}, directories=[{"path": str(host / "d")}])
    assert result["changed"]
    assert result["changed_files"] == [str(host / "etc/a")]
    assert result["changed_directories"] == [str(host / "d"), str(host / "etc")]
    assert result["units"] == {"web.service": "started"}
    assert result["outdated"]
    manifest = json.loads((host / "state/trees/test.json").read_text())
    assert manifest["hash"] == result["hash"]
    assert manifest["metadata"] == {"release": "one"}
    assert (host / "state/units/web.service.json").exists()
    again = call(file(host), units=WEB, metadata={"release": "two"}, directories=[{"path": str(host / "d")}])
    assert not again["changed"]
    assert not again["outdated"]


def test_check_mode_calls_nothing_that_writes(call: Call, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object, **more: object) -> None:
        pytest.fail("check mode wrote")

    for owner, name in (
        (changes.Tree, "apply"),
        (changes.Tree, "finish"),
        (changes.Tree, "validate"),
        (tree_manifest, "write_json"),
        (systemd.Systemd, "act"),
        (systemd.Systemd, "enable"),
        (systemd.Systemd, "daemon_reload"),
        (systemd.Systemd, "reset_failed"),
    ):
        monkeypatch.setattr(owner, name, forbidden)
    for name in ("mkdir", "rename", "replace", "unlink", "chmod", "chown", "rmdir", "makedirs"):
        monkeypatch.setattr(os, name, forbidden)
    wanted = [{"name": "web", "enabled": "true"}]
    more = {"units": wanted, "directories": [{"path": str(host / "d")}], "check": True, "diff": True}
    result = call(file(host, validate="false %s"), **more)
    assert result["changed"]
    assert result["units"] == {"web.service": "started"}
    assert [entry["after_header"] for entry in result["diff"]] == [str(host / "d") + "/", str(host / "etc/a")]
    assert systemctl(host) == []
    assert call(state="absent", check=True)["changed"] is False
    assert call(file(host), apply="drift", check=True)["outdated"]


def test_drift_reports_and_leaves_units_alone(call: Call, host: Path) -> None:
    call(file(host), units=WEB)
    (host / "etc/a").write_text("edited")
    result = call(file(host), units=WEB, apply="drift", diff=True)
    assert result["drifted_files"] == [str(host / "etc/a")]
    assert result["changed"]
    assert not result["outdated"]
    assert result["loaded_drift"] == result["not_running"] == []
    assert result["diff"][0]["before"] == "edited"
    assert systemctl(host) == ["start web.service"]


def test_absent_stops_and_removes(call: Call, host: Path) -> None:
    call(file(host), units=WEB)
    result = call(state="absent", units=[{"name": "web", "enabled": "true"}])
    assert result["removed_files"] == [str(host / "etc/a")]
    assert result["units"] == {"web.service": "stopped"}
    assert not (host / "etc").exists()
    assert os.listdir(host / "state/trees") == os.listdir(host / "state/units") == []
    assert not call(state="absent", units=WEB)["changed"]


def test_absent_leaves_units_alone_that_no_call_has_set_up(call: Call, host: Path) -> None:
    result = call(state="absent", units=WEB)
    assert (result["changed"], result["units"]) == (False, {})
    assert systemctl(host) == []


def test_a_refused_file_stops_everything(call: Call, host: Path) -> None:
    result = call(file(host, validate="false %s"), file(host, "etc/b"), units=WEB)
    assert result["failed"]
    assert not result["changed"]
    assert "etc/a was refused by `false %s`" in result["msg"]
    assert not (host / "etc").exists()
    assert systemctl(host) == []


def test_a_failing_unit_is_named_and_leaves_the_old_manifest(call: Call, host: Path) -> None:
    call(file(host), units=WEB)
    state = json.loads((host / "systemd.json").read_text())
    state["units"]["web.service"]["fails"] = ["start"]
    (host / "systemd.json").write_text(json.dumps(state))
    before = json.loads((host / "state/trees/test.json").read_text())["hash"]
    result = call(file(host, text="new\n"), units=WEB)
    assert result["failed"]
    assert result["changed"]
    assert result["unit"] == "web.service"
    assert result["units"] == {}
    assert "failed to restart" in result["msg"]
    assert "wrote this" in result["msg"]
    manifest = json.loads((host / "state/trees/test.json").read_text())
    assert manifest["hash"] == before
    assert manifest["pending"]


def test_no_secret_shows(call: Call, host: Path) -> None:
    secret = "hunter2-and-a-long-one"
    state = json.loads((host / "systemd.json").read_text())
    state["units"]["web.service"].update(fails=["start"], invocation=secret)
    (host / "systemd.json").write_text(json.dumps(state))
    wanted = file(host, text=f"PASSWORD={secret}\n", secret=True)
    shown = [call(wanted, check=True, diff=True), call(wanted, diff=True, units=WEB)]
    for result in shown:
        text = json.dumps(result)
        assert secret not in text
        assert tree_files.pack([wanted]) not in text
        assert result["invocation"]["module_args"]["_secret_files"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert shown[1]["failed"]


def test_values_of_secret_files_are_masked_in_messages(host: Path) -> None:
    wanted = file(host, text="A=abc123def456\nB=database.example.org\nC=abcdefghijklmnopqrstu\n", secret=True)
    mask = converge.secret_words({"_secret_files": tree_files.pack([wanted])})
    said = mask.clean("abc123def456 at database.example.org, abcdefghijklmnopqrstu")
    assert said == "*** at database.example.org, ***"


def test_parameters_that_carry_contents_are_not_logged() -> None:
    assert all(option["no_log"] for option in tree_options.TRANSPORT.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b"}, "must consist of letters"),
        ({"directories": [{"path": "relative"}]}, "must be an absolute path"),
        ({"directories": [{"path": "/d", "mode": 493}]}, "quoted octal"),
        ({"units": [{"name": "a b"}]}, "not a valid unit name"),
    ],
)
def test_bad_parameters(call: Call, options: dict[str, Any], message: str) -> None:
    result = call(**options)
    assert result["failed"]
    assert message in result["msg"]


def test_a_host_without_systemd(call: Call, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converge, "SYSTEMD_IS_UP", str(host / "nothing"))
    monkeypatch.setattr(systemd, "UNIT_DIRECTORIES", (f"{host}/system/",))
    assert call(file(host, "system/a.service"))["changed"]
    assert "systemd isn't running" in call(file(host), units=WEB)["msg"]


def test_unit_files_without_units_reload_systemd(call: Call, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "UNIT_DIRECTORIES", (f"{host}/system/",))
    call(file(host, "system/a.service"))
    assert systemctl(host) == ["daemon-reload"]


def test_errors_of_the_system_are_one_line(call: Call, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "etc").write_text("")
    assert f"{host}/etc is not a directory" in call(file(host))["msg"]

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(changes.Tree, "plan", full)
    assert call(file(host))["msg"] == "/somewhere: No space left on device"


def test_security_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    set_contexts: list[tuple[object, ...]] = []

    class Module(AnsibleModule):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def selinux_enabled(self) -> bool:
            return True

        def selinux_default_context(self, path: str, mode: int = 0) -> list[str]:
            return ["context of", path]

        def set_context_if_different(self, *arguments: object) -> bool:
            set_contexts.append(arguments)
            return True

    label = template_tree.labeller(Module())
    label("/etc/.a.greenroom", "/etc/a")
    assert set_contexts == [("/etc/.a.greenroom", ["context of", "/etc/a"], False)]


# --- a change that a new connection must confirm ---

RELOADED = [{"name": "web", "on_change": "reload"}]
RULES = {"units": RELOADED, "confirm_files": ["*/etc/*"]}
TIMERS = [
    "--quiet --collect --unit=greenroom-undo-test-call --on-active=900 --timer-property=AccuracySec=1s /bin/sh",
    "--quiet --collect --unit=greenroom-undo-test --on-active=60 --timer-property=AccuracySec=1s /bin/sh",
]


def timers(host: Path) -> list[str]:
    """The timers that were started, without the script's path."""
    calls = json.loads((host / "systemd.json").read_text())["calls"]
    return [" ".join(call[1:-1]) for call in calls if call[0] == "systemd-run"]


def confirm() -> int:
    """Confirm the change as the action does; return the exit code."""
    return subprocess.run(["/bin/sh", "-c", undo.confirmation(["test"])], check=False).returncode


def time_out(host: Path) -> None:
    """Do what the timer does."""
    script = host / "state/undo/test/undo"
    subprocess.run(["/bin/sh", str(script)], check=True) if script.exists() else None


def content(host: Path, *names: str) -> list[str | None]:
    """The content of files, None for a missing one."""
    paths = [host / "etc" / name for name in names]
    return [path.read_text() if path.exists() else None for path in paths]


def test_a_change_that_nobody_confirms_is_undone(call: Call, host: Path) -> None:
    gone, kept = file(host, "etc/gone", "gone\n"), file(host, "etc/kept", "kept\n")
    assert call(file(host), gone, kept, **RULES)["armed"] == ["test"]
    assert confirm() == 0
    started = json.loads((host / "systemd.json").read_text())["units"]["web.service"]["started"]
    changed = call(file(host, text="locked out\n"), kept, file(host, "etc/new"), **RULES)
    assert (changed["armed"], changed["undone"]) == (["test"], [])
    assert timers(host) == TIMERS * 2
    assert content(host, "a", "gone", "kept", "new") == ["locked out\n", None, "kept\n", "text\n"]
    before = systemctl(host)
    time_out(host)
    assert content(host, "a", "gone", "kept", "new") == ["text\n", "gone\n", "kept\n", None]
    assert stat.S_IMODE((host / "etc/a").stat().st_mode) == 0o600
    # The unit was running with Greenroom's own files: it never stops.
    assert systemctl(host)[len(before) :] == ["reload-or-restart web.service"]
    assert json.loads((host / "systemd.json").read_text())["units"]["web.service"]["started"] == started
    # It is undone once, and too late to confirm.
    time_out(host)
    assert confirm() == undo.UNDONE


def test_the_next_call_says_that_a_change_was_undone_and_makes_it_again(call: Call, host: Path) -> None:
    call(file(host), **RULES)
    confirm()
    call(file(host, text="new\n"), **RULES)
    time_out(host)
    at = int((host / "state/undo/test/undone").stat().st_mtime)
    # Check mode tells it, too, and leaves it to the next call.
    for check in (True, False):
        again = call(file(host, text="new\n"), check=check, **RULES)
        assert again["undone"] == [{"name": "test", "at": at}]
        assert again["units"] == {"web.service": "reloaded"}
    assert again["armed"] == ["test"]
    assert confirm() == 0
    assert call(file(host, text="new\n"), **RULES)["undone"] == []
    assert content(host, "a") == ["new\n"]


def test_a_confirmed_change_stays(call: Call, host: Path) -> None:
    call(file(host), **RULES)
    assert confirm() == 0
    assert "stop --quiet greenroom-undo-test-call.timer greenroom-undo-test.timer" in systemctl(host)
    assert not (host / "state/undo/test").exists()
    time_out(host)
    assert content(host, "a") == ["text\n"]


def test_a_change_whose_run_died_is_undone_by_the_next_call(call: Call, host: Path) -> None:
    call(file(host), **RULES)
    confirm()
    call(file(host, text="new\n"), **RULES)
    found = call(file(host), **RULES)
    assert [each["name"] for each in found["undone"]] == ["test"]
    # Nothing is left to change.
    assert (found["changed_files"], found["armed"]) == ([], [])
    assert content(host, "a") == ["text\n"]
    assert not (host / "state/undo/test").exists()


def test_an_undo_that_was_interrupted_is_completed(call: Call, host: Path) -> None:
    call(file(host), **RULES)
    confirm()
    call(file(host, text="new\n"), **RULES)
    (host / "state/undo/test/armed").rename(host / "state/undo/test/undoing")
    assert confirm() == undo.UNDONE
    time_out(host)
    assert content(host, "a") == ["text\n"]


def test_the_first_files_of_a_unit_are_undone_with_the_unit_stopped(call: Call, host: Path) -> None:
    (host / "etc").mkdir()
    (host / "etc/a").write_text("the distribution's\n")
    call(file(host), **RULES)
    before = systemctl(host)
    time_out(host)
    assert content(host, "a") == ["the distribution's\n"]
    assert systemctl(host)[len(before) :] == ["stop web.service"]


def test_only_changes_of_these_files_are_armed(call: Call, host: Path) -> None:
    call(file(host), **RULES)
    confirm()
    calls = len(timers(host))
    assert call(file(host), **RULES)["armed"] == []
    assert call(file(host), file(host, "other/b"), **RULES)["armed"] == []
    assert call(file(host, text="new\n"), check=True, **RULES)["armed"] == []
    assert len(timers(host)) == calls
    assert not (host / "state/undo/test").exists()


def test_without_a_timer_nothing_is_changed(call: Call, host: Path) -> None:
    state = json.loads((host / "systemd.json").read_text())
    state["units"]["systemd-run"] = {"load": "broken"}
    (host / "systemd.json").write_text(json.dumps(state))
    refused = call(file(host), **RULES)
    assert refused["failed"]
    assert "test: can't start the timer that would undo the change (it fails)" in refused["msg"]
    assert content(host, "a") == [None]
    assert not (host / "state/undo/test").exists()


def test_a_call_that_fails_after_the_change_is_armed(call: Call, host: Path) -> None:
    state = json.loads((host / "systemd.json").read_text())
    state["units"]["web.service"]["fails"] = ["start"]
    (host / "systemd.json").write_text(json.dumps(state))
    failed = call(file(host), **RULES)
    assert (failed["failed"], failed["armed"]) == (True, ["test"])
    assert timers(host) == TIMERS
