# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The hosts and addresses of each group, from Ansible's inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
