# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The targets that Prometheus scrapes: the metrics of services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...switch.bluegreen import SLOTS


def scrape_targets(
    catalogue: Mapping[str, Any],
    hosts: Mapping[str, Mapping[str, str]],
    bundles: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return Prometheus' file-based targets of all services with metrics: one for each host and slot.

    `hosts` = {group: {host: address}}. A singleton runs on the first host of its group only. `bundles` = {slot:
    description of its bundle}; a slot without a bundle has the services and ports of the catalog.
    """
    described = bundles or {}
    targets = []
    for slot in SLOTS:
        for name, service in (described[slot]["services"] if slot in described else catalogue).items():
            port = service["ports"].get(service["metrics"]["port"]) if service["metrics"] else None
            if port is None or port["bind"] == "127.0.0.1":
                continue
            members = list(hosts.get(service["group"], {}).items())
            for host, address in members[:1] if service["activation"] == "singleton" else members:
                path = service["metrics"]["path"]
                labels = {"service": name, "slot": slot, "host": host, "__metrics_path__": path}
                targets.append({"targets": [f"{address}:{port['host'][slot]}"], "labels": labels})
    return sorted(targets, key=lambda target: [target["labels"][key] for key in ("service", "host", "slot")])
