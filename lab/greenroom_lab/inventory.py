"""Hosts and addresses, read from the same inventories that the playbooks use."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from typing import Any

from . import paths
from .console import LabError

DOMAIN = "greenroom.test"
CONTROL = "control"


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of the lab: `environment` is an inventory's name, or `control`."""

    environment: str
    name: str
    address: str
    groups: tuple[str, ...] = ()

    @property
    def container(self) -> str:
        """The name of the container that plays this host."""
        return f"greenroom-{self.environment}-{self.name}"

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The /24 in which the host stands."""
        return ipaddress.IPv4Network(f"{self.address}/24", strict=False)

    @property
    def domain(self) -> str:
        """The domain of the host's environment."""
        return f"{self.environment}.{DOMAIN}"


def control() -> Host:
    """The host outside every environment, with Vault and registry."""
    return Host(CONTROL, "control1", "198.18.30.11")


def environments() -> list[str]:
    """The names of all environments that have an inventory."""
    return sorted(file.parent.name for file in (paths.ROOT / "inventories").glob("*/hosts.yml"))


def network(environment: str) -> ipaddress.IPv4Network | None:
    """The /24 of an environment's first host, or None where no host has an address. Needs no YAML parser."""
    text = (paths.ROOT / "inventories" / environment / "hosts.yml").read_text()
    first = re.search(r"ansible_host:\s*(\d+\.\d+\.\d+\.\d+)", text)
    return ipaddress.IPv4Network(f"{first[1]}/24", strict=False) if first else None


def hosts(environment: str) -> list[Host]:
    """The hosts of one environment, each once, in the inventory's order.

    Raises LabError for an environment without inventory, or a host without an address.
    """
    import yaml  # in the virtual environment only; all else here runs before there is one

    file = paths.ROOT / "inventories" / environment / "hosts.yml"
    if environment not in environments():
        raise LabError(f"There is no inventory {environment}: choose one of {', '.join(environments())}.")
    found: dict[str, Host] = {}
    groups = yaml.safe_load(file.read_text())[environment]["children"]
    for group, content in groups.items():
        for name, variables in ((content or {}).get("hosts") or {}).items():
            if name in found:
                found[name] = dataclasses.replace(found[name], groups=(*found[name].groups, group))
                continue
            found[name] = Host(environment, name, _address(file.name, name, variables), (group,))
    return list(found.values())


def _address(file: str, host: str, variables: dict[str, Any] | None) -> str:
    try:
        return str(ipaddress.IPv4Address((variables or {})["ansible_host"]))
    except (KeyError, ValueError):
        raise LabError(f"{file}: the host {host} needs an IPv4 address in ansible_host.") from None
