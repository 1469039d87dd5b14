"""A missing prerequisite is one line that says what to do, before anything is built."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import NamedTuple

import pytest
from greenroom_lab import network, outside, paths, podman, preflight, venv
from greenroom_lab.console import LabError


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def one_line(caught: pytest.ExceptionInfo[LabError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith((".", "`"))
    return message


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(podman, "STORAGE", tmp_path / "cache" / "podman")


def test_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom_lab.preflight.os.geteuid", lambda: 1000)
    with pytest.raises(LabError) as caught:
        preflight.machine()
    assert "Run this as root" in one_line(caught)


def test_nothing_is_built_when_the_machine_will_not_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("greenroom_lab.preflight.os.geteuid", lambda: 1000)
    assert outside.main(["up", "staging"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("lab: The lab needs root")
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom_lab.preflight.os.geteuid", lambda: 0)
    monkeypatch.setattr("greenroom_lab.preflight.shutil.disk_usage", lambda _: Usage(20, 19, 1_500_000_000))
    with pytest.raises(LabError) as caught:
        preflight.machine()
    assert "has 1.5 GB free; the lab needs 10" in one_line(caught)


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom_lab.preflight.os.geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "MEMORY", 100_000)
    with pytest.raises(LabError) as caught:
        preflight.machine()
    assert "of memory; the lab needs 100000" in one_line(caught)


def test_network_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(network, "mirrors", lambda: ["mirror.example"])
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(LabError) as caught:
        preflight.downloads()
    assert "Can't connect to the Debian mirror mirror.example (Network is unreachable)" in one_line(caught)


def test_no_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(LabError) as caught:
        venv.find_python()
    assert "No Python 3.12 or newer" in one_line(caught)


def python(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    file = folder / "python3"
    file.write_text(f"#!/bin/sh\necho {version}\n")
    file.chmod(0o755)
    return file


def test_python_of_pyenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The newest that works; a stand-in on PATH that fails is passed over."""
    on_path = python(tmp_path / "path", "3 9")
    (on_path.parent / "python3.13").write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    (on_path.parent / "python3.13").chmod(0o755)
    python(tmp_path / "versions" / "3.9.18" / "bin", "3 9")
    python(tmp_path / "versions" / "3.12.1" / "bin", "3 12")
    newest = python(tmp_path / "versions" / "3.13.0" / "bin", "3 13")
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    monkeypatch.setattr(
        "greenroom_lab.venv.shutil.which", lambda name: str(on_path.parent / name) if "python" in name else None
    )
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert venv.find_python() == str(newest)


NONE: dict[str, list[tuple[str, IPv4Network]]] = {"_interfaces": [], "_routes": [], "_name_servers": [], "_answers": []}


@pytest.mark.parametrize("source", sorted(NONE))
def test_address_range_is_taken(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    for name, found in {**NONE, source: [("Something", IPv4Network("198.18.0.0/16"))]}.items():
        monkeypatch.setattr(network, name, lambda found=found: found)
    with pytest.raises(LabError) as caught:
        preflight.addresses()
    assert "Something (198.18.0.0/16) is in the lab's network" in one_line(caught)


def test_address_range_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NONE:
        monkeypatch.setattr(network, name, lambda: [("Something", IPv4Network("198.18.99.0/24"))])
    preflight.addresses()


def test_halves_of_a_default_route_are_no_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst": "default"}, {"dst": "128.0.0.0/1", "dev": "tun0"}, {"dst": "198.18.10.0/24", "dev": "tun0"}]'
    monkeypatch.setattr(network, "run", lambda *_, **__: type("Done", (), {"stdout": routes}))
    assert list(network._routes()) == [("A route through tun0", IPv4Network("198.18.10.0/24"))]


def test_the_labs_own_bridge_is_no_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = '[{"dst": "198.18.10.0/24", "dev": "greenr-staging"}]'
    monkeypatch.setattr(network, "run", lambda *_, **__: type("Done", (), {"stdout": routes}))
    assert list(network._routes()) == []


def labeled(checkout: Path) -> dict[str, dict[str, dict[str, str]]]:
    """A lab's host that this checkout started, as podman lists it."""
    return {"greenroom-control-control1": {"Labels": {podman.LABEL: str(checkout)}}}


def another(tmp_path: Path) -> Path:
    """Another checkout with the keys of a lab; its lab/lab prints the arguments."""
    other = tmp_path / "first"
    (other / "lab").mkdir(parents=True)
    (other / ".lab").mkdir()
    (other / "lab" / "lab").write_text("#!/bin/sh\necho there: $*\n")
    (other / "lab" / "lab").chmod(0o755)
    return other


def test_lab_of_another_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "ROOT", Path("/home/me/greenroom"))
    podman.refuse_strangers(labeled(paths.ROOT))
    other = another(tmp_path)
    with pytest.raises(LabError) as caught:
        podman.refuse_strangers(labeled(other))
    said = one_line(caught)
    assert f"The lab of {other} runs on this machine" in said
    for way in (f"`cd {other}`", "`make status`", f"`export GREENROOM_ACCESS={other}/.access/staging`", "`make down`"):
        assert way in said


def test_lab_of_a_checkout_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", Path("/home/me/greenroom"))
    with pytest.raises(LabError) as caught:
        podman.refuse_strangers(labeled(Path("/srv/gone")))
    assert "That checkout is gone. Run `make down`" in one_line(caught)


@pytest.mark.parametrize("command", ["status", "ssh app1 id -u", "secret staging/environment/value/x", "restart app1"])
def test_commands_for_hosts_run_where_the_lab_was_started(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = another(tmp_path)
    monkeypatch.setattr(podman, "containers", lambda: labeled(other))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    # The program takes this process's place.
    monkeypatch.setattr(os, "execv", lambda program, words: sys.exit(subprocess.call([program, *words[1:]])))
    with pytest.raises(SystemExit) as ended:
        outside.main(command.split())
    assert ended.value.code == 0
    assert capfd.readouterr() == (f"there: {command}\n", f"lab: this is the lab of {other}\n")


def test_commands_for_hosts_stay_in_the_own_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(podman, "containers", lambda: labeled(paths.ROOT))
    monkeypatch.setattr(outside, "setup", lambda hosts: done.append(f"setup {hosts}"))
    monkeypatch.setattr(venv, "ready", lambda: True)
    monkeypatch.setattr(venv, "go_on", done.extend)
    assert outside.main(["status"]) == 0
    assert done == ["setup False", "status"]
