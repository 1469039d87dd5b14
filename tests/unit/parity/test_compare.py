# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Two snapshots compared: every planted difference is found once, and nothing else is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.parity.compare import MISSING, Comparison, compare

Document = dict[str, Any]
# Each slot has ports of its own.
PORTS = {"blue": 18080, "green": 28080}
SUBNETS = {"blue": "10.89.10.0/24", "green": "10.89.20.0/24"}


PORT = "<port 8080/tcp of portal-<slot>>"


def part(items: dict[str, Any], unread: dict[str, str] | None = None) -> dict[str, Any]:
    return {"items": items, "unread": unread or {}}


def host(name: str, groups: list[str], address: str, domain: str, live: str) -> dict[str, Any]:
    idle = "green" if live == "blue" else "blue"
    parts = {
        "system": part({"operating system": "debian 13", "time zone": "Etc/UTC"}),
        "kernel": part({"net.core.somaxconn": "4096"}),
        "size": part({"processors": 2, "memory in GiB": 4.0}),
        "packages": part({"openssl": "3.5.1-1", "podman": "5.4.2", "held podman": "yes"}),
        "accounts": part({"operator": {"shell": "/bin/bash", "groups": ["sudo"], "password": "locked"}}),
        "firewall": part(
            {
                "inet filter chain input": [
                    f"ip saddr {address} accept",
                    f"tcp dport {{ {PORTS['blue']}, {PORTS['green']} }} accept",
                    "drop",
                ],
                "inet filter set calls": sorted(f"0a:67:{address[-2:]}:00:00:0{number} . 80" for number in range(4)),
                "inet filter chain forward": [f"ip saddr {{ {', '.join(SUBNETS.values())} }} accept"],
            }
        ),
        "files": part(
            {
                **{
                    f"/etc/containers/systemd/app-{slot}.network": {"settings": {"[Network] | Subnet": [subnet]}}
                    for slot, subnet in SUBNETS.items()
                },
                "/etc/app.conf": {
                    "owner": "root:root",
                    "mode": "0644",
                    "settings": {"url": [f"https://portal.{domain}/"], "timeout": ["30s"], "name": [name]},
                },
                f"/etc/greenroom/slots/{live}/unit.conf": {"mode": "0640", "settings": {}},
                f"/etc/greenroom/slots/{idle}/unit.conf": {"mode": "0640", "settings": {}},
            }
        ),
        "containers": part(
            {
                f"portal-{slot}": {
                    "digest": "sha256:aa" if slot == live else "sha256:old",
                    "memory in bytes": 268435456,
                    "ports": [f"0.0.0.0:{PORTS[slot]} to 8080/tcp"],
                }
                for slot in PORTS
            }
        ),
        "monitoring": part({f"rule up (slot={slot})": {"query": f'up{{slot="{slot}"}}'} for slot in PORTS}),
        "keys": part({"host key ed25519": f"SHA256:{domain}-{name}"}),
    }
    if "edge" in groups:
        parts["slots"] = part({"live": live})
    return {"groups": groups, "address": address, "size": "", "silent": "", "clock off by": 0, "parts": parts}


def document(environment: str, network: str, live: str) -> Document:
    domain = f"{environment}.example.org"
    hosts = {"edge1": ["edge"], "app1": ["app"], "app2": ["app"]}
    return {
        "format": 1,
        "environment": environment,
        "taken": "2026-12-01T10:00:00Z",
        "names": {"environment": [environment], "domain": [domain], "network": [f"{network}.0/24"]},
        "hosts": {
            name: host(name, groups, f"{network}.{number}", domain, live)
            for number, (name, groups) in enumerate(hosts.items(), 11)
        },
    }


@pytest.fixture
def staging() -> Document:
    return document("staging", "198.51.100", "blue")


@pytest.fixture
def production() -> Document:
    return document("production", "203.0.113", "green")


def found(compared: Comparison) -> list[tuple[str, str, Any, Any]]:
    return [(one.what, one.verdict, one.first, one.second) for one in compared.findings]


def test_twins_with_other_names_addresses_and_live_slots_are_equal(staging: Document, production: Document) -> None:
    compared = compare(staging, production)
    assert found(compared) == []
    assert compared.compared["packages"] == 9


def on(side: Document, name: str, kind: str) -> dict[str, Any]:
    items: dict[str, Any] = side["hosts"][name]["parts"][kind]["items"]
    return items


def swap_rules(side: Document) -> None:
    rules = on(side, "app1", "firewall")["inet filter chain input"]
    rules[1], rules[2] = rules[2], rules[1]


