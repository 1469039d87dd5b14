# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which servers of the data host the slots use. The catalog may have done without one since they were deployed."""

from __future__ import annotations

from collections.abc import Mapping

from .description import Description


def slots_use(bundles: Mapping[str, Description], kind: str) -> bool:
    """Tell whether a service in a slot has a secret of a kind, such as a login to the `broker` or the `cache`."""
    return any(
        secret.get("kind") == kind
        for bundle in bundles.values()
        for service in bundle["services"].values()
        for secret in service["secrets"].values()
    )
