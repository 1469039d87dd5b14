# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The services of the catalog and of the slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def everywhere(
    catalogue: Mapping[str, Any], bundles: Mapping[str, Mapping[str, Any]] | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (name, service) of the catalog and of each slot's bundle, which may still have older services."""
    for services in [catalogue, *(bundle["services"] for bundle in (bundles or {}).values())]:
        yield from services.items()
