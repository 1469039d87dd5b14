# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for what hosts get from the catalog and the inventory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.hosts import (
    backup_certificate,
    edge_size,
    firewall,
    inventory,
    keys,
    networks,
    pg_hba,
    roles,
    scrape_targets,
    ssh_key,
    systems,
    vrrp,
)
from ansible.module_utils.greenroom.data import databases


class FilterModule:
    """Each filter is a function of `controller/hosts/` in module_utils, which describes its arguments."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "group_hosts": inventory.group_hosts,
            "group_addresses": inventory.group_addresses,
            "roles_of_host": roles.roles_of_host,
            "edge_connections": edge_size.connections,
            "edge_open_files": edge_size.open_files,
            "edge_too_small": edge_size.too_small,
            "key_files": keys.key_files,
            "ssh_private_key": ssh_key.private_key,
            "ssh_public_key": ssh_key.public_key,
            "service_ports": firewall.service_ports,
            "firewall_rules": firewall.firewall_rules,
            "local_ports": firewall.local_ports,
            "interface_of": vrrp.interface_of,
            "scrape_targets": scrape_targets.scrape_targets,
            "source_networks": networks.source_networks,
            "hosts_unsupported": systems.unsupported,
            "backup_certificate": backup_certificate.certificate,
            "databases": pg_hba.databases,
            "database_clients": pg_hba.database_clients,
            "database_extensions": databases.extensions,
            "database_extension_packages": databases.extension_packages,
        }
