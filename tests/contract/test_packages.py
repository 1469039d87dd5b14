"""Packages are installed in one call a host, so the list of whose packages go where must agree with the plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
ROLES_OF = yaml.safe_load((ROOT / "playbooks/group_vars/all/packages.yml").read_text())["base_package_roles"]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def packages_of(role: str) -> list[str] | None:
    packages = (load(ROOT / "roles" / role / "defaults/main.yml") or {}).get(f"{role}_packages")
    return list(packages) if packages is not None else None


def plays() -> set[tuple[str, str]]:
    """All pairs of a group and a role with packages that the playbooks give to it."""
    return {
        (group.split("[")[0], role["role"])
        for path in (ROOT / "playbooks").glob("*.yml")
        for play in load(path)
        for group in str(play.get("hosts", "")).split(":")
        for role in play.get("roles", [])
        if packages_of(role["role"]) is not None
    }


def packages(*terms: Any, **variables: Any) -> list[str]:
    """What the lookup answers."""
    loader = DataLoader()
    lookup_loader.add_directory(str(ROOT / "plugins/lookup"))
    lookup = lookup_loader.get("role_packages", loader=loader, templar=Templar(loader=loader, variables=variables))
    found: list[str] = lookup.run(list(terms), variables=variables)
    return found


def test_every_role_with_packages_is_listed_for_the_groups_that_get_it() -> None:
    assert {(group, role) for group, roles in ROLES_OF.items() for role in roles} == plays()


def test_a_host_gets_the_packages_of_all_its_groups_once() -> None:
    roles = ("base", "firewall", "node_exporter", "postgres", "broker")
    assert packages(ROLES_OF, ["all", "data"]) == sorted({name for role in roles for name in packages_of(role) or []})
    assert packages(ROLES_OF, ["all", *ROLES_OF]) == sorted(set(packages(ROLES_OF, ["all", *ROLES_OF])))


def test_a_variable_goes_before_the_roles_default() -> None:
    assert packages({"all": ["firewall"]}, ["all"], firewall_packages=["nftables", "ulogd2"]) == ["nftables", "ulogd2"]


def test_a_role_that_is_not_wanted_needs_none() -> None:
    roles = {"data": ["postgres", "broker"]}
    assert packages(roles, ["data"], broker_wanted=False) == sorted(packages_of("postgres") or [])
    assert "rabbitmq-server" in packages(roles, ["data"], broker_wanted=True)


def test_a_group_without_roles_needs_nothing() -> None:
    assert packages(ROLES_OF, ["staging"]) == []
