# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.hosts import firewall, keys, networks, pg_hba, scrape_targets, vrrp

ADDRESSES = {
    "all": ["198.18.10.11", "198.18.10.21", "198.18.10.22", "198.18.10.31", "198.18.10.41"],
    "edge": ["198.18.10.11"],
    "app": ["198.18.10.21", "198.18.10.22"],
    "data": ["198.18.10.31"],
    "ops": ["198.18.10.41"],
}
SLOTS = ["10.89.10.0/24", "10.89.20.0/24"]


def port(number: int, sources: list[str]) -> dict[str, Any]:
    return {
        "container": number,
        "from": sources,
        "host": {"blue": number + 10000, "green": number + 20000},
        "bind": "0.0.0.0" if sources else "127.0.0.1",
    }


def service(**given: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "group": "app",
        "activation": "always",
        "ports": {},
        "database": None,
        "secrets": {},
        "metrics": None,
    }
    return defaults | given


def rule(name: str, groups: list[str], sources: list[str], own: list[str], networks: list[str]) -> list[dict[str, Any]]:
    ports = [{"name": name, "ports": [1], "groups": groups, "from": sources}]
    found: list[dict[str, Any]] = firewall.firewall_rules(ports, own, ADDRESSES, networks)
    return found


def test_each_account_has_a_file_with_its_keys() -> None:
    alice = {"name": "alice", "role": "developer", "ssh_keys": ["ssh-ed25519 A", "ssh-ed25519 B"]}
    victor = {"name": "victor", "role": "viewer", "ssh_keys": ["ssh-ed25519 V"]}
    own = {"dest": "/etc/ssh/authorized_keys.d/alice", "content": "ssh-ed25519 A\nssh-ed25519 B\n"}
    assert keys.key_files([alice, victor], has_pages=False) == [own]
    assert [file["dest"] for file in keys.key_files([alice, victor], has_pages=True)] == [
        own["dest"], "/etc/ssh/authorized_keys.d/victor",
    ]  # fmt: skip


def test_published_ports_are_open_for_their_groups_in_both_slots() -> None:
    catalogue = {"portal": service(ports={"http": port(8080, ["edge"])})}
    assert firewall.service_ports(catalogue) == [
        {"name": "portal http", "ports": [18080, 28080], "groups": ["app"], "from": ["edge"]}
    ]


def test_ports_stay_open_while_a_slot_uses_them() -> None:
    def bundle(slot: str, number: int, sources: list[str]) -> dict[str, Any]:
        ports = {"http": port(number, sources)}
        ports["http"]["host"] = {slot: ports["http"]["host"][slot]}
        return {"services": {"portal": service(ports=ports)}}

    catalogue = {"portal": service(ports={"http": port(9090, ["edge"])})}
    old = {"blue": bundle("blue", 8080, ["edge"]), "green": bundle("green", 9090, ["edge"])}
    assert [(found["ports"], found["from"]) for found in firewall.service_ports(catalogue, old)] == [
        ([18080, 19090, 29090], ["edge"])
    ]
    # Other sources, or a service that was removed, get their own rules.
    other = {"blue": bundle("blue", 8080, ["ops"])}
    assert [(found["ports"], found["from"]) for found in firewall.service_ports(catalogue, other)] == [
        ([19090, 29090], ["edge"]), ([18080], ["ops"]),
    ]  # fmt: skip
    assert [found["ports"] for found in firewall.service_ports({}, old)] == [[18080, 29090]]
    both = {slot: bundle(slot, 9090, ["edge"]) for slot in ("blue", "green")}
    assert firewall.service_ports(catalogue, both) == firewall.service_ports(catalogue)


def test_processes_of_a_host_reach_its_ports_if_other_hosts_of_its_groups_may() -> None:
    ports = [
        {"name": "portal http", "ports": [18080, 28080], "groups": ["app"], "from": ["edge"]},
        {"name": "portal metrics", "ports": [18081, 28081], "groups": ["app"], "from": ["ops"]},
    ]
    assert firewall.local_ports(ports, ["app"]) == []
    assert firewall.local_ports(ports, ["edge"]) == []
    assert firewall.local_ports(ports, ["app", "edge"]) == [18080, 28080]
    assert firewall.local_ports(ports, ["app", "edge", "ops"]) == [18080, 18081, 28080, 28081]


def test_a_local_port_is_not_in_the_firewall() -> None:
    catalogue = {"kratos": service(ports={"admin": port(4434, [])}, metrics={"port": "admin", "path": "/metrics"})}
    assert firewall.service_ports(catalogue) == []
    assert scrape_targets.scrape_targets(catalogue, {"app": {"app1": "198.18.10.21"}}) == []


@pytest.mark.parametrize("sources", [["edge"], ["edge", "ops"]])
def test_metrics_are_open_for_ops_once(sources: list[str]) -> None:
    catalogue = {"portal": service(ports={"http": port(8080, sources)}, metrics={"port": "http", "path": "/metrics"})}
    assert firewall.service_ports(catalogue)[0]["from"] == ["edge", "ops"]


