# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The examples of inventories are valid: secrets.yml creates their secrets, and validate.yml accepts them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from environment import ALL_OF_IT, ROOT
from webserver import Authority, serve
from world import NO_SSH, answer

from tests import warm_start

EXAMPLES = sorted(path.parent.name for path in (ROOT / "inventories/examples").glob("*/hosts.yml"))
SERVICE = """
image: portal
group: app
ports: {http: {container: 8080, from: [edge]}}
health: {port: http, path: /readyz}
routes: [{path: /}]
"""
DATABASE = "database: shop\nmigrate: [migrate]\nsecrets: {DATABASE_URL: {login: shop}}\n"
CHECKS = "- {name: The page opens, url: /}\n"
# What an environment has secrets for.
VALUES = {
    "single-host": {"signing"},
    "small": {"signing", "backup"},
    "external": {"signing", "backup"},
    "dev": {"signing", "backup"},
}


@pytest.fixture
def access(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """An access folder, and the address of a registry whose CA it has."""
    folder = tmp_path / "access"
    folder.mkdir()
    with serve(answer, Authority(folder).context("127.0.0.1")) as registry:
        yield folder, f"127.0.0.1:{registry.port}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name: str, access: tuple[Path, str], tmp_path: Path) -> None:
    folder, registry = access
    source = ROOT / "inventories/examples" / name / "hosts.yml"
    service = tmp_path / "services/shop"
    service.mkdir(parents=True)
    service.joinpath("service.yml").write_text(SERVICE + (DATABASE if name != "single-host" else ""))
    service.joinpath("checks.yml").write_text(CHECKS)
    ssh = tmp_path / "ssh"
    ssh.write_text(NO_SSH.format(log=tmp_path / "ssh.log"))
    ssh.chmod(0o755)
    secrets = folder / "secrets.yml"
    # The example with a Vault needs none here; tests/unit/vault/test_vault_setup.py has one for it.
    given = {"registry_address": registry, "secrets_file": str(secrets), "secrets_url": "", "secrets_auth": {}}
    given |= {"secrets_read_only": []}
    words = ["-e", json.dumps(given | {"confirm": next(iter(yaml.safe_load(source.read_text())))})]
    for playbook, more in (("playbooks/secrets.yml", ["-e", "create=missing"]), ("playbooks/validate.yml", [])):
        done = warm_start.run(
            ["-i", str(source), playbook, *words, *more],
            ROOT,
            {
                **os.environ,
                **ALL_OF_IT,
                "ANSIBLE_SSH_EXECUTABLE": str(ssh),
                "GREENROOM_ACCESS": str(folder),
                "GREENROOM_SERVICES": str(service.parent),
            },
            merged=True,
        )
        assert done.returncode == 0, done.stdout
    found = yaml.safe_load(secrets.read_text())
    values = {path.rpartition("/")[2] for path in found if path.startswith("environment/value/")}
    assert values == VALUES[name]
    assert ("environment/certificate/postgres" in found) == (name in ("small", "dev"))
    assert not (tmp_path / "ssh.log").exists()
