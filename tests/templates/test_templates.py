# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Every template renders in every environment, with valid and safe output."""

from __future__ import annotations

import json
import tomllib

import pytest
import yaml
from rendering import ENVIRONMENTS, ROOT, SECRET, Rendered

SOURCES = sorted(
    path
    for pattern in ("roles/*/templates/**/*", "services/*/config/**/*")
    for path in ROOT.glob(pattern)
    if path.is_file() and "__pycache__" not in path.parts
)


# What the demo's services don't use, and the test that renders it with services that do.
ELSEWHERE = {
    "roles/backup/templates/volumes/": "test_volumes.py",
    "roles/volumes/templates/": "test_volumes.py",
    "roles/bundle/templates/secret.j2": "test_values.py",
    "roles/egress/templates/": "test_hosts.py",
    "roles/egress_proof/templates/": "test_egress_proof.py",
    "roles/monitoring/templates/guarded/": "test_programs.py",
    "roles/slots/templates/jobs/": "test_new_service.py",
    "roles/updates/templates/": "test_updates.py",
    "roles/valkey/templates/": "test_new_service.py",
}


def test_there_are_templates() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_template_is_rendered(environment: str, rendered: dict[str, Rendered]) -> None:
    used = {record["source"] for record in rendered[environment].records}
    left = [str(path.relative_to(ROOT)) for path in SOURCES if str(path) not in used]
    assert [path for path in left if not path.startswith(tuple(ELSEWHERE))] == []
    assert [name for name in ELSEWHERE if not any(path.startswith(name) for path in left)] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_file_has_the_marker_if_its_format_allows(environment: str, rendered: dict[str, Rendered]) -> None:
    made = {record["dest"] for record in rendered[environment].records if str(record["source"]).endswith(".j2")}
    silent = {
        str(dest)
        for file in rendered[environment].files()
        for dest in ["/" + "/".join(file.relative_to(rendered[environment].folder).parts[1:])]
        if dest in made and "Managed by Greenroom" not in file.read_text()
    }
    # Formats without comments, or with a suffix that doesn't show whether they have any, and pages for visitors.
    assert {dest for dest in silent if not dest.endswith((".json", ".pem", ".lst", ".map", ".lf"))} == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_file_has_leftovers_of_an_expression(environment: str, rendered: dict[str, Rendered]) -> None:
    # Python code and Alertmanager's templates are copied as they are, and may have such words of their own.
    code = {path.read_bytes() for path in (ROOT / "plugins/module_utils/greenroom").rglob("*.py")}
    code |= {path.read_bytes() for path in SOURCES if path.suffix == ".tmpl"}
    leftovers = {
        (str(file), word)
        for file in rendered[environment].files()
        for word in ("{{", "{%", "AnsibleUndefined", "<class ", "Undefined")
        if word in file.read_text() and file.read_bytes() not in code
    }
    assert leftovers == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_json_yaml_and_toml_can_be_read(environment: str, rendered: dict[str, Rendered]) -> None:
    files = rendered[environment].files
    for file in files("**/*.json"):
        json.loads(file.read_text())
    for file in [*files("**/*.yml"), *files("**/*.yaml")]:
        assert yaml.safe_load(file.read_text()), file
    for file in [*files("etc/containers/*.d/*.conf")]:
        tomllib.loads(file.read_text())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_slots_have_their_own_files(environment: str, rendered: dict[str, Rendered]) -> None:
    for slot in ("blue", "green"):
        units = rendered[environment].files(f"etc/containers/systemd/*-{slot}.container")
        assert units
        assert all(f"greenroom-{slot}" in unit.read_text() for unit in units)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_accounts_can_only_forward_to_the_admin_pages_on_ops_hosts(
    environment: str, rendered: dict[str, Rendered]
) -> None:
    keys: dict[str, set[str]] = {}
    forwarding: dict[str, set[str]] = {}
    for file in rendered[environment].files("etc/ssh/sshd_config.d/10-greenroom.conf"):
        host = file.relative_to(rendered[environment].folder).parts[0]
        keys[host] = {path.name for path in (file.parents[1] / "authorized_keys.d").iterdir()}
        accounts = {block.split()[0]: block for block in file.read_text().split("Match User ")[1:]}
        assert {name for name, block in accounts.items() if ".ssh/authorized_keys" in block} == {"operator"}
        forwarding[host] = {line.strip() for line in accounts["a-viewer"].splitlines() if "PermitOpen" in line}
        everybody = file.read_text().partition("Match ")[0].splitlines()
        assert forwarding[host] == {line for line in everybody if "PermitOpen" in line}
        assert {"PermitListen none", "AllowStreamLocalForwarding no"} <= set(everybody)
    ports = " ".join(f"localhost:{port} 127.0.0.1:{port}" for port in (9090, 1080, 8408))
    pages = f"PermitOpen {ports}"
    assert {host for host, lines in forwarding.items() if lines == {pages}} == {"ops1"}
    assert {host for host, lines in forwarding.items() if lines == {"PermitOpen none"}} == set(keys) - {"ops1"}
    assert {host for host, names in keys.items() if names & {"a-viewer", "a-tester"}} == {"ops1"}
    assert all({"a-developer", "a-operator"} <= names for names in keys.values())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_files_with_secrets_are_hidden_in_runs_and_not_world_readable(
    environment: str, rendered: dict[str, Rendered]
) -> None:
    hidden = {(record["host"], record["dest"]) for record in rendered[environment].records if record["secret"]}
    shown, holding = set(), 0
    for file in rendered[environment].files():
        host, *path = file.relative_to(rendered[environment].folder).parts
        dest = "/" + "/".join(path)
        if SECRET in file.read_text():
            holding += 1
            if (host, dest) not in hidden or file.stat().st_mode & 0o007:
                shown.add((host, dest))
    assert holding > 5
    assert shown == set()
