# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which secrets and certificates the role secrets asks for, and which names Vault's PKI must allow for them."""

from __future__ import annotations

import json
from pathlib import Path

import plays
from plays import ROOT

VARIABLES = {
    "catalogue": {
        "shop": {
            "routes": [{"hosts": ["shop.test.example", "api.example.com", "*.example.net"], "path": "/"}],
            "identities": None,
        }
    },
    **{"environment_domain": "test.example", "slot_bundles": {}, "edge_visitors_only": False},
    **{"broker_wanted": False, "valkey_wanted": False},
    **{"edge_certificates": {}, "edge_acme": {}},
    # A database elsewhere, whose name hosts find by DNS.
    **{"database_address": "", "database_admin": "greenroom"},
}
ASKED = "{'values': secrets_environment_values, 'names': __secrets_certificates, 'domains': __secrets_domains}"
CASES = [
    {"edge": ["www.test.example", "*.test.example"], "broker": ["broker.test.example"]},
    # The operator brings the edge's certificate (docs/small.md).
    {},
]


def test_an_environment_asks_for_the_secrets_and_names_that_it_uses(tmp_path: Path) -> None:
    tasks = [
        {
            "ansible.builtin.copy": {
                "content": f"{{{{ {ASKED} | to_json }}}}",
                "dest": str(tmp_path / f"{place}.json"),
            },
            "vars": {"secrets_certificates": case},
        }
        for place, case in enumerate(CASES)
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": VARIABLES, "tasks": tasks}
    files = [str(ROOT / f"roles/secrets/{folder}/main.yml") for folder in ("defaults", "vars")]
    (tmp_path / "play.yml").write_text(json.dumps([{**play, "vars_files": files}]))
    plays.write_hosts(tmp_path, {}, {})
    plays.configure(tmp_path)
    run = plays.run(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    found = [json.loads((tmp_path / f"{place}.json").read_text()) for place in range(len(CASES))]
    assert found[0]["values"] == ["signing", "backup"]
    assert found[0]["names"] == {"edge": ["www.test.example", "*.test.example", "*.example.net", "api.example.com"]}
    assert found[0]["domains"] == ["test.example", "example.net", "api.example.com"]
    assert (found[1]["names"], found[1]["domains"]) == ({}, ["test.example"])


PLACES = {"sftp": {"third-party/backup": True}, "s3": {"third-party/backup": False}, "posix": {}}


def test_the_key_to_the_second_place_of_backups_has_lines_if_it_is_a_file(tmp_path: Path) -> None:
    tasks = [
        {
            "ansible.builtin.copy": {"content": "{{ __secrets_settable | to_json }}", "dest": str(tmp_path / kind)},
            "vars": {"pgbackrest_second": {"type": kind}},
        }
        for kind in PLACES
    ]
    more = {"pgbackrest_wanted": True, "providers": {}, "catalogue": {}, "database_admin": ""}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    files = [str(ROOT / f"roles/secrets/{folder}/main.yml") for folder in ("defaults", "vars")]
    (tmp_path / "play.yml").write_text(json.dumps([{**play, "vars": VARIABLES | more, "vars_files": files}]))
    plays.write_hosts(tmp_path, {}, {})
    plays.configure(tmp_path)
    run = plays.run(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert {kind: json.loads((tmp_path / kind).read_text()) for kind in PLACES} == PLACES
