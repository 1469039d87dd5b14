# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module broker_definitions, with a fake rabbitmqctl that reads its state from a file and logs its calls."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modules
import pytest
from ansible.module_utils.greenroom.data_stores import broker, broker_server

PASSWORD = "a-password-that-nobody-sees"
WANTED: dict[str, Any] = {
    "vhost": "staging",
    "queues": {"receipts": {"delivery_limit": 20}},
    "logins": {"worker_blue": {"write": ["receipts"], "read": ["receipts"]}},
    "passwords": {"worker_blue": PASSWORD},
}
GUEST = {"users": [{"name": "guest"}]}
# An import replaces the state, unless the test simulates a broker that ignores it.
TOOL = """#!/bin/sh
echo "$@" >>told
case $2 in
"$FAILS") echo "Error: it does not like" $FAILS >&2; exit 69 ;;
await_startup) touch up ;;
export_definitions) cat state.json ;;
import_definitions) [ -n "$STUBBORN" ] || cp "$3" state.json; cp "$3" imported.json ;;
delete_user) echo '{}' >state.json ;;
esac
"""
Server = Callable[[dict[str, Any]], None]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Set the server's state in the working folder."""
    (tmp_path / "rabbitmqctl").write_text(TOOL)
    (tmp_path / "rabbitmqctl").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FAILS", "nothing")
    monkeypatch.setenv("STUBBORN", "")
    monkeypatch.setattr(broker_server, "FOLDER", str(tmp_path))
    monkeypatch.setattr(broker_server, "SERVER", pwd.getpwuid(os.getuid()).pw_name)

    def put(state: dict[str, Any]) -> None:
        Path("state.json").write_text(json.dumps(state))

    return put


def told() -> list[str]:
    return [line.split()[1] for line in Path("told").read_text().splitlines()]


def run(**options: Any) -> dict[str, Any]:
    result = modules.run_module("broker_definitions", **{**WANTED, **options})
    assert PASSWORD not in result["text"]
    assert "password_hash" not in result["text"]
    return result


def test_missing_objects_are_created_and_shown_without_secrets(server: Server) -> None:
    server(GUEST)
    result = run(diff=True)
    assert result["changed"] is True
    assert result["definitions"][0] == "vhosts staging"
    assert result["definitions"][-1] == "users guest (removed)"
    assert "users worker_blue\n" in result["diff"]["prepared"]
    assert told() == ["export_definitions", "delete_user", "import_definitions", "export_definitions"]
    (user,) = json.loads(Path("imported.json").read_text())["users"]
    assert broker.matches(user["password_hash"], PASSWORD)
    assert list(Path().glob(".greenroom-*")) == []


def test_a_second_call_queries_once_and_changes_nothing(server: Server) -> None:
    server({})
    run()
    Path("told").unlink()
    result = run(diff=True)
    assert (result["changed"], result["definitions"]) == (False, [])
    assert "diff" not in result
    assert told() == ["export_definitions"]


def test_check_mode_only_queries(server: Server) -> None:
    server(GUEST)
    result = run(check=True)
    assert result["changed"] is True
    assert told() == ["export_definitions"]


def test_a_definition_that_the_broker_ignores_is_reported(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server({"queues": [{"name": "receipts", "vhost": "staging", "arguments": {"x-queue-type": "classic"}}]})
    monkeypatch.setenv("STUBBORN", "yes")
    result = run()
    assert result["failed"] is True
    assert "other objects with these names and keeps them" in result["msg"]
    assert "queues receipts" in result["msg"]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("export_definitions", "RabbitMQ can't export its definitions: Error: it does not like export_definitions"),
        ("delete_user", "RabbitMQ can't remove the user guest: Error: it does not like delete_user"),
        ("import_definitions", "RabbitMQ can't import its definitions: Error: it does not like import_definitions"),
    ],
)
def test_an_error_is_one_line(server: Server, monkeypatch: pytest.MonkeyPatch, step: str, words: str) -> None:
    server(GUEST)
    monkeypatch.setenv("FAILS", step)
    assert run()["msg"] == words


def test_a_starting_server_is_retried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server({})
    Path("rabbitmqctl").write_text(
        TOOL.replace("case $2 in", '[ -e up ] || [ "$2" = await_startup ] || exit 69\ncase $2 in')
    )
    result = run()
    assert result["changed"] is True
    assert told()[:3] == ["export_definitions", "await_startup", "export_definitions"]


def test_a_login_without_a_password_is_reported(server: Server) -> None:
    server({})
    assert run(passwords={})["msg"] == "passwords: add a password for worker_blue"


@pytest.mark.parametrize(
    ("says", "asked"),
    [
        ("cat >code; cat state.json", []),
        ("exit 1", ["export_definitions"]),
        ("echo not JSON", ["export_definitions"]),
        ("echo '{}'", ["export_definitions"]),
    ],
)
def test_the_slow_tool_is_used_only_if_the_fast_one_fails(server: Server, says: str, asked: list[str]) -> None:
    server({})
    run()
    Path("told").write_text("")
    Path("erl_call").write_text(f"#!/bin/sh\n{says}\n")
    Path("erl_call").chmod(0o755)
    assert not run()["changed"]
    assert told() == asked
    if not asked:
        assert "rabbit_definitions:all_definitions()" in Path("code").read_text()
