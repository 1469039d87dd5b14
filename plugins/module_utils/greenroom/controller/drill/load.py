# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The load of a drill: the load tool's command, its requests a second, and how many the edge allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ORDINARY = {"h1-keep-get-0": 20, "h1-new-get-0": 5, "h2-keep-get-0": 20}
OWN_RATE = 50
"""Requests a second of the load tool's own mix, approximately."""
AFTER_CUTOVER = 1200
"""Seconds that the load tool runs for the rollback, after the cutover's timeout. If the drill dies, it ends then."""


def command(settings: Mapping[str, Any], load: Mapping[str, float], path: str) -> list[str]:
    """Return the load tool's command.

    `settings` is {url, address: the edge's, ca_file, reports: the folder for the results, run: the run's ID, limit: the
    cutover's timeout in seconds, visitors_only: whether the edge asks for a password}; `load` and `path` are those of
    `load_options`.
    """
    return [
        "openloop",
        *("--url", settings["url"]),
        *("--connect", settings["address"]),
        *("--ca-file", settings["ca_file"]),
        *("--run", settings["run"].lower()),
        *("--seconds", str(settings["limit"] + AFTER_CUTOVER)),
        *("--reports", settings["reports"]),
        *(("--user", "visitor") if settings["visitors_only"] else ()),
        *load_options(load, path),
    ]


def load_options(load: Mapping[str, float], path: str) -> list[str]:
    """Return the load tool's options for `load`, {kind: requests a second}; a `path` replaces the test endpoints."""
    return [
        *(f"--kind={kind}={rate}" for kind, rate in _kinds(load, path).items()),
        *([f"--path={path}"] if path else []),
    ]


def rate(load: Mapping[str, float], path: str) -> float:
    """Return how many requests a second these options make."""
    return sum(_kinds(load, path).values()) or OWN_RATE


def edge_limit(limits: Mapping[str, Any], exempt: Sequence[str]) -> int:
    """Return how many requests a minute the edge allows from the load's host; 0 means no limit.

    `limits` and `exempt` are `edge_limits` and `edge_limit_exempt`, the groups without a limit.
    """
    return 0 if exempt else int(limits.get("default") or 0)


def _kinds(load: Mapping[str, float], path: str) -> Mapping[str, float]:
    # The tool's own mix has requests that only the test endpoints support.
    return load or (ORDINARY if path else {})
