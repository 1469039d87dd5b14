# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which certificates the role secrets asks for, and which names Vault's PKI must allow for them."""

from __future__ import annotations

import json
from pathlib import Path

import plays
from plays import ROOT

ROUTES = {"shop": {"routes": [{"hosts": ["shop.test.example", "api.example.com", "*.example.net"], "path": "/"}]}}
CASES = [
    {"edge": ["www.test.example", "*.test.example"], "broker": ["broker.test.example"]},
    # The operator brings the certificates of the edge (docs/small.md).
    {},
]


def test_the_edges_certificate_has_the_names_of_routes_unless_it_comes_from_elsewhere(tmp_path: Path) -> None:
    variables = {"catalogue": ROUTES, "environment_domain": "test.example", "slot_bundles": {}}
    variables |= {"broker_wanted": False, "valkey_wanted": False}
    tasks = [
        {
            "ansible.builtin.copy": {
                "content": "{{ {'names': __secrets_certificates, 'domains': __secrets_domains} | to_json }}",
                "dest": str(tmp_path / f"{number}.json"),
            },
            "vars": {"secrets_certificates": case},
        }
        for number, case in enumerate(CASES)
    ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables, "tasks": tasks}
    play["vars_files"] = [str(ROOT / "roles/secrets/vars/main.yml")]
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    plays.write_hosts(tmp_path, {}, {})
    plays.configure(tmp_path)
    run = plays.run(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    found = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(len(CASES))]
    assert found[0]["names"] == {"edge": ["www.test.example", "*.test.example", "*.example.net", "api.example.com"]}
    assert found[0]["domains"] == ["test.example", "example.net", "api.example.com"]
    assert found[1] == {"names": {}, "domains": ["test.example"]}
