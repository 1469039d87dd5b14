# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module postgres_databases, with a fake psql that reads its results from a file and logs its calls."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.data_stores import scram
from modules import run_module

PASSWORD = "a-password-that-nobody-sees"
WANTED: dict[str, Any] = {
    "databases": {"shop": {"logins": {"shop_blue": PASSWORD}}},
    "readers": {"backup": f"{PASSWORD}-2"},
}
NOTHING = {"roles": {}, "members": [], "databases": {}, "waiting": ["max_connections"]}
PSQL = """#!/bin/sh
statement=$(cat)
case $statement in
SELECT*) cat state.json ;;
BEGIN*missing*)
    echo "psql:<stdin>:2: ERROR:  relation does not exist" >&2
    exit 3 ;;
BEGIN*) echo "$statement" >asked; echo "$*" >>asked; echo '[{"version_num": "0004"}]' ;;
*FAILS*|*"$FAILS"*)
    echo "psql:<stdin>:1: ERROR:  it does not like $statement" >&2
    exit 3 ;;
*) echo "$statement" >>statements ;;
esac
"""
Server = Callable[[dict[str, Any]], None]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Set the server's state in the working folder."""
    (tmp_path / "psql").write_text(PSQL)
    (tmp_path / "psql").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FAILS", "nothing")

    def put(state: dict[str, Any]) -> None:
        Path("state.json").write_text(json.dumps(state))

    return put


def told() -> list[str]:
    return Path("statements").read_text().splitlines() if Path("statements").exists() else []


def shows_nothing(result: dict[str, Any]) -> bool:
    return PASSWORD not in result["text"] and "SCRAM" not in result["text"]


def test_missing_objects_are_created_and_shown_without_secrets(server: Server) -> None:
    server(NOTHING)
    result = run_module("postgres_databases", diff=True, **WANTED)
    assert result["changed"]
    assert result["waiting"] == ["max_connections"]
    assert len(told()) == len(result["statements"]) == 9
    assert "CREATE ROLE \"shop_blue\" LOGIN PASSWORD '…'" in result["statements"]
    assert result["diff"]["prepared"].count("\n") == 9
    assert any("LOGIN PASSWORD 'SCRAM-SHA-256$" in statement for statement in told())
    assert shows_nothing(result)


def test_check_mode_reports_changes_and_makes_none(server: Server) -> None:
    server(NOTHING)
    result = run_module("postgres_databases", check=True, **WANTED)
    assert result["changed"]
    assert len(result["statements"]) == 9
    assert told() == []


@pytest.mark.parametrize("check", [True, False])
def test_an_up_to_date_server_is_unchanged(server: Server, check: bool) -> None:
    server(
        {
            "roles": {
                "shop": {"login": False, "password": None, "role": None},
                "shop_blue": {"login": True, "password": scram.verifier(PASSWORD), "role": "shop"},
                "backup": {"login": True, "password": scram.verifier(f"{PASSWORD}-2"), "role": None},
            },
            "members": [["shop", "shop_blue"], ["pg_read_all_data", "backup"]],
            "databases": {"shop": {"owner": "shop", "public": False, "connect": ["backup", "shop"]}},
            "waiting": [],
        }
    )
    result = run_module("postgres_databases", check=check, **WANTED)
    assert (result["changed"], result["statements"], result["waiting"], told()) == (False, [], [], [])
    assert shows_nothing(result)


def test_a_failed_statement_is_reported_without_secrets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server(NOTHING)
    monkeypatch.setenv("FAILS", "shop_blue")
    result = run_module("postgres_databases", **WANTED)
    assert result["failed"]
    assert result["msg"].startswith("PostgreSQL can't CREATE ROLE \"shop_blue\" LOGIN PASSWORD '…': ERROR:  it does")
    assert shows_nothing(result)


def test_a_query_runs_in_its_database_and_is_read_only(server: Server) -> None:
    server({**NOTHING, "waiting": []})
    result = run_module("postgres_databases", ask={"shop": "SELECT version_num FROM versions;"})
    assert (result["changed"], result["answers"]) == (False, {"shop": [{"version_num": "0004"}]})
    statement, arguments = Path("asked").read_text().rsplit("\n", 2)[:2]
    assert statement.startswith("BEGIN READ ONLY;")
    assert "(SELECT version_num FROM versions\n)" in statement
    assert arguments.endswith("-d shop")


def test_a_failed_query_is_an_error_only_if_it_is_required(server: Server) -> None:
    server({**NOTHING, "waiting": []})
    ask = {"shop": "SELECT version_num FROM versions", "forum": "SELECT 1 FROM missing"}
    result = run_module("postgres_databases", ask=ask)
    assert result["failed"]
    complaint = "ERROR:  relation does not exist"
    assert result["msg"] == f"PostgreSQL can't run 'SELECT 1 FROM missing' in forum: {complaint}"
    result = run_module("postgres_databases", ask=ask, ask_strictly=False)
    assert result["answers"] == {"shop": [{"version_num": "0004"}]}


def test_an_unresponsive_server_is_reported(server: Server) -> None:
    Path("state.json").unlink(missing_ok=True)
    result = run_module("postgres_databases", **WANTED)
    assert result["failed"]
    assert result["msg"].startswith("PostgreSQL can't read its state: ")
    assert shows_nothing(result)
