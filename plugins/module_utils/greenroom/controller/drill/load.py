# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The load of a drill: the load tool's options, and how many requests a second they make."""

from __future__ import annotations

from collections.abc import Mapping

ORDINARY = {"h1-keep-get-0": 20, "h1-new-get-0": 5, "h2-keep-get-0": 20}
OWN_RATE = 50
"""Requests a second of the load tool's own mix, approximately."""


def load_options(load: Mapping[str, float], path: str) -> list[str]:
    """Return the load tool's options for `load`, {kind: requests a second}; a `path` replaces the test endpoints."""
    return [
        *(f"--kind={kind}={rate}" for kind, rate in _kinds(load, path).items()),
        *([f"--path={path}"] if path else []),
    ]


def rate(load: Mapping[str, float], path: str) -> float:
    """Return how many requests a second these options make."""
    return sum(_kinds(load, path).values()) or OWN_RATE


def _kinds(load: Mapping[str, float], path: str) -> Mapping[str, float]:
    # The tool's own mix has requests that only the test endpoints support.
    return load or (ORDINARY if path else {})
