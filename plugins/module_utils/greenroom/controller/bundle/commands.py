# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The commands of services that run once before a candidate starts."""

from __future__ import annotations

from collections.abc import Mapping

from .description import Service

COMMANDS = ("migrate", "prepare")
"""Keys of a service. All commands of the first kind run before those of the second."""


def commands(catalogue: Mapping[str, Service]) -> list[tuple[str, str]]:
    """Return (kind of command, service) in the order in which they run."""
    return [(kind, service["name"]) for kind in COMMANDS for service in catalogue.values() if service[kind]]
