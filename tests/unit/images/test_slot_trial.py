# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A trial start with a podman that is a program of the tests (podman_fake.py)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import second_container
from ansible.module_utils.greenroom.common.container_mac import mac_address
from ansible.module_utils.greenroom.images import start
from modules import run_module

from bench.common import free_port

IMAGE = "registry.test/shop@sha256:0a1b"
FAKE = Path(__file__).parents[1] / "podman_fake.py"
# As Quadlet of Podman 4 and 5 write it, each option in one of its two forms.
COMMAND = [
    *("/usr/bin/podman", "run", "--name", "shop-blue", "--cidfile=/run/shop-blue.cid", "--replace", "--rm"),
    *("--log-driver", "journald", "--cgroups=split", "--pull=never", "--network-alias", "shop"),
    *("--network", "greenroom-blue", "--sdnotify=conmon", "-d", "--cap-drop", "all", "--read-only"),
    *("-v", "/etc/greenroom/ca.crt:/etc/greenroom/ca.crt:ro", "--publish", "0.0.0.0:18080:8080"),
    *("--env-file", "FOLDER/environment", "--env-file=FOLDER/secrets", IMAGE, "serve", "-d", "--name", "x", "-p", "7"),
]


class Podman:
    """The folder of the fake, with a container that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "bin/podman"
        program.parent.mkdir()
        # Not by way of env: what stands first in PATH may be another Python.
        program.write_text(FAKE.read_text().replace("#!/usr/bin/env python3", f"#!{sys.executable}", 1))
        program.chmod(0o755)
        systemctl = folder / "bin/systemctl"
        systemctl.write_text("#!/bin/sh\necho MemoryMax=268435456\necho CPUQuotaPerSecUSec=infinity\n")
        systemctl.chmod(0o755)
        self.port = free_port()
        self.command = [word.replace("FOLDER", str(folder)) for word in COMMAND]
        self.command[0] = "podman"
        self.runs()
        (folder / "environment").write_text("GREENROOM_SLOT=blue\n")
        (folder / "secrets").write_text("DATABASE_URL=postgres://shop:hid%2Fden@db/shop\nKEYS=newest-key,older-key\n")

    def runs(self, running: bool = True) -> None:
        """Say whether the container runs."""
        state = {"Running": running, "Pid": os.getpid()}
        found = {"State": state, "Config": {"CreateCommand": self.command}}
        (self.folder / "shop-blue.json").write_text(json.dumps(found))

    def program(self, **what: Any) -> None:
        """Say what a second container does."""
        (self.folder / "program.json").write_text(json.dumps({"says": "", **what}))

    def calls(self, verb: str) -> list[list[str]]:
        """What the fake was asked for."""
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [call for call in calls if call[0] == verb]

    def trial(self, seconds: int = 60, check: bool = False, **more: Any) -> dict[str, Any]:
        """Run the module on the container."""
        given = {"name": "shop-blue", "image": IMAGE, "port": self.port, "path": "/readyz", **more}
        return run_module("slot_trial", check, containers=[given], seconds=seconds)

    def outcome(self, seconds: int = 60, **more: Any) -> tuple[bool | None, str]:
        """Run it; returns whether it starts, and why not. Nothing of it is left, and the container is untouched."""
        before = (self.folder / "shop-blue.json").read_text()
        result = self.trial(seconds, **more)
        assert result["changed"] is False
        assert not (self.folder / "shop-blue-trial.json").exists()
        assert (self.folder / "shop-blue.json").read_text() == before
        [tried] = result["tried"]
        assert tried["name"] == more.get("name", "shop-blue")
        return tried["starts"], tried["reason"]


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Podman:
    monkeypatch.setenv("FAKE_PODMAN", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "controllers").write_text("cpu memory\n")
    monkeypatch.setattr(second_container, "CONTROLLERS", tmp_path / "controllers")
    return Podman(tmp_path)


def test_a_program_that_gets_ready_would_start(podman: Podman) -> None:
    podman.program(port=podman.port, status=200)
    assert podman.outcome() == (True, "")


def test_nobody_is_sent_to_the_second_container(podman: Podman) -> None:
    podman.program(port=podman.port, status=200)
    podman.outcome()
    [words] = podman.calls("run")
    options, arguments = words[1 : words.index(IMAGE)], words[words.index(IMAGE) + 1 :]
    assert options == [
        *("--rm", "--name=shop-blue-trial", "--log-driver=none", "--timeout=120"),
        *("--memory=268435456b", "--pull=never"),
        *("--network", "greenroom-blue", "--cap-drop", "all", "--read-only"),
        *("-v", "/etc/greenroom/ca.crt:/etc/greenroom/ca.crt:ro"),
        *("--env-file", f"{podman.folder}/environment", f"--env-file={podman.folder}/secrets"),
    ]
    # The program's own words look like options, and stay.
    assert arguments == ["serve", "-d", "--name", "x", "-p", "7"]


@pytest.mark.parametrize("form", [["--mac-address=0a:67:00:00:00:01"], ["--mac-address", "0a:67:00:00:00:01"]])
def test_the_second_container_has_an_ethernet_address_of_its_own(podman: Podman, form: list[str]) -> None:
    podman.command[2:2] = form
    podman.runs()
    podman.program(port=podman.port, status=200)
    podman.outcome()
    [words] = podman.calls("run")
    assert [word for word in words if "mac" in word or "0a:67" in word] == [
        f"--mac-address={mac_address('shop-blue-trial')}"
    ]


@pytest.mark.parametrize("form", [["-v", "{}"], ["--volume={}"], ["--volume", "{}"]])
def test_what_the_second_container_writes_to_volumes_is_dropped(podman: Podman, form: list[str]) -> None:
    mount = "/var/lib/greenroom/volumes/shop/media:/data"
    podman.command[2:2] = [word.format(f"{mount}:rw,nodev,nosuid") for word in form]
    podman.runs()
    podman.program(port=podman.port, status=200)
    podman.outcome()
    [words] = podman.calls("run")
    assert [word for word in words if mount in word] == [form[-1].format(f"{mount}:O")]


def test_a_program_that_refuses_is_quoted_without_its_secrets(podman: Podman) -> None:
    line = {"level": "error", "message": "schema 5 is newer than 4 (hid/den, hid%2Fden, older-key)"}
    podman.program(says=f"starting\n{json.dumps(line)}\n\n", code=1)
    assert podman.outcome() == (False, "ended with exit code 1: schema 5 is newer than 4 (***, ***, ***)")


def test_a_program_that_does_not_get_ready_has_its_time(podman: Podman) -> None:
    podman.program(says="waiting", port=podman.port, status=503)
    starts, reason = podman.outcome(seconds=2)
    assert (starts, reason) == (False, "not ready within 2 s (status 503 instead of 200): waiting")


def test_what_an_interrupted_run_left_is_removed_first(podman: Podman) -> None:
    left = podman.folder / "shop-blue-trial.json"
    left.write_text(json.dumps({"State": {"Pid": 2**22 + 1}}))
    podman.program(code=3)
    assert podman.outcome() == (False, "ended with exit code 3")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"name": "shop-green"}, "it is not running"),
        (
            {"image": "registry.test/shop@sha256:ffff"},
            "the container was not created from registry.test/shop@sha256:ffff",
        ),
    ],
)
def test_what_does_not_run_here_is_not_judged(podman: Podman, more: dict[str, Any], reason: str) -> None:
    assert podman.outcome(**more) == (None, reason)


def test_a_container_that_has_stopped_is_not_judged(podman: Podman) -> None:
    podman.runs(False)
    assert podman.outcome() == (None, "it is not running")


@pytest.mark.parametrize("code", sorted(start.PODMAN_FAILED))
def test_what_podman_can_not_run_is_not_judged(podman: Podman, code: int) -> None:
    podman.program(says="Error: no space left", code=code)
    assert podman.outcome() == (None, f"ended with exit code {code}: Error: no space left")


def test_without_podman_nothing_is_judged(podman: Podman) -> None:
    podman.command[0] = "/nonexistent/podman"
    podman.runs()
    assert podman.outcome() == (None, "[Errno 2] No such file or directory: '/nonexistent/podman'")


def test_check_mode_starts_nothing_and_says_what_it_would_try(podman: Podman) -> None:
    result = podman.trial(check=True)
    assert (result["changed"], result["tried"]) == (False, [])
    assert result["msg"] == "would try to start again: shop-blue"
    assert not (podman.folder / "calls").exists()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ('{"message": "three"}', "three"),
        ('{"level": "error"}', '{"level": "error"}'),
        ("[1, 2]", "[1, 2]"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_the_last_words_of_a_program(output: str, words: str) -> None:
    assert start.last_words(output) == words
