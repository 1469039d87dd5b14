"""Hosts and addresses, read from the same inventories that the playbooks use."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

import yaml

from . import network, paths
from .console import LabError


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of the lab: `environment` is an inventory's name, or `control`."""

    environment: str
    name: str
    address: str
    groups: tuple[str, ...] = ()

    @property
    def container(self) -> str:
        """Name of this host's container."""
        return f"greenroom-{self.environment}-{self.name}"

    @property
    def domain(self) -> str:
        """Domain of the host's environment."""
        return f"{self.environment}.{network.DOMAIN}"


def control() -> Host:
    """Return the host with Vault and registry, which belongs to no environment."""
    return Host(network.CONTROL, "control1", network.CONTROL_ADDRESS)


def environments() -> list[str]:
    """List the environments whose hosts the lab can create."""
    return [environment for environment in network.networks() if environment != network.CONTROL]


def everything() -> list[Host]:
    """List all hosts that the lab can have: control and those of every environment."""
    return [control(), *(host for environment in environments() for host in hosts(environment))]


def hosts(environment: str) -> list[Host]:
    """List the hosts of one environment, each once, in the inventory's order.

    Raises LabError for an environment without inventory, or a host without an address.
    """
    file = paths.inventory(environment) / "hosts.yml"
    if environment not in environments():
        known = ", ".join(environments())
        what = f"The lab has no environment {environment}: choose one of {known}"
        raise LabError(f"{what}. Other inventories are for real hosts.")
    found: dict[str, Host] = {}
    groups = yaml.safe_load(file.read_text())[environment]["children"]
    for group, content in groups.items():
        for name, variables in ((content or {}).get("hosts") or {}).items():
            if name in found:
                found[name] = dataclasses.replace(found[name], groups=(*found[name].groups, group))
                continue
            found[name] = Host(environment, name, _address(file.name, name, variables), (group,))
    return list(found.values())


def public_address(environment: str) -> str:
    """Return the address of an environment's public name: the shared address, or else that of the first edge host.

    Empty if it has no edge host.
    """
    for file in sorted((paths.inventory(environment) / "group_vars" / environment).glob("*.yml")):
        if shared := (yaml.safe_load(file.read_text()) or {}).get("keepalived_address"):
            return str(shared)
    return next((host.address for host in hosts(environment) if "edge" in host.groups), "")


def _address(file: str, host: str, variables: dict[str, Any] | None) -> str:
    try:
        return str(ipaddress.IPv4Address((variables or {})["ansible_host"]))
    except (KeyError, ValueError):
        raise LabError(f"{file}: the host {host} needs an IPv4 address in ansible_host.") from None
