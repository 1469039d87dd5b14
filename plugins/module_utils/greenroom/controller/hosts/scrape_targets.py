# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The targets that Prometheus scrapes: the metrics of services, and what it asks of edge hosts and registry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS
from .roles import roles_of_host


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


def health_targets(hosts: Mapping[str, Mapping[str, str]], prober: str, shared: str = "") -> list[dict[str, Any]]:
    """Return the pages that tell whether HAProxy responds: of each edge host, and at their `shared` address.

    `prober` is the blackbox exporter, `host:port`, which asks for Prometheus.
    """
    own = [
        _probe(prober, f"http://{address}/edge-health", host=host)
        for host, address in sorted(hosts.get("edge", {}).items())
    ]
    return own + ([_probe(prober, f"http://{shared}/edge-health", shared=shared)] if shared else [])


def certificate_targets(hosts: Mapping[str, Mapping[str, str]], prober: str, registry: str) -> list[dict[str, Any]]:
    """Return where certificates are asked for: each edge host and the registry, `host[:port]`."""
    own = [
        _probe(prober, f"{address}:443", host=host, certificate="edge")
        for host, address in sorted(hosts.get("edge", {}).items())
    ]
    port = "" if re.search(r":\d+\Z", registry) else ":443"
    return [*own, _probe(prober, f"{registry}{port}", certificate="registry")]


def _probe(prober: str, target: str, **labels: str) -> dict[str, Any]:
    return {"targets": [prober], "labels": {**labels, "instance": target, "__param_target": target}}


def wanted_units(
    given: Iterable[Mapping[str, Sequence[str]]], groups: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Return (host, systemd unit) of what must always run; `given` are mappings as in `roles_of_host`, of units."""
    hosts = dict.fromkeys(groups.get("all", ()))
    return sorted({(host, unit) for units in given for host in hosts for unit in roles_of_host(units, groups, host)})
