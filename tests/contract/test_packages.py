"""The roles, packages and trees of a host come from one list, which must have every role with packages or trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.greenroom.controller.hosts.roles import roles_of_host
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
HOST_ROLES = yaml.safe_load((ROOT / "playbooks/group_vars/all/roles.yml").read_text())["host_roles"]
GROUPS = {
    "all": ["edge1", "app1", "data1", "data2", "ops1", "ops2"],
    "data": ["data1", "data2"],
    "ops": ["ops1", "ops2"],
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def packages_of(role: str) -> list[str] | None:
    packages = (load(ROOT / "roles" / role / "defaults/main.yml") or {}).get(f"{role}_packages")
    return list(packages) if packages is not None else None


def packages(roles: list[str], **variables: Any) -> list[str]:
    """The result of the lookup `role_packages`."""
    loader = DataLoader()
    lookup_loader.add_directory(str(ROOT / "plugins/lookup"))
    lookup = lookup_loader.get("role_packages", loader=loader, templar=Templar(loader=loader, variables=variables))
    found: list[str] = lookup.run([roles], variables=variables)
    return found


def test_every_role_with_packages_or_trees_is_listed() -> None:
    listed = {role for roles in HOST_ROLES.values() for role in roles}
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    have = {role for role in roles if packages_of(role) is not None}
    have |= {role for role in roles if f"__{role}_trees" in (load(ROOT / "roles" / role / "vars/main.yml") or {})}
    # A cutover writes its files by itself, on whichever host keeps them. A server for secrets is set up before any run,
    # and timers may be on a host outside the environment.
    assert listed == have - {"cutover", "openbao", "schedule"}


def test_a_host_has_the_roles_of_its_groups_in_the_listed_order() -> None:
    assert roles_of_host(HOST_ROLES, GROUPS, "data1") == [
        "base",
        "firewall",
        "node_exporter",
        "updates",
        "unused_servers",
        "pgbackrest",
        "postgres",
        "postgres_exporter",
        "broker",
        "valkey",
        "certificates",
    ]
    assert roles_of_host(HOST_ROLES, GROUPS, "data2") == [
        "base",
        "firewall",
        "node_exporter",
        "updates",
        "unused_servers",
        "pgbackrest",
        "postgres",
        "postgres_exporter",
    ]
    assert roles_of_host(HOST_ROLES, GROUPS, "edge1") == [
        "base",
        "firewall",
        "node_exporter",
        "updates",
        "unused_servers",
    ]
    assert roles_of_host(HOST_ROLES, GROUPS, "data1", ["postgres", "monitoring"]) == ["postgres"]


def test_a_package_of_several_roles_is_listed_once() -> None:
    roles = ["base", "firewall", "node_exporter", "postgres", "broker"]
    assert packages(roles) == sorted({name for role in roles for name in packages_of(role) or []})


def test_a_variable_overrides_the_default_of_the_role() -> None:
    assert packages(["firewall"], firewall_packages=["nftables", "ulogd2"]) == ["nftables", "ulogd2"]


def test_a_disabled_role_needs_no_packages() -> None:
    assert packages(["postgres", "broker"], broker_wanted=False) == sorted(packages_of("postgres") or [])
    assert "rabbitmq-server" in packages(["postgres", "broker"], broker_wanted=True)


def test_a_role_without_a_list_needs_no_packages() -> None:
    assert packages(["edge_slot"]) == []
