# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What alerts expect to run while a slot is live, also of bundles of earlier versions."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.greenroom.controller.bundle.description import describe
from ansible.module_utils.greenroom.controller.bundle.expected import expected
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.hosts import scrape_targets

GROUPS = {"all": ["app1", "app2"], "app": ["app1", "app2"]}
MEMBERS = {"app": {"app1": "192.0.2.1", "app2": "192.0.2.2"}}
RELEASE = {"name": "1.0", "id": "0", "images": {"shop": "registry/shop@sha256:0"}}


def bundle(slot: str, **services: dict[str, Any]) -> dict[str, Any]:
    catalogue = {
        name: normalise(name, {"image": "shop", **keys}, f"/services/{name}") for name, keys in services.items()
    }
    found: dict[str, Any] = describe(catalogue, slot, RELEASE, MEMBERS)
    return found


def names(*bundles: dict[str, Any]) -> list[tuple[str, str]]:
    return [(unit["host"], unit["name"]) for unit in expected({each["slot"]: each for each in bundles}, GROUPS)]


def test_a_service_runs_on_each_host_and_a_singleton_on_the_first() -> None:
    assert names(bundle("blue", shop={}, courier={"activation": "singleton"}, worker={"activation": "live_only"})) == [
        ("app1", "courier-blue.service"),
        ("app1", "shop-blue.service"),
        ("app2", "shop-blue.service"),
        ("app1", "worker-blue.service"),
        ("app2", "worker-blue.service"),
    ]


def test_each_slot_has_what_is_in_its_own_bundle() -> None:
    blue, green = bundle("blue", shop={}), bundle("green", mail={"activation": "singleton"})
    # A bundle of an earlier version has no jobs, and may name other hosts.
    blue["hosts"]["app"] = [{"name": "app2", "address": "192.0.2.2"}]
    assert names(blue, green) == [("app2", "shop-blue.service"), ("app1", "mail-green.service")]


def test_a_scheduled_job_needs_its_timer() -> None:
    found = expected({"blue": bundle("blue", shop={"schedule": {"tidy": {"command": ["x"], "at": "daily"}}})}, GROUPS)
    timers = [unit for unit in found if unit["name"].endswith(".timer")]
    assert timers == [{"host": "app1", "name": "greenroom-shop-job-tidy.timer", "service": "shop", "slot": "blue"}]


def test_units_of_groups_are_expected_on_their_hosts_once() -> None:
    given = [{"all": ["ssh.service"], "app[0]": ["x.timer"]}, {"app": ["ssh.service", "y.service"]}]
    assert scrape_targets.wanted_units(given, GROUPS) == [
        ("app1", "ssh.service"),
        ("app1", "x.timer"),
        ("app1", "y.service"),
        ("app2", "ssh.service"),
        ("app2", "y.service"),
    ]


def test_edge_hosts_are_asked_one_by_one_and_at_their_shared_address() -> None:
    hosts = {"edge": {"edge1": "192.0.2.7"}}

    def asked(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
        assert {target for one in found for target in one["targets"]} == {"localhost:9"}
        return [(one["labels"]["__param_target"], one["labels"].get("host", "")) for one in found]

    pages = scrape_targets.health_targets(hosts, "localhost:9", "192.0.2.9")
    assert asked(pages) == [("http://192.0.2.7/edge-health", "edge1"), ("http://192.0.2.9/edge-health", "")]
    assert pages[1]["labels"]["shared"] == "192.0.2.9"
    for registry, asked_at in (("registry.test", "registry.test:443"), ("registry.test:5000", "registry.test:5000")):
        found = scrape_targets.certificate_targets(hosts, "localhost:9", registry)
        assert asked(found) == [("192.0.2.7:443", "edge1"), (asked_at, "")]
