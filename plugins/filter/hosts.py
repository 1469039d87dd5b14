# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for what hosts get from the catalogue and the inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.module_utils.greenroom.controller.hosts import hosts as functions

# An environment may do without some of them.
USUAL_GROUPS = ("edge", "app", "data", "ops")

Groups = Mapping[str, Sequence[str]]
HostVars = Mapping[str, Mapping[str, Any]]


def group_hosts(groups: Groups, hostvars: HostVars) -> dict[str, dict[str, str]]:
    """Return {group: {host: address}} from Ansible's `groups` and `hostvars`."""
    address = {host: hostvars[host]["environment_address"] for host in groups["all"]}
    members = dict.fromkeys(USUAL_GROUPS, ()) | dict(groups)
    return {group: {host: address[host] for host in hosts} for group, hosts in members.items()}


def group_addresses(groups: Groups, hostvars: HostVars) -> dict[str, list[str]]:
    """Return {group: [address]} from Ansible's `groups` and `hostvars`."""
    return {group: list(members.values()) for group, members in group_hosts(groups, hostvars).items()}


class FilterModule:
    """The filters of `controller/hosts/hosts.py`, and two that give them the inventory in plain form."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "group_hosts": group_hosts,
            "group_addresses": group_addresses,
            "roles_of_host": functions.roles_of_host,
            "key_files": functions.key_files,
            "service_ports": functions.service_ports,
            "firewall_rules": functions.firewall_rules,
            "interface_of": functions.interface_of,
            "scrape_targets": functions.scrape_targets,
            "source_networks": functions.source_networks,
            "databases": functions.databases,
            "database_clients": functions.database_clients,
        }
