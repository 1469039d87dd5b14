# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The databases of services: `database`, further ones in `databases`, and their extensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Service = Mapping[str, Any]
Catalogue = Mapping[str, Service]
# The Debian packages of well-known extensions that PostgreSQL's own package doesn't have.
PACKAGES = {
    "hll": "postgresql-17-hll",
    "hypopg": "postgresql-17-hypopg",
    "ip4r": "postgresql-17-ip4r",
    "pg_cron": "postgresql-17-cron",
    "pg_partman": "postgresql-17-partman",
    "pgaudit": "postgresql-17-pgaudit",
    "postgis": "postgresql-17-postgis-3",
    "postgis_raster": "postgresql-17-postgis-3",
    "postgis_topology": "postgresql-17-postgis-3",
    "rum": "postgresql-17-rum",
    "vector": "postgresql-17-pgvector",
}


def own_databases(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Return {database: its extensions} of a service, the one in `database` first."""
    main = {service["database"]: service.get("extensions", [])} if service["database"] else {}
    return main | {name: value["extensions"] for name, value in service.get("databases", {}).items()}


def extensions(catalogue: Catalogue) -> dict[str, list[str]]:
    """Return {database: [extension]} of all databases of the catalog that have any."""
    found = {name: items for service in catalogue.values() for name, items in own_databases(service).items()}
    return {name: [item["name"] for item in items] for name, items in sorted(found.items()) if items}


def extension_packages(catalogue: Catalogue) -> list[str]:
    """Return the Debian packages that the catalog's extensions need besides PostgreSQL's own, sorted."""
    items = [item for service in catalogue.values() for its in own_databases(service).values() for item in its]
    return sorted({package for item in items if (package := item["package"] or PACKAGES.get(item["name"]))})
