# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Routes, redirects and TCP routes of a service, with all defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .closed_paths import whole

_FACTORS = {"K": 1024, "M": 1024**2, "G": 1024**3}
_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(duration: str) -> int:
    """Return the seconds of a time such as 90s, 30m or 4h."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def bytes_of(size: str) -> int:
    """Return the bytes of a size such as 10M."""
    return int(size[:-1]) * _FACTORS[size[-1]] if size[-1] in _FACTORS else int(size)


def _whole(path: object) -> object:
    return whole(path) if isinstance(path, str) else path


def _hosts(value: object) -> list[Any]:
    """Return the host names of a `host`, which may be one or a list."""
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _offered(ports: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the first port that the edge hosts reach."""
    return next((name for name, port in ports.items() if "edge" in port["from"]), None)


def route(raw: Mapping[str, Any], ports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a route: {hosts: [name], path, exclude: [path], port, limit, auth, timeout, ...}.

    All paths have a trailing slash. Without `hosts`, it is for the environment's own names.
    """
    excluded = raw.get("exclude")
    return {
        "hosts": _hosts(raw.get("host")),
        "path": _whole(raw.get("path")),
        "exclude": [_whole(path) for path in excluded] if isinstance(excluded, list) else [],
        "port": raw.get("port", _offered(ports)),
        "limit": raw.get("limit", "default"),
        "auth": raw.get("auth", True),
        "timeout": raw.get("timeout"),
        "strip": raw.get("strip", False),
        "body": raw.get("body"),
        "sticky": raw.get("sticky", False),
        "http2": raw.get("http2", False),
        "client_certificate": raw.get("client_certificate"),
    }


def redirect(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a redirect: {hosts: [name], path (with a trailing slash), to, status}."""
    return {
        "hosts": _hosts(raw.get("host")),
        "path": _whole(raw.get("path", "/")),
        # Unchanged, because a part of it would not be rendered as a template.
        "to": raw.get("to"),
        "status": raw.get("status", 301),
    }


def tcp_route(raw: Mapping[str, Any], ports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a TCP route: {listen: the edge hosts' port, hosts: [name], port, timeout}."""
    return {
        "listen": raw.get("listen"),
        "hosts": _hosts(raw.get("host")),
        "port": raw.get("port", _offered(ports)),
        "timeout": raw.get("timeout"),
    }
