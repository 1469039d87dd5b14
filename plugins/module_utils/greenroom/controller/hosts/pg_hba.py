# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""PostgreSQL's host-based authentication: which hosts may connect to which database."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...data_stores.databases import own_databases
from .services import everywhere


def databases(catalogue: Mapping[str, Any]) -> list[str]:
    """Return the names of all databases of the catalog, sorted."""
    return sorted({database for service in catalogue.values() for database in own_databases(service)})


def database_clients(
    catalogue: Mapping[str, Any],
    addresses: Mapping[str, Sequence[str]],
    own_groups: Iterable[str] = (),
    container_networks: Sequence[str] = (),
    bundles: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, str]]:
    """Return the clients of each database, as {database, address}: the hosts of services with a login for it.

    `addresses` = {group: [address]}, `own_groups` are the groups of the database's host. If that host runs such a
    service, its `container_networks` are clients, too. `bundles` = {slot: description of its bundle}, which may have
    services that are no longer in the catalog.
    """
    own = set(own_groups)
    clients: set[tuple[str, str]] = set()
    for _name, service in everywhere(catalogue, bundles):
        sources = list(addresses.get(service["group"], []))
        if service["group"] in own:
            sources += container_networks
        for secret in service["secrets"].values():
            if secret["kind"] == "login":
                for source in sources:
                    clients.add((secret["name"], str(ipaddress.ip_network(source, strict=False))))
    return [{"database": database, "address": address} for database, address in sorted(clients)]
