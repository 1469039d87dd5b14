# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The configuration of an edge host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .apply import Places
from .bluegreen import SwitchError
from .peers import Peers


@dataclass(frozen=True)
class Host:
    """An edge host: where its state is stored, its peers, and the seconds between two checks of its watchdog.

    `metrics_file` is for Prometheus' node exporter (empty: none).
    """

    places: Places
    peers: Peers
    watchdog_seconds: float
    metrics_file: str = ""

    @classmethod
    def from_file(cls, path: str) -> Host:
        """Read the configuration; raises SwitchError."""
        try:
            with open(path, encoding="utf-8") as file:
                given: dict[str, Any] = json.load(file)
            names = ("site", "state_file", "map_file", "runtime_socket", "master_socket")
            places = Places(**{name: given[name] for name in names}, peers_file=given.get("peers_file", ""))
            peers = Peers(given["peers"], given["port"], given["public_name"], given["ca_file"])
            return cls(places, peers, given["watchdog_seconds"], given.get("metrics_file", ""))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SwitchError(f"{path}: {error!r}") from error
