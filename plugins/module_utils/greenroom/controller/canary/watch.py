# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a canary watches on both slots: metrics pages and systemd units of their services, and the paths of probes.

A target is {service, slot, host, url, metric (name of the business metric, or ""), memory (bytes that it may use),
release (the release that it must run)}, a unit {service, slot, host, unit (its name)}.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..bundle.activation import live_only, moving_singletons
from ..bundle.units import slot_services, unit_name
from ..catalogue.closed_paths import places

_SIZES = {"K": 2**10, "M": 2**20, "G": 2**30}


def targets(
    bundles: Mapping[str, Mapping[str, Any]],
    catalogue: Mapping[str, Mapping[str, Any]],
    silent: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return all metrics pages of both slots that can be reached, `bundles` = {slot: its description}.

    The page's address comes from the slot's bundle. The metric's name comes from the catalog, so that both slots are
    compared by the same metric. The run does without the hosts in `silent`.
    """
    found = []
    for slot, bundle in sorted(bundles.items()):
        for name, service in bundle["services"].items():
            own = catalogue.get(name, {})
            page = _page(service, own)
            if page is None:
                continue
            found += [
                {
                    "service": name,
                    "slot": slot,
                    "host": host["name"],
                    "url": f"http://{host['address']}:{service['ports'][page['port']]['host'][slot]}{page['path']}",
                    "metric": page.get("name", ""),
                    "memory": size(own.get("memory", "0K")),
                    "release": bundle["release"],
                }
                for host in bundle["hosts"].get(service["group"], [])
                if host["name"] not in silent
            ]
    return found


def _page(service: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the page of a slot's service that can be read, {port, path}, with the `name` of the business metric.

    `own` is the service in the catalog. A service that doesn't run in both slots can't be compared.
    """
    page: Mapping[str, Any] | None = (own.get("canary") or {}).get("metric") or service["metrics"]
    port = service["ports"].get(page["port"]) if page else None
    return page if port and port["bind"] != "127.0.0.1" and service["activation"] == "always" else None


def missing_pages(
    bundles: Mapping[str, Mapping[str, Any]], catalogue: Mapping[str, Mapping[str, Any]], candidate: str
) -> list[str]:
    """Return a line for each service with a metrics page in the other slot, but not in `candidate`.

    Without the page, nothing shows that the candidate has lost orders or runs another release.
    """
    own = (bundles.get(candidate) or {"services": {}})["services"]
    others = [each for slot, bundle in bundles.items() if slot != candidate for each in bundle["services"].items()]
    return [
        f"{name} has a metrics page in the other slot, but not in {candidate}: give it one in its service.yml, or cut "
        "over without a canary and with -e bake=0"
        for name, service in others
        if name in own
        and _page(service, catalogue.get(name, {}))
        and own[name]["activation"] == "always"
        and not _page(own[name], catalogue.get(name, {}))
    ]


def units(
    bundles: Mapping[str, Mapping[str, Any]],
    live: str,
    groups: Mapping[str, Sequence[str]],
    silent: Collection[str] = (),
) -> list[dict[str, str]]:
    """Return the units of both slots that must run while `live` is the live slot; `groups` = {group: [host]}.

    Background services run for the live slot only. The run does without the hosts in `silent`, and doesn't start a
    singleton that may still run there for the other slot.
    """
    others = [bundle for slot, bundle in bundles.items() if slot != live]
    moving = moving_singletons(bundles[live], others[0], groups) if live in bundles and others else {}
    found = []
    for slot, bundle in sorted(bundles.items()):
        for host in (host for host in groups.get("app", ()) if host not in silent):
            own = [each["name"] for each in slot_services(bundle, host, groups) if each["activation"] == "always"]
            background = live_only(bundle, host, groups) if slot == live else []
            background = [name for name in background if moving.get(name) not in silent]
            found += [
                {"service": name, "slot": slot, "host": host, "unit": unit_name(name, slot)}
                for name in (*own, *background)
            ]
    return found


def probe_paths(catalogue: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the paths to probe on both slots: those that services configure, or else all their routes.

    Those of other host names are URLs; the names of a wildcard are not known.
    """
    named = [path for service in catalogue.values() for path in (service.get("canary") or {}).get("probes", ())]
    routes = [
        f"https://{host}{path}" if host else path
        for service in catalogue.values()
        for route in service["routes"]
        for host, path in places(route)
        if not host.startswith("*")
    ]
    return list(dict.fromkeys(named or routes))


def size(text: str) -> int:
    """Return a size like 256M in bytes."""
    return int(text[:-1]) * _SIZES[text[-1]]
