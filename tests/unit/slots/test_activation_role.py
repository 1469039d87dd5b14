# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which background services a run starts on a host before it deploys: none on a host that was replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plays
import pytest
from plays import ROOT

JOBS: dict[str, Any] = {"name": "jobs", "group": "app", "activation": "live_only", "ports": {}, "health": None}
MEMBERS = {"app": [{"name": "app1", "address": "192.0.2.1"}, {"name": "app2", "address": "192.0.2.2"}]}
VARIABLES = {
    **{"slots_live_slot": "green", "catalogue": {}, "role_path": str(ROOT / "roles/slots")},
    "slot_bundles": {slot: {"slot": slot, "hosts": MEMBERS, "services": {"jobs": JOBS}} for slot in ("blue", "green")},
    **{"edge_peers_port": 8406, "environment_name": "staging", "environment_public_name": "portal.test"},
}
UNITS = "(__slots_trees | selectattr('name', 'eq', 'activation') | first).units"
STARTED = f"{{{{ {UNITS} | selectattr('state', 'eq', 'started') | map(attribute='name') | to_json }}}}"


@pytest.mark.parametrize(
    ("known", "started"),
    [
        ({"app1": ["blue", "green"], "app2": ["blue", "green"]}, ["jobs-green.service"]),
        ({"app1": ["blue", "green"], "app2": ["blue"]}, []),
        ({"app1": ["blue", "green"], "app2": []}, []),
        # A run that reads no slots.
        (None, ["jobs-green.service"]),
    ],
    ids=["has both", "has the other one", "blank", "not asked"],
)
def test_a_blank_host_starts_no_background_service_of_the_live_slot(
    tmp_path: Path, known: dict[str, list[str]] | None, started: list[str]
) -> None:
    place = tmp_path / "started.json"
    tasks = [{"ansible.builtin.copy": {"content": STARTED, "dest": str(place)}}]
    more = {} if known is None else {"environment_slots_on": known}
    play = {"hosts": "app2", "connection": "local", "gather_facts": False, "tasks": tasks, "vars": VARIABLES | more}
    file = str(ROOT / "roles/slots/vars/main.yml")
    (tmp_path / "play.yml").write_text(json.dumps([{**play, "vars_files": [file]}]))
    plays.write_hosts(tmp_path, {"app": {"hosts": {"app1": {}, "app2": {}}}}, {})
    plays.configure(tmp_path)
    run = plays.run(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert json.loads(place.read_text()) == started