def test_a_rule_applies_only_to_its_groups() -> None:
    assert rule("postgres", ["data"], ["app"], ["data"], SLOTS) == [
        {
            "name": "postgres",
            "protocol": "tcp",
            "ports": [1],
            "ipv4": ["198.18.10.21/32", "198.18.10.22/32"],
            "ipv6": [],
        }
    ]
    assert rule("postgres", ["data"], ["app"], ["edge"], SLOTS) == []


def test_a_host_in_the_source_group_allows_its_own_containers() -> None:
    [found] = rule("postgres", ["data"], ["app"], ["app", "data"], SLOTS)
    assert found["ipv4"] == [*SLOTS, "198.18.10.21/32", "198.18.10.22/32"]


def test_protocols_other_than_tcp_have_no_ports_and_exclude_containers() -> None:
    shared = {"name": "shared address", "protocol": "vrrp", "groups": ["edge"], "from": ["edge"]}
    addresses = ADDRESSES | {"edge": ["198.18.10.11", "198.18.10.13"]}
    [found] = firewall.firewall_rules([shared], ["edge"], addresses, SLOTS)
    assert (found["protocol"], found["ports"]) == ("vrrp", [])
    assert found["ipv4"] == ["198.18.10.11/32", "198.18.10.13/32"]
    assert firewall.firewall_rules([shared], ["app"], addresses, SLOTS) == []


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("", None),
        ("198.18.10.10", None),
        ("198.18.10.11", "keepalived_address: 198.18.10.11 is the address of edge1; choose an unused one"),
        ("198.18.20.10", "keepalived_address: 198.18.20.10 is not in the environment's network (198.18.10.0/24)"),
        ("edge.example.org", "keepalived_address: 'edge.example.org' is not an IPv4 address"),
    ],
)
def test_a_shared_address_must_be_free_and_in_the_network(address: str, line: str | None) -> None:
    found = vrrp.shared_address_problems(address, "198.18.10.0/24", {"edge1": "198.18.10.11"})
    assert found == ([] if line is None else [line])


def test_a_shared_address_may_be_in_a_public_network() -> None:
    assert vrrp.shared_address_problems("203.0.113.10", "", {"edge1": "198.18.10.11"}) == []


@pytest.mark.parametrize(
    ("address", "shared", "line"),
    [
        ("", "", None),
        ("2001:db8::10", "198.18.10.10", None),
        ("fd00::10", "198.18.10.10", None),
        ("2001:db8::10", "", "keepalived_ipv6_address: set keepalived_address, too; the two move together"),
        ("198.18.10.9", "198.18.10.10", "keepalived_ipv6_address: '198.18.10.9' is not an IPv6 address"),
        ("2001:db8::/64", "198.18.10.10", "keepalived_ipv6_address: '2001:db8::/64' is not an IPv6 address"),
        *(
            (
                address,
                "198.18.10.10",
                f"keepalived_ipv6_address: visitors can't reach {address}; choose a global or unique local address",
            )
            for address in ("fe80::1", "::1", "ff02::1", "::")
        ),
    ],
)
def test_an_ipv6_address_is_shared_beside_an_ipv4_address(address: str, shared: str, line: str | None) -> None:
    assert vrrp.ipv6_address_problems(address, shared) == ([] if line is None else [line])


def test_the_interface_of_a_host_has_its_address() -> None:
    facts = {
        "ansible_interfaces": ["lo", "eth0", "br-lan", "wg0"],
        "ansible_lo": {"ipv4": {"address": "127.0.0.1"}},
        "ansible_eth0": {"ipv4": {"address": "10.0.0.5"}, "ipv4_secondaries": [{"address": "10.0.0.6"}]},
        "ansible_br_lan": {"ipv4": {"address": "198.18.10.11"}},
    }
    assert vrrp.interface_of(facts, "198.18.10.11") == "br-lan"
    assert vrrp.interface_of(facts, "10.0.0.6") == "eth0"
    with pytest.raises(ValueError, match=r"no interface has the address 10\.0\.0\.7; set keepalived_interface"):
        vrrp.interface_of(facts, "10.0.0.7")


def test_overlapping_sources_are_merged_per_address_family() -> None:
    [found] = rule("ssh", ["all"], ["198.18.10.0/24", "198.18.10.7", "198.18.11.0/24", "2001:db8::1"], ["edge"], [])
    assert found["ipv4"] == ["198.18.10.0/23"]
    assert found["ipv6"] == ["2001:db8::1/128"]


def test_a_port_without_sources_stays_closed() -> None:
    assert rule("pages", ["ops"], [], ["ops"], []) == []


def test_an_unknown_source_is_reported_with_the_known_groups() -> None:
    with pytest.raises(ValueError, match=r"portal http: 'egde' is neither an address nor a group \(groups: all, app"):
        rule("portal http", ["app"], ["egde"], ["app"], [])


