# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A setting that waits for a restart of PostgreSQL doesn't restart it while a slot is live, unless an operator asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml

TASKS = plays.ROOT / "roles/databases/tasks/main.yml"


@pytest.mark.parametrize(
    ("live", "given", "restarts"),
    [
        ("blue", {}, False),
        ("blue", {"restart_database": "false"}, False),
        ("blue", {"restart_database": "true"}, True),
        (None, {}, True),
    ],
)
def test_the_live_database_restarts_on_request_only(
    tmp_path: Path, live: str | None, given: dict[str, Any], restarts: bool
) -> None:
    report, restart = yaml.safe_load(TASKS.read_text())[-2:]
    assert "ansible.builtin.systemd_service" in restart
    restart = {"name": restart["name"], "when": restart["when"], "ansible.builtin.debug": {"msg": "RESTARTED"}}
    plays.configure(tmp_path)
    found = {"databases_found": {"waiting": ["max_connections", "shared_buffers"]}, "slot_live": live}
    plays.write_hosts(tmp_path, {"data": {"hosts": {"data1": {"ansible_connection": "local"}}}}, found)
    variables = str(plays.ROOT / "roles/databases/vars/main.yml")
    play = {"hosts": "data", "gather_facts": False, "vars_files": [variables], "tasks": [report, restart]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = plays.run(tmp_path, "-e", json.dumps(given))
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert ("RESTARTED" in said) == restarts
    asked = "PostgreSQL on data1 needs a restart for max_connections, shared_buffers. It ends the connections"
    assert (asked in said) != restarts
