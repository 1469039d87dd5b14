"""Environments differ in values only, and mean the same from the command line and from AWX."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = sorted(path.parent.name for path in (ROOT / "inventories").glob("*/hosts.yml"))


def keys(value: Any, prefix: str = "") -> set[str]:
    """All keys of nested mappings, dotted; a login's options and the toggles that differ are the environment's own."""
    if not isinstance(value, dict) or prefix.startswith(("secrets_auth.", "environment_toggles.")):
        return set()
    return {name for key, inner in value.items() for name in {f"{prefix}{key}", *keys(inner, f"{prefix}{key}.")}}


def environment_keys(name: str) -> set[str]:
    files = (ROOT / "inventories" / name / "group_vars" / name).glob("*.yml")
    return {key for file in files for key in keys(yaml.safe_load(file.read_text()))}


def ansible_inventory(project: Path, source: Path, *options: str) -> dict[str, Any]:
    """The JSON that `ansible-inventory` answers for `source`, run in `project`."""
    answer = subprocess.run(
        ["ansible-inventory", "-i", str(source), *options],
        cwd=project,
        env={**os.environ, "ANSIBLE_CONFIG": str(project / "ansible.cfg")},
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def test_there_are_two_environments_to_compare() -> None:
    assert {"production", "staging"} <= set(ENVIRONMENTS)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_inventories_have_equal_keys(name: str) -> None:
    assert environment_keys(name) == environment_keys("staging")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_groups_of_an_environment_are_children_of_its_own_group(name: str) -> None:
    hosts = yaml.safe_load((ROOT / "inventories" / name / "hosts.yml").read_text())
    assert list(hosts) == [name]
    assert {"edge", "app", "data", "ops"} <= set(hosts[name]["children"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what decides on variables, with one variable that both layers set and one that only one sets."""
    for folder in ("inventories", "playbooks", "plugins", "services", "library", "roles"):
        # Other tests' programs write into __pycache__ meanwhile.
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    (tmp_path / "playbooks/group_vars/all/probe.yml").write_text("probe: shared\nprobe_shared: shared\n")
    (tmp_path / "inventories/staging/group_vars/staging/probe.yml").write_text("probe: staging\n")
    return tmp_path


def flattened(project: Path) -> Path:
    """The inventory as AWX keeps it: one script whose answer carries the variables of hosts and groups."""
    answer = ansible_inventory(project, project / "inventories/staging", "--list", "--export")
    script = project / "flattened.py"
    script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(answer)!r})\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("host", ["edge1", "app1", "ops1"])
def test_both_shapes_of_an_inventory_give_the_same_values(project: Path, host: str) -> None:
    options = ("--host", host, "--playbook-dir", str(project / "playbooks"))
    from_folder = ansible_inventory(project, project / "inventories/staging", *options)
    from_awx = ansible_inventory(project, flattened(project), *options)
    assert from_folder["probe"] == "staging"
    assert from_folder["probe_shared"] == "shared"
    assert from_awx == from_folder


def test_ansibles_own_order_would_lose_an_environments_value(project: Path) -> None:
    """The control: without the precedence line the flattened shape says something else."""
    config = project / "ansible.cfg"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "precedence" not in line))
    answer = ansible_inventory(
        project, flattened(project), "--host", "app1", "--playbook-dir", str(project / "playbooks")
    )
    assert answer["probe"] == "shared"
