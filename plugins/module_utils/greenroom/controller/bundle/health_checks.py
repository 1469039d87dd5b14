# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How a service's host and the edge tell whether the service is ready, from its `health`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...health import grpc

Health = Mapping[str, Any]


def health_check(health: Health, public_name: str, ports: Mapping[str, int]) -> dict[str, Any]:
    """Return the options of `slot_ready` and `slot_trial` for a service's check. `ports` = {name: where it answers}.

    Services that serve known host names only, or redirect to https, respond to the public name and scheme.
    """
    common = {"seconds": health["start_period"]} if "start_period" in health else {}
    if "port" in health:
        common["port"] = ports[health["port"]]
    if "command" in health:
        return {"kind": "command", "command": list(health["command"]), **common}
    if "grpc" in health:
        return {"kind": "grpc", "authority": public_name, "service": health.get("service", ""), **common}
    return {"kind": "tcp", **common} if "tcp" in health else {"kind": "http", **_request(health, public_name), **common}


def edge_check(health: Health, public_name: str) -> dict[str, Any]:
    """Return how the edge checks a service, {kind, and what the kind needs}, without its port.

    `http` has {method, path, headers: {name: value}, status}, and `grpc` {sends, expects} in hexadecimal. The edge
    can't run a command in a container, so it connects to the service (`tcp`).
    """
    if "grpc" in health:
        sent = grpc.request(public_name, health.get("service", ""))
        return {"kind": "grpc", "sends": sent.hex(), "expects": grpc.SERVING.hex()}
    return {"kind": "http", **_request(health, public_name)} if "path" in health else {"kind": "tcp"}


def _request(health: Health, public_name: str) -> dict[str, Any]:
    return {
        "method": health.get("method", "GET"),
        "path": health["path"],
        "headers": {"Host": public_name, "X-Forwarded-Proto": "https", **health.get("headers", {})},
        "status": health.get("status", 200),
    }
