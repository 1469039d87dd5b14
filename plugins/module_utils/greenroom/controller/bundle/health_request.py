# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The request to a service's health page, from its host and from the edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def health_request(health: Mapping[str, Any], public_name: str) -> dict[str, Any]:
    """Return {method, path, headers: {name: value}, status} from a service's `health`; `status` is that of a ready one.

    Services that serve known host names only, or redirect to https, respond to the public name and scheme.
    """
    return {
        "method": health.get("method", "GET"),
        "path": health["path"],
        "headers": {"Host": public_name, "X-Forwarded-Proto": "https", **health.get("headers", {})},
        "status": health.get("status", 200),
    }
