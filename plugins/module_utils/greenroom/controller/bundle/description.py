# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The description of a bundle: what the rest of an environment needs to know about a slot.

Each host of a slot has it. The edge, the firewall, the database, smoke checks and the activation use it.
A service is one value of the variable `catalogue`: a mapping with every default filled in.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS
from ..catalogue.job_schema import described_jobs
from ..catalogue.smoke_checks import checks, filled
from ..catalogue.toggles import toggle_values

Service = Mapping[str, Any]
Description = Mapping[str, Any]
Groups = Mapping[str, Sequence[str]]

# The keys of a service in a description, besides `ports`.
DESCRIBED = (
    *("name", "image", "group", "activation", "database", "secrets", "health", "metrics", "routes", "headers", "load"),
    *("calls", "volumes", "redirects", "tcp_routes"),
)


def describe(
    catalogue: Mapping[str, Service],
    slot: str,
    release: Mapping[str, Any],
    members: Mapping[str, Mapping[str, str]],
    toggles: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """Return the description of a slot, which is the same on all of its hosts.

    `release` = {name, id, images: {image: reference}}, `members` = {group: {host: address}}, `toggles` = {toggle:
    value}, `environment_toggles` of the environment. The result is {slot, release, id, images, toggles: {toggle:
    value}, hosts: {group: [{name, address}]}, services: {name: service with the keys in DESCRIBED and the ports of this
    slot}, checks: [smoke checks, see `checks`]}.
    """
    services = {
        name: {key: filled(service[key], {}) for key in DESCRIBED}
        | filled(described_jobs(service), {})
        | {
            # Those of providers are nobody else's business.
            "secrets": {
                variable: _known(secret)
                for variable, secret in service["secrets"].items()
                if secret["kind"] != "provider"
            },
            "ports": {
                port: filled(value, {}) | {"host": {slot: value["host"][slot]}}
                for port, value in service["ports"].items()
            },
        }
        for name, service in sorted(catalogue.items())
    }
    groups = sorted({service["group"] for service in services.values()})
    return {
        "slot": slot,
        "release": release["name"],
        "id": release["id"],
        "images": {service["image"]: release["images"][service["image"]] for service in services.values()},
        "toggles": toggle_values(catalogue, toggles),
        "hosts": {
            group: [{"name": host, "address": address} for host, address in members.get(group, {}).items()]
            for group in groups
        },
        "services": services,
        "checks": checks(catalogue),
    }


def _known(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Return what others need to know about a secret. The path of a given one is nobody else's business."""
    known = {key: secret[key] for key in ("kind", "name", "owner")}
    return known | {"name": None} if secret["kind"] == "given" else known


def toggles_on(description: Description) -> list[str]:
    """Return the names of the toggles that are on in a slot, sorted; a slot without description has none."""
    return sorted(name for name, value in description.get("toggles", {}).items() if value)


def description_file(description: Description, folder: str) -> dict[str, str]:
    """Return the file with a slot's description, a local fact for Ansible."""
    content = json.dumps(description, indent=1, default=str)
    return {"dest": f"{folder}.fact", "content": f"{content}\n", "mode": "0600"}


def release_of(description: Description) -> dict[str, str]:
    """Return what a slot runs, {slot, release, id}; the ID is empty in bundles of earlier versions."""
    return {key: str(description.get(key, "")) for key in ("slot", "release", "id")}


def is_description(fact: Mapping[str, Any]) -> bool:
    """Tell whether a local fact of a host is the description of a slot."""
    return fact.get("slot") in SLOTS and "services" in fact


def stops(texts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the planned stops, past or future, {host: {slot, at, says}}, from the local facts of hosts, {host: text}.

    `says` is the result of the stop, "" if there is none yet. The plan and the result are facts that the role slots and
    greenroom-stop write on the host.
    """
    found = {}
    for host, text in texts.items():
        own = list(facts(text))
        for plan in (fact for fact in own if {"slot", "at", "units"} <= fact.keys()):
            planned = {"slot": plan["slot"], "at": plan["at"]}
            # The result may be that of an older plan.
            says = (fact["says"] for fact in own if "says" in fact and planned.items() <= fact.items())
            found[host] = planned | {"says": next(says, "")}
    return found


def unfinished(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the slots whose deploy did not finish, {slot: why, and what completes it}, from {host: its local facts}.

    Such a slot may have parts of two releases: on one host the new files and the old containers, or on one host the new
    release and on another one the old.
    """
    marks: dict[str, dict[str, list[str]]] = {}
    latest: dict[str, Mapping[str, Any]] = {}
    described: dict[str, dict[str, Description]] = {slot: {} for slot in SLOTS}
    for host, text in texts.items():
        for fact in facts(text):
            if (slot := fact.get("unfinished")) in SLOTS:
                marks.setdefault(slot, {}).setdefault(str(fact.get("release")), []).append(host)
                # The ID of a run begins with its time.
                latest[slot] = max(latest.get(slot, fact), fact, key=lambda mark: str(mark.get("run")))
            elif is_description(fact):
                described[fact["slot"]][host] = fact
    found = {}
    for slot, by_release in marks.items():
        deploys = [
            f"the deploy of release {name} did not finish on {', '.join(own)}" for name, own in by_release.items()
        ]
        found[slot] = f"{'; '.join(deploys)}. {_completed(str(latest[slot].get('release')))}"
    for slot, by_host in described.items():
        first, *others = by_host.values() or [{}]
        if any(other != first for other in others):
            releases = ", ".join(f"{host} has {its.get('release')}" for host, its in by_host.items())
            found.setdefault(slot, f"its bundle differs between hosts (release: {releases}). {_completed('...')}")
    return found


def slots_on(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which slots' bundles each host has, {host: [slot]}, from the local facts of hosts, {host: text}."""
    return {host: sorted(fact["slot"] for fact in filter(is_description, facts(text))) for host, text in texts.items()}


def _completed(release: str) -> str:
    """Return what completes a deploy. Its other options are not known here."""
    return f"playbooks/deploy.yml -e release_name={release} completes it, with the other options of that deploy"


def facts(text: str) -> Iterator[dict[str, Any]]:
    """Yield the local facts in the concatenated files of a host; any may be missing or damaged."""
    for part in re.split(r"^(?=\{)", text, flags=re.M):
        with contextlib.suppress(ValueError):
            fact = json.loads(part)
            if isinstance(fact, dict):
                yield fact


def description_of(bundles: Mapping[str, Description], slot: str, catalogue: Mapping[str, Service]) -> Description:
    """Return a slot's description; without one, the services of the catalog."""
    return bundles.get(slot) or {"slot": slot, "services": catalogue, "hosts": {}}
