"""How the lab runs programs, and what CI prints at the end."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from greenroom_lab import cache, console, machine, namespace, network, outside, paths, podman, preflight

ROOT = Path(__file__).resolve().parents[3]


def test_a_step_that_lasts_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "TICK", 0.05)
    said = ""
    with console.step("building"):
        # Its turn to speak may come late.
        while said.count("\n") < 2:
            console.run(["sleep", "0.1"])
            said += capsys.readouterr().out
    assert re.match(r"lab: building\nlab:   \.\.\. building, \d+ s\n", said)


def test_a_failing_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(paths, "STATE", tmp_path)
    command = ["env", "X=1", "sh", "-c", "echo first; echo the reason >&2; exit 3"]
    with pytest.raises(console.LabError, match=r"^sh failed with exit code 3 \(its output is above\)\. Try that\.$"):
        console.run(command, log="it", hint="Try that.")
    assert "the reason" in capsys.readouterr().err
    assert (tmp_path / "log" / "it.log").read_text() == "first\nthe reason\n"


def test_a_missing_program() -> None:
    with pytest.raises(console.LabError, match="no-such-program is not installed"):
        console.run(["no-such-program"])


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise console.LabError("one line")

    def interrupt() -> None:
        raise KeyboardInterrupt

    assert console.guarded(lambda: None) == 0
    assert console.guarded(stop) == 1
    assert console.guarded(interrupt) == 130
    assert capsys.readouterr().err.splitlines()[0] == "lab: one line"


def test_a_reader_that_ends_is_no_error() -> None:
    """As in `lab/lab status | head`."""
    program = (
        "import sys; from greenroom_lab import console; sys.exit(console.guarded(lambda: [console.say('line')] * 2))"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(console.__file__).parents[1])},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("stored", [True, False])
def test_hosts_go_with_their_keys_also_after_a_reboot(
    stored: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []
    places = {podman: ("setup", "remove_all"), network: ("remove",), namespace: ("remove",), preflight: ("root",)}
    for module, names in {**places, machine: ("restore_limits",)}.items():
        for name in names:
            monkeypatch.setattr(module, name, functools.partial(done.append, f"{module.__name__}.{name}"))
    monkeypatch.setattr(cache, "only_one", contextlib.nullcontext)
    monkeypatch.setattr(shutil, "which", lambda _program: "/usr/bin/podman")
    for name in ("STATE", "ACCESS", "RUN"):
        monkeypatch.setattr(paths, name, tmp_path / name)
    paths.STATE.mkdir()
    monkeypatch.setattr(podman, "STORAGE", tmp_path if stored else tmp_path / "storage")
    outside.down()
    assert not paths.STATE.exists()
    assert ("greenroom_lab.podman.remove_all" in done) == stored
    if stored:
        assert (
            done.index("greenroom_lab.podman.setup")
            < done.index("greenroom_lab.podman.remove_all")
            < done.index("greenroom_lab.namespace.remove")
        )


def test_writing_replaces_at_once(tmp_path: Path) -> None:
    paths.write(tmp_path / "key", "old", 0o600)
    paths.write(tmp_path / "key", b"new", 0o600)
    assert (tmp_path / "key").read_text() == "new"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize(
    ("summary", "code", "last"),
    [
        ("===== 40 passed in 3.21s =====", 0, "40 passed, 0 failed"),
        ("= 2 failed, 40 passed, 1 warning in 3.21s =", 1, "40 passed, 2 failed"),
        ("= 1 failed, 3 passed, 2 errors in 63.21s (0:01:03) =", 1, "3 passed, 3 failed"),
        ("make: *** [Makefile:9: lab] Error 1", 2, "0 passed, 0 failed"),
    ],
)
def test_ci_ends_with_the_count_and_cleans_up(tmp_path: Path, summary: str, code: int, last: str) -> None:
    (tmp_path / "checkout" / ".ci").mkdir(parents=True)
    script = tmp_path / "checkout" / ".ci" / "run"
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    script.chmod(0o755)
    fake = tmp_path / "make"
    fake.write_text(f"#!/bin/sh\necho $1 >>{tmp_path}/calls\n[ $1 = down ] && exit 0\necho '{summary}'\nexit {code}\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [script],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == last
    assert done.returncode == code
    assert (tmp_path / "calls").read_text().split() == ["test", "down"]