PLANTED: dict[str, tuple[Callable[[Document], Any], tuple[str, str, Any, Any]]] = {
    "another release": (
        lambda side: on(side, "app1", "system").update({"operating system": "debian 12"}),
        ("system: operating system", "different", "debian 13", "debian 12"),
    ),
    "a kernel setting": (
        lambda side: on(side, "app2", "kernel").update({"net.core.somaxconn": "128"}),
        ("kernel: net.core.somaxconn", "different", "4096", "128"),
    ),
    "a package's version": (
        lambda side: on(side, "edge1", "packages").update({"openssl": "3.5.0-1"}),
        ("packages: openssl", "different", "3.5.1-1", "3.5.0-1"),
    ),
    "a package that is no longer held": (
        lambda side: on(side, "edge1", "packages").pop("held podman"),
        ("packages: held podman", "different", "yes", MISSING),
    ),
    "one more group of an account": (
        lambda side: on(side, "app1", "accounts")["operator"].update({"groups": ["sudo", "docker"]}),
        ("accounts: operator: groups", "different", [], ["docker"]),
    ),
    "an account that should not be": (
        lambda side: on(side, "app1", "accounts").update({"eve": {"shell": "/bin/sh"}}),
        ("accounts: eve", "different", MISSING, "present"),
    ),
    "a firewall rule": (
        lambda side: on(side, "app1", "firewall")["inet filter chain input"].insert(1, "tcp dport 22 accept"),
        ("firewall: inet filter chain input", "different", [], ["tcp dport 22 accept"]),
    ),
    "a rule at another place": (
        swap_rules,
        (
            "firewall: inet filter chain input",
            "different",
            ["ip saddr <this host> accept", f"tcp dport {{ {PORT} }} accept", "drop"],
            ["ip saddr <this host> accept", "drop", f"tcp dport {{ {PORT} }} accept"],
        ),
    ),
    "a setting": (
        lambda side: on(side, "app1", "files")["/etc/app.conf"]["settings"].update({"timeout": ["60s"]}),
        ("files: /etc/app.conf: timeout", "different", ["30s"], ["60s"]),
    ),
    "the address of the other environment": (
        lambda side: on(side, "app1", "files")["/etc/app.conf"]["settings"].update(
            {"url": ["https://portal.staging.example.org/"]}
        ),
        (
            "files: /etc/app.conf: url",
            "different",
            ["https://portal.<domain>/"],
            ["https://portal.<other domain>/"],
        ),
    ),
    "a file's mode": (
        lambda side: on(side, "app1", "files")["/etc/app.conf"].update({"mode": "0666"}),
        ("files: /etc/app.conf: mode", "different", "0644", "0666"),
    ),
    "a file that is gone": (
        lambda side: on(side, "app1", "files").pop("/etc/app.conf"),
        ("files: /etc/app.conf", "different", "present", MISSING),
    ),
    "another image in the live slot": (
        lambda side: on(side, "app1", "containers")["portal-green"].update({"digest": "sha256:bb"}),
        ("containers: portal-<slot>: digest", "different", "sha256:aa", "sha256:bb"),
    ),
    "a key of the other environment": (
        lambda side: on(side, "app1", "keys").update({"login of operator (1)": "SHA256:staging.example.org-app1"}),
        (
            "keys: host key ed25519",
            "equal",
            "SHA256:staging.example.org-app1",
            "SHA256:staging.example.org-app1",
        ),
    ),
    "the domain of the other environment": (
        lambda side: side["names"].update({"domain": ["staging.example.org", "production.example.org"]}),
        ("names: domain", "equal", "staging.example.org", "staging.example.org"),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_the_only_finding(staging: Document, production: Document, name: str) -> None:
    plant, expected = PLANTED[name]
    plant(production)
    assert found(compare(staging, production)) == [expected]


def test_all_of_them_at_once_are_found_as_well(staging: Document, production: Document) -> None:
    # These would hide others: the same chain, the same file, the domain by which the other environment is known.
    left_out = {"a rule at another place", "a file that is gone", "the domain of the other environment"}
    expected = [entry for name, (_plant, entry) in PLANTED.items() if name not in left_out]
    for name, (plant, _entry) in PLANTED.items():
        if name not in left_out:
            plant(production)
    assert sorted(found(compare(staging, production)), key=str) == sorted(expected, key=str)


def test_a_difference_on_many_hosts_is_told_once(staging: Document, production: Document) -> None:
    for name in production["hosts"]:
        on(production, name, "packages")["openssl"] = "3.5.0-1"
    compared = compare(staging, production)
    assert [(one.what, one.hosts) for one in compared.findings] == [("packages: openssl", ["edge1", "app1", "app2"])]


NO_DIFFERENCE: dict[str, Callable[[Document], Any]] = {
    "the order of packages": lambda side: side["hosts"]["app1"]["parts"]["packages"].update(
        items=dict(reversed(on(side, "app1", "packages").items()))
    ),
    "what runs in the idle slot": lambda side: on(side, "app1", "containers").update({"portal-blue": {"digest": "x"}}),
    "a rule for the idle slot's port": lambda side: on(side, "app1", "firewall")["inet filter chain input"].append(
        'tcp dport 9000 accept comment "blue"'
    ),
    "an idle slot that is empty": lambda side: on(side, "app1", "containers").pop("portal-blue"),
    "the order of hosts": lambda side: side.update(hosts=dict(reversed(side["hosts"].items()))),
    "when it was taken": lambda side: side.update(taken="2026-12-02T10:00:00Z"),
}


@pytest.mark.parametrize("name", NO_DIFFERENCE)
def test_what_is_no_difference_is_not_reported(staging: Document, production: Document, name: str) -> None:
    NO_DIFFERENCE[name](production)
    assert found(compare(staging, production)) == []


class TestASmallerEnvironment:
    def test_says_so_once_and_compares_its_host_with_all_counterparts(
        self, staging: Document, production: Document
    ) -> None:
        del staging["hosts"]["app2"]
        on(production, "app2", "packages")["podman"] = "5.5"
        on(production, "edge1", "files")["/etc/app.conf"]["settings"]["servers"] = ["app1", "app2"]
        on(staging, "edge1", "files")["/etc/app.conf"]["settings"]["servers"] = ["app1"]
        assert found(compare(staging, production)) == [
            ("topology: hosts in app", "different", 1, 2),
            ("packages: podman", "different", "5.4.2", "5.5"),
        ]

    def test_may_have_smaller_hosts_if_it_declares_them(self, staging: Document, production: Document) -> None:
        on(production, "app1", "size").update({"processors": 16, "memory in GiB": 64.0})
        on(production, "app1", "containers")["portal-green"]["memory in bytes"] = 4 * 268435456
        assert [one[0] for one in found(compare(staging, production))] == [
            "size: memory in GiB",
            "size: processors",
            "containers: portal-<slot>: memory in bytes",
        ]
        staging["hosts"]["app1"]["size"], production["hosts"]["app1"]["size"] = "small", "large"
        compared = compare(staging, production)
        assert found(compared) == []
        assert compared.sizes == ["app1: small and large"]

    def test_hosts_of_other_names_are_compared_by_group_and_order(
        self, staging: Document, production: Document
    ) -> None:
        renamed = {"edge1": "lb-a", "app1": "web-a", "app2": "web-b"}
        production["hosts"] = {renamed[name]: entry for name, entry in production["hosts"].items()}
        for old, new in renamed.items():
            on(production, new, "files")["/etc/app.conf"]["settings"]["name"] = [new]
            assert old not in production["hosts"]
        on(production, "web-b", "packages")["podman"] = "5.5"
        compared = compare(staging, production)
        assert [(one.what, one.hosts) for one in compared.findings] == [("packages: podman", ["app2 and web-b"])]

    def test_a_host_of_a_group_that_the_other_lacks_can_not_be_compared(
        self, staging: Document, production: Document
    ) -> None:
        production["hosts"]["cache1"] = host("cache1", ["cache"], "203.0.113.30", "production.example.org", "green")
        assert found(compare(staging, production)) == [
            ("topology: hosts in cache", "different", 0, 1),
            ("topology: cache together", "different", "on no host", "on a host"),
            ("topology: host cache1", "unknown", "", "has no counterpart"),
        ]


class TestWhatCouldNotBeRead:
    def test_is_unknown_and_neither_equal_nor_missing(self, staging: Document, production: Document) -> None:
        production["hosts"]["app1"]["parts"]["firewall"] = part({}, {"*": "only root can read this"})
        assert found(compare(staging, production)) == [("firewall", "unknown", "", "only root can read this")]

    def test_one_value_leaves_the_others(self, staging: Document, production: Document) -> None:
        del on(production, "app1", "accounts")["operator"]["password"]
        production["hosts"]["app1"]["parts"]["accounts"]["unread"] = {"operator: password": "needs root"}
        on(production, "app1", "accounts")["operator"]["shell"] = "/bin/sh"
        assert found(compare(staging, production)) == [
            ("accounts: operator: password", "unknown", "", "needs root"),
            ("accounts: operator: shell", "different", "/bin/bash", "/bin/sh"),
        ]

    def test_a_part_that_only_one_version_of_the_module_reads(self, staging: Document, production: Document) -> None:
        for entry in production["hosts"].values():
            del entry["parts"]["kernel"]
        assert found(compare(staging, production)) == [
            ("kernel", "unknown", "", "the snapshot has no such part; take it again")
        ]

    def test_a_host_that_did_not_answer(self, staging: Document, production: Document) -> None:
        production["hosts"]["app2"] |= {"silent": "timed out", "parts": {}}
        compared = compare(staging, production)
        assert [(one.what, one.verdict, one.second, one.hosts) for one in compared.findings] == [
            ("topology: host could not be read", "unknown", "timed out", ["app2"])
        ]

    def test_a_clock_that_is_off(self, staging: Document, production: Document) -> None:
        production["hosts"]["app2"]["clock off by"] = 3600
        assert found(compare(staging, production)) == [("system: clock", "unknown", "", "3600 s off the controller's")]


def test_two_times_of_one_environment_are_drift(staging: Document) -> None:
    later = copy.deepcopy(staging)
    on(later, "app1", "keys")["host key ed25519"] = "SHA256:new"
    assert found(compare(staging, later)) == [
        ("keys: host key ed25519", "different", "SHA256:<domain>-<this host>", "SHA256:new")
    ]
