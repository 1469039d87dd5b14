# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for what hosts get from the catalog and the inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.greenroom.controller.bundle import callers
from ansible.module_utils.greenroom.controller.hosts import (
    backup_certificate,
    certificates,
    edge_size,
    egress,
    egress_proof,
    egress_report,
    firewall,
    inventory,
    keys,
    networks,
    pg_hba,
    proxy,
    reboots,
    roles,
    scrape_targets,
    ssh_key,
    systems,
    vrrp,
)
from ansible.module_utils.greenroom.data_stores import databases
from ansible.utils.display import Display


def hosts_unsupported(texts: Mapping[str, str]) -> list[str]:
    """Return the hosts that can't be set up, and warn of those that no test runs on: a task for it costs every run."""
    for line in systems.untested(texts):
        Display().warning(f"{line}: no test of Greenroom runs on it. Try it with hosts that you can lose.")
    unsupported: list[str] = systems.unsupported(texts)
    return unsupported


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
            "certificate_names": certificates.certificate_names,
            "certificate_entries": certificates.entries,
            "certificate_given_entries": certificates.given_entries,
            "certificate_hook_secrets": certificates.hook_secrets,
            "host_certificates": certificates.host_certificates,
            "edge_trust": certificates.edge_trust,
            "acme_thumbprint": certificates.acme_thumbprint,
            "public_names": certificates.public_names,
            "given_certificate_files": certificates.given_files,
            "key_files": keys.key_files,
            "ssh_private_key": ssh_key.private_key,
            "ssh_public_key": ssh_key.public_key,
            "egress_targets": egress.targets,
            "egress_of_providers": egress.of_providers,
            "egress_listeners": egress.listeners,
            "egress_callers": callers.callers,
            "egress_direct": egress.direct,
            "egress_guard_ports": egress.guard_ports,
            "egress_summary": egress_report.summary,
            "egress_firewalls": egress_report.firewalls,
            "egress_table": egress_report.table,
            "egress_proof_tries": egress_proof.tries,
            "egress_proof_result": egress_proof.result,
            "networks_merged": networks.merged_texts,
            "service_ports": firewall.service_ports,
            "firewall_rules": firewall.firewall_rules,
            "local_ports": firewall.local_ports,
            "interface_of": vrrp.interface_of,
            "scrape_targets": scrape_targets.scrape_targets,
            "alert_health_targets": scrape_targets.health_targets,
            "alert_certificate_targets": scrape_targets.certificate_targets,
            "alert_units": scrape_targets.wanted_units,
            "reboot_plan": reboots.plan,
            "reboot_lines": reboots.lines,
            "reboot_failures": reboots.failures,
            "source_networks": networks.source_networks,
            "hosts_unsupported": hosts_unsupported,
            "backup_certificate": backup_certificate.certificate,
            "hosts_systems": systems.known,
            "system_postgres": systems.postgres_version,
            "system_packages": systems.packages,
            "proxy_variables": proxy.variables,
            "proxy_apt_lines": proxy.apt_lines,
            "databases": pg_hba.databases,
            "database_clients": pg_hba.database_clients,
            "database_extensions": databases.extensions,
            "database_extension_packages": databases.extension_packages,
        }
