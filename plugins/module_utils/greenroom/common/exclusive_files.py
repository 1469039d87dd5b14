# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The files of singletons. Standard library only: this also runs on hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def exclusive(service: Mapping[str, Any]) -> list[str]:
    """Return the volumes of a singleton whose files only the process that serves may use."""
    volumes = service.get("volumes", {}) if service.get("activation") == "singleton" else {}
    return [name for name, its in sorted(volumes.items()) if not (its.get("commands") or its.get("read_only"))]
