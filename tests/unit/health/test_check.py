# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Health checks of real servers, and commands in a container whose podman is a program of the tests."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.common.web import Deadline
from ansible.module_utils.greenroom.health.check import HealthCheck, Unmet
from webserver import Reply, serve

from bench.common import free_port

PODMAN = """#!{python}
import json, sys, time
from pathlib import Path
Path("{folder}/called").write_text(json.dumps(sys.argv[1:]))
print("starting\\nkey $X is wrong\\n")
time.sleep({seconds})
sys.exit({code})
"""


def unmet(seconds: float = 30, **check: Any) -> Unmet | None:
    """Try a check once."""
    return HealthCheck(**check).unmet("127.0.0.1", "shop-green", Deadline(seconds))


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def ends(folder: Path, code: int, seconds: float = 0) -> None:
    """Say how commands in containers end."""
    program = folder / "podman"
    program.write_text(PODMAN.format(python=sys.executable, folder=folder, code=code, seconds=seconds))
    program.chmod(0o755)


def test_a_page_is_asked_as_the_service_wants_it() -> None:
    headers = {"Host": "shop.example.test", "X-Probe": "1"}
    with serve(lambda asked: Reply(204 if asked.method == "HEAD" else 500)) as site:
        check: dict[str, Any] = {"port": site.port, "path": "/ready?deep=1", "headers": headers}
        assert unmet(**check, method="HEAD", status=204) is None
        assert unmet(**check) == Unmet("status 500 instead of 200")
    assert [(asked.method, asked.path, asked.query) for asked in site.asked] == [
        ("HEAD", "/ready", {"deep": ["1"]}),
        ("GET", "/ready", {"deep": ["1"]}),
    ]
    assert site.asked[0].headers | headers == site.asked[0].headers


def test_a_port_that_accepts_connections_is_enough_for_tcp() -> None:
    with serve(lambda _asked: Reply(500)) as site:
        assert unmet(kind="tcp", port=site.port) is None
        assert site.asked == []
    port = free_port()
    assert unmet(kind="tcp", port=port) == Unmet(f"127.0.0.1 port {port}: Connection refused")


def test_a_command_runs_in_the_container_with_its_arguments_as_they_are(podman: Path) -> None:
    ends(podman, 0)
    command = ["check", "", "a b", "$HOME", "%n", ";", "'\""]
    assert unmet(kind="command", command=command) is None
    assert json.loads((podman / "called").read_text()) == ["exec", "shop-green", *command]


def test_a_command_that_fails_is_quoted_apart_from_the_reason(podman: Path) -> None:
    ends(podman, 3)
    assert unmet(kind="command", command=["check"]) == Unmet("check ended with exit code 3", "key $X is wrong")


def test_a_command_that_hangs_is_ended(podman: Path) -> None:
    ends(podman, 0, seconds=3600)
    assert unmet(0.5, kind="command", command=["check"]) == Unmet("check did not end in time")


def test_without_podman_a_command_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert unmet(kind="command", command=["check"]) == Unmet("[Errno 2] No such file or directory: 'podman'")
