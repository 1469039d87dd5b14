"""What the role seed asks of the modules for synthetic users; these are stand-ins here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import plays
import yaml

MODULE = """#!/usr/bin/python
import json, sys
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in OPTIONS}, supports_check_mode=True)
with open("FOLDER/log", "a+") as log:
    log.seek(0)
    first = "NAME" not in log.read()
    log.write(json.dumps(["NAME", {name: value for name, value in module.params.items() if value is not None}]) + "\\n")
module.exit_json(**{**RESULT, "changed": "NAME" == "identity_seed" and first})
"""
# Becomes nobody else.
SUDO = """#!/bin/sh
while [ "$1" != /bin/sh ]; do shift; done
exec "$@"
"""
ACCESS = [
    "server",
    "url",
    "realm",
    "client_id",
    "client_secret",
    "headers",
    "ca_file",
    "client_cert",
    "client_key",
    "set",
]
SEED = [*ACCESS, "public_url", "state", "seed", "count", "domain", "leftovers", "removals", "removals_users"]
SEED += ["removals_percent", "locales", "traits", "personas", "verified", "password", "hashes", "renew"]
SEED += ["adopt", "adopt_unsigned", "signing_key", "environment", "allowed"]
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "environment_name": "staging",
    "environment_seeding_allowed": True,
    "release": {"name": "1.0"},
    "secrets_values": {
        "environment/value/persona": {"value": "pass"},
        "environment/value/people": {"value": "key"},
        "environment/kratos": {"token": "secret"},
    },
    "seed_set": "people",
    "seed_seed": "1",
    "seed_count": 3,
    "seed_domain": "people.invalid",
    "seed_url": "https://kratos.example.org",
    "seed_headers": {"Authorization": "Bearer {{ secrets_values['environment/kratos'].token }}"},
    "seed_ca_file": "/etc/ca.crt",
    "seed_named_people": "{{ inventory_dir }}/people.csv",
    "seed_personas": ["admin", {"name": "later", "needs": {"release": ">=2.0"}}],
    "seed_export_file": "{{ inventory_dir }}/list/people.csv",
    "seed_export_group": "root",
    "slot_bundles": {},
    "database_manager": "",
    "database_server": {},
    "slot_target": "blue",
}


def seed(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Run the role's tasks, again when nothing is left to change, and without a list; returns the modules' calls."""
    (folder / "library").mkdir(exist_ok=True)
    people = {"people_file": "/people.jsonl", "people_hash": "1"}
    for name, options, result in (
        ("identity_seed", SEED, people),
        ("identity_export", [*ACCESS, "people_file", "limit"], {"content": "key\n1\n", "users": 1}),
        # These only have to be there.
        ("postgres_databases", [], {}),
        ("template_tree", [], {}),
    ):
        text = MODULE.replace("OPTIONS", repr(options)).replace("RESULT", repr(result))
        (folder / f"library/{name}.py").write_text(text.replace("FOLDER", str(folder)).replace("NAME", name))
    plays.configure(folder, lookup_plugins=plays.ROOT / "plugins/lookup")
    (folder / "people.csv").write_text("key,traits.tier\ngrace,gold\n")
    (folder / "sudo").write_text(SUDO)
    (folder / "sudo").chmod(0o755)
    (folder / "list").mkdir(exist_ok=True)
    (folder / "log").write_text("")
    hosts = {group: {"hosts": {f"{group}1": None}} for group in ("app", "ops")}
    plays.write_hosts(folder, hosts, {**VARIABLES, "ansible_become_exe": str(folder / "sudo")})
    (folder / "list/old.csv").write_text("key\n")
    task = {"name": "Seed", "ansible.builtin.include_role": {"name": "seed", "tasks_from": "present"}}
    no_list = {"seed_export_limit": 0, "seed_export_file": "{{ inventory_dir }}/list/old.csv"}
    tasks = [task, task, {**task, "vars": no_list}]
    play = {"hosts": "app", "gather_facts": False, "tasks": tasks, "vars": {"catalogue": {}}}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = plays.run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Bearer secret" not in done.stdout + done.stderr
    return [tuple(json.loads(line)) for line in (folder / "log").read_text().splitlines()]


def test_named_people_a_foreign_server_and_the_list_for_testers(tmp_path: Path) -> None:
    (name, asked), (export, read), (again, _), (last, _) = seed(tmp_path)
    assert (name, export, again, last) == ("identity_seed", "identity_export", "identity_seed", "identity_seed")
    assert not (tmp_path / "list/old.csv").exists()
    grace = {"name": "grace", "traits": {"tier": {"text": "gold"}}}
    assert asked["personas"] == ["admin", grace]
    assert asked["public_url"] == asked["url"] == "https://kratos.example.org"
    reached = {"url": asked["url"], "headers": {"Authorization": "Bearer secret"}, "ca_file": "/etc/ca.crt"}
    assert reached.items() <= asked.items()
    assert read == {**reached, "set": "people", "people_file": "/people.jsonl", "limit": 1000}
    written = tmp_path / "list/people.csv"
    assert written.read_text() == "key\n1\n"
    assert written.stat().st_mode & 0o777 == 0o640