def test_a_host_without_an_address_is_reported() -> None:
    ports = [{"name": "ssh", "ports": [22], "groups": ["all"], "from": ["ops"]}]
    with pytest.raises(
        ValueError, match=r"ssh: 'ops1.example.org' in group ops is not an address; set environment_addr"
    ):
        firewall.firewall_rules(ports, ["edge"], {"ops": ["ops1.example.org"]})


def test_targets_are_all_hosts_and_slots_but_one_host_for_a_singleton() -> None:
    metrics = {"port": "metrics", "path": "/metrics"}
    ports = {"metrics": port(8081, ["ops"])}
    members = {"app": {"app1": "198.18.10.21", "app2": "198.18.10.22"}}
    catalogue = {
        "portal": service(ports=ports, metrics=metrics),
        "courier": service(ports=ports, metrics=metrics, activation="singleton"),
        "silent": service(ports=ports),
    }
    found = scrape_targets.scrape_targets(catalogue, members)
    assert [target["targets"] for target in found if target["labels"]["service"] == "portal"] == [
        ["198.18.10.21:18081"], ["198.18.10.21:28081"], ["198.18.10.22:18081"], ["198.18.10.22:28081"],
    ]  # fmt: skip
    assert {target["labels"]["host"] for target in found if target["labels"]["service"] == "courier"} == {"app1"}
    assert found[0]["labels"] == {"service": "courier", "slot": "blue", "host": "app1", "__metrics_path__": "/metrics"}
    assert not [target for target in found if target["labels"]["service"] == "silent"]


def test_targets_of_a_slot_match_its_bundle() -> None:
    metrics = {"port": "metrics", "path": "/metrics"}
    catalogue = {"portal": service(ports={"metrics": port(9091, ["ops"])}, metrics=metrics)}
    old = {"portal": service(ports={"metrics": port(8081, ["ops"])}, metrics=metrics)}
    members = {"app": {"app1": "198.18.10.21"}}

    def targets(bundles: dict[str, Any]) -> list[str]:
        return [target["targets"][0] for target in scrape_targets.scrape_targets(catalogue, members, bundles)]

    assert targets({"blue": {"services": old}}) == ["198.18.10.21:18081", "198.18.10.21:29091"]
    assert targets({"blue": {"services": old}, "green": {"services": {}}}) == ["198.18.10.21:18081"]
    assert targets({"blue": {"services": catalogue}}) == targets({}) == ["198.18.10.21:19091", "198.18.10.21:29091"]


def test_a_group_without_hosts_has_no_targets() -> None:
    catalogue = {"portal": service(ports={"m": port(1, ["ops"])}, metrics={"port": "m", "path": "/m"})}
    assert scrape_targets.scrape_targets(catalogue, {"app": {}}) == []


def test_databases_are_listed_once() -> None:
    catalogue = {"a": service(database="shop"), "b": service(database="kratos"), "c": service(database="shop")}
    assert pg_hba.databases(catalogue | {"d": service()}) == ["kratos", "shop"]


def test_database_clients_are_the_hosts_of_services_with_a_login() -> None:
    login = {"DSN": {"kind": "login", "name": "kratos", "owner": "kratos"}}
    other = {"KEY": {"kind": "value", "name": "key", "owner": "portal"}}
    catalogue = {
        "kratos": service(database="kratos", secrets=login),
        "courier": service(group="ops", secrets=login),
        "portal": service(group="edge", secrets=other),
    }
    assert [client["address"] for client in pg_hba.database_clients(catalogue, ADDRESSES)] == [
        "198.18.10.21/32", "198.18.10.22/32", "198.18.10.41/32",
    ]  # fmt: skip
    single = pg_hba.database_clients({"kratos": catalogue["kratos"]}, {"app": ["198.18.10.9"]}, ["app", "data"], SLOTS)
    assert [client["address"] for client in single] == [*SLOTS, "198.18.10.9/32"]


def test_a_slot_keeps_database_access_after_its_service_is_removed() -> None:
    login = {"DSN": {"kind": "login", "name": "shop", "owner": "shop"}}
    bundles = {"blue": {"services": {"shop": service(secrets=login)}}, "green": {"services": {}}}
    found = pg_hba.database_clients({}, ADDRESSES, bundles=bundles)
    assert found == [
        {"database": "shop", "address": "198.18.10.21/32"}, {"database": "shop", "address": "198.18.10.22/32"},
    ]  # fmt: skip
    assert pg_hba.database_clients({}, ADDRESSES, bundles={"green": bundles["green"]}) == []


def test_sources_can_be_groups_addresses_and_networks() -> None:
    found = networks.source_networks(["ops", "192.168.1.0/24", "2001:db8::1"], ADDRESSES, "edge_limit_exempt")
    assert found == ["198.18.10.41/32", "192.168.1.0/24", "2001:db8::1/128"]
    with pytest.raises(ValueError, match="edge_limit_exempt: 'opps' is neither an address nor a group"):
        networks.source_networks(["opps"], ADDRESSES, "edge_limit_exempt")
