# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What may leave an environment: targets, the guard's ports, and what is refused before a run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle.callers import callers as callers_of
from ansible.module_utils.greenroom.controller.hosts import egress

PAYMENTS = {"hosts": ["API.pay.test", "*.files.test"], "addresses": ["192.0.2.7"], "budget": {"minute": "60"}}


def problems(given: Any, guards: Any = ("guard1",), edges: Any = ("edge1",)) -> list[str]:
    return list(egress.problems(given, ["198.51.100.0/24"], {"egress": guards, "edge": edges}, ["shop"]))


def test_a_target_has_all_keys() -> None:
    [target] = egress.targets({"payments": PAYMENTS})
    assert target["names"] == ["api.pay.test"]
    assert target["domains"] == ["files.test"]
    assert (target["port"], target["protocol"]) == (443, "tls")
    # One address leaves nothing to resolve.
    assert target["address"] == "192.0.2.7"
    assert target["budget"] == {"minute": 60}
    [several] = egress.targets({"payments": PAYMENTS | {"addresses": ["192.0.2.0/25", "192.0.2.128/25"]}})
    assert several["addresses"] == ["192.0.2.0/24"]
    assert several["address"] == ""


def test_providers_outside_are_targets() -> None:
    stripe = {"hosts": ["api.pay.test"], "port": 443, "tls": "implicit", "scheme": "https", "budget": {"day": 9}}
    stub = {"hosts": ["198.51.100.4"], "port": 8420, "tls": "none", "scheme": "http"}
    mail = {"hosts": ["mail.staging.test"], "port": 1025, "tls": "none", "scheme": "smtp"}
    relay = {"hosts": ["smtp.relay.test"], "port": 587, "tls": "starttls", "scheme": "smtp", "services": ["shop"]}
    plain = {"hosts": ["web.test"], "port": 80, "tls": "none", "scheme": "http"}
    given = {"stripe": stripe, "stub": stub, "mail": mail, "relay": relay, "plain": plain}
    found = egress.of_providers(given, "staging.test")
    assert {name: target["protocol"] for name, target in found.items()} == {
        "stripe": "tls",
        "relay": "tcp",
        "plain": "http",
    }
    assert found["relay"]["services"] == ["shop"]
    assert problems(found) == []


def test_each_port_and_caller_has_a_port_of_the_guard() -> None:
    relay = {"hosts": ["smtp.relay.test"], "port": 25, "protocol": "tcp"}
    listeners = egress.listeners(egress.targets({"payments": PAYMENTS, "relay": relay}), 21000)
    assert [(each["port"], each["protocol"], each["base"]) for each in listeners] == [
        (80, "http", 21000),
        (443, "tls", 21100),
        (25, "tcp", 21200),
    ]
    callers = callers_of({"shop": {"schedule": {}}}, {"blue": {"services": {"old": {}}}})
    assert [(each["name"], each["place"]) for each in callers] == [("host", 0), ("old", 1), ("shop", 2)]
    assert callers[2]["macs"]
    assert not set(callers[1]["macs"]) & set(callers[2]["macs"])
    assert egress.guard_ports(listeners[:1], callers) == [21000, 21001, 21002]


def test_addresses_of_the_environment_are_reached_without_the_guard() -> None:
    found = egress.direct(
        ["192.0.2.1", "2001:db8::1"],
        ["192.0.2.9:5000", "[2001:db8::2]:443", "registry.test:443", "", "host"],
        ["10.1.0.0/16"],
    )
    assert found == {
        "ipv4": ["10.1.0.0/16", "192.0.2.1/32", "192.0.2.9/32"],
        "ipv6": ["2001:db8::1/128", "2001:db8::2/128"],
    }


def test_targets_as_they_should_be_have_no_problem() -> None:
    assert problems({"payments": PAYMENTS, "other": {"hosts": ["api.other.test"], "services": ["shop"]}}) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"hosts": []}, "egress_targets.payments.hosts: expected a list of names, such as api.example.org"),
        ({"hosts": ["192.0.2.7"]}, "egress_targets.payments.hosts: 192.0.2.7 is not a name"),
        ({"hosts": ["a b.test"]}, "egress_targets.payments.hosts: a b.test is not a name"),
        ({"port": 0}, "egress_targets.payments.port: expected a number from 1 to 65535"),
        ({"protocol": "ftp"}, "egress_targets.payments.protocol: expected tls, http or tcp"),
        ({"addresses": ["nowhere"]}, "egress_targets.payments.addresses: 'nowhere' is not an address or network"),
        ({"budget": {"hour": 1}}, "egress_targets.payments.budget.hour: unknown key; known are minute, day"),
        ({"budget": {"day": -1}}, "egress_targets.payments.budget.day: expected a number of calls, 0 or more"),
        ({"services": ["shp"]}, "egress_targets.payments.services: unknown service shp"),
        ({"adresses": []}, "egress_targets.payments.adresses: unknown key"),
    ],
)
def test_a_mistake_in_a_target_is_named(change: dict[str, Any], line: str) -> None:
    [found] = problems({"payments": PAYMENTS | change})
    assert found.startswith(line)


def test_targets_that_the_guard_could_not_tell_apart_are_refused() -> None:
    relay = {"hosts": ["smtp.relay.test"], "port": 25, "protocol": "tcp"}
    [found] = problems({"one": relay, "two": relay | {"hosts": ["smtp.other.test"]}})
    assert "only one target may have it" in found
    [found] = problems({"one": PAYMENTS, "two": PAYMENTS})
    assert "several of them have the same host and port 443" in found
    [found] = problems({"one": PAYMENTS, "two": {"hosts": ["b.test"], "port": 443, "protocol": "tcp"}})
    assert "not the same protocol" in found


def test_there_is_one_guard_and_it_is_no_edge_host() -> None:
    [found] = problems({}, ["guard1", "guard2"])
    assert found.startswith("egress: one host, not 2 (guard1, guard2)")
    [found] = problems({}, ["edge1"])
    assert found.startswith("egress: edge1 is an edge host, too")


def test_names_of_targets_fit_into_the_configuration_of_the_guard() -> None:
    [found] = problems({"Pay ments": PAYMENTS})
    assert found == "egress_targets.Pay ments: a target's name has lower-case letters, digits and dashes"


def test_what_is_reached_without_the_guard_is_an_address() -> None:
    [found] = egress.problems({}, ["deb.example.org"], {"egress": ["guard1"]}, [])
    assert found == "egress_direct: 'deb.example.org' is not an address or network"
