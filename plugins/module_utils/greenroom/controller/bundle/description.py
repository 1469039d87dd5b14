# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A bundle's description: what other parts of the system need to know about a slot.

The edge, the firewall, the database, smoke checks and the activation read it. It lies on each of the slot's hosts.
A service is one value of the variable `catalogue`: a mapping with every default filled in.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..catalogue.smoke_checks import checks, filled

Service = Mapping[str, Any]
Description = Mapping[str, Any]
Groups = Mapping[str, Sequence[str]]

SLOTS = ("blue", "green")
# What others must know of a service; its `ports` come in addition.
DESCRIBED = ("name", "image", "group", "activation", "database", "secrets", "health", "metrics", "routes")


def describe(
    catalogue: Mapping[str, Service],
    slot: str,
    release: Mapping[str, Any],
    members: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return what a bundle says about its slot; the same on all of its hosts.

    `release` = {name, images: {image: reference}}, `members` = {group: {host: address}}. The answer: {slot, release,
    images, hosts: {group: [{name, address}]}, services: {name: as in the catalogue, but with what others must know
    only, and with the slot's own ports}, checks: [smoke checks, see `checks`]}.
    """
    services = {
        name: {key: filled(service[key], {}) for key in DESCRIBED}
        | {
            "ports": {
                port: filled(value, {}) | {"host": {slot: value["host"][slot]}}
                for port, value in service["ports"].items()
            }
        }
        for name, service in sorted(catalogue.items())
    }
    groups = sorted({service["group"] for service in services.values()})
    return {
        "slot": slot,
        "release": release["name"],
        "images": {service["image"]: release["images"][service["image"]] for service in services.values()},
        "hosts": {
            group: [{"name": host, "address": address} for host, address in members.get(group, {}).items()]
            for group in groups
        },
        "services": services,
        "checks": checks(catalogue),
    }


def description_file(description: Description, folder: str) -> dict[str, str]:
    """Return the file that holds a slot's description: a local fact of the host, as Ansible reads it."""
    content = json.dumps(description, indent=1, default=str)
    return {"dest": f"{folder}.fact", "content": f"{content}\n", "mode": "0600"}


def descriptions(texts: Iterable[str]) -> dict[str, Any]:
    """Return {slot: description} from what lies on hosts, one text a host: of each slot the first that can be read."""
    found: dict[str, Any] = {}
    for text in texts:
        for description in _facts(text):
            if description.get("slot") in SLOTS and "services" in description:
                found.setdefault(description["slot"], description)
    return found


def stops(texts: Mapping[str, str]) -> list[str]:
    """Return the hosts on which a slot is to be stopped, or was, from what lies on each: {host: text}."""
    return [host for host, text in texts.items() if any("at" in fact and "units" in fact for fact in _facts(text))]


def _facts(text: str) -> Iterator[dict[str, Any]]:
    """Yield the facts of a host, whose files follow each other; any may be missing or damaged."""
    for part in re.split(r"^(?=\{)", text, flags=re.M):
        with contextlib.suppress(ValueError):
            fact = json.loads(part)
            if isinstance(fact, dict):
                yield fact


def description_of(bundles: Mapping[str, Description], slot: str, catalogue: Mapping[str, Service]) -> Description:
    """Return a slot's description; where its bundle has none, the catalogue stands in for it."""
    return bundles.get(slot) or {"slot": slot, "services": catalogue, "hosts": {}}
