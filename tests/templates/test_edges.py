# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Edge hosts with a shared address, and an environment without one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import ENVIRONMENTS, ROOT, Rendered, render

SIMULATION = "ops1/etc/containers/systemd/greenroom-simulation.container"


def edges(environment: str) -> dict[str, str]:
    """The edge hosts' addresses."""
    groups = yaml.safe_load((ROOT / f"inventories/{environment}/hosts.yml").read_text())[environment]["children"]
    return {host: values["ansible_host"] for host, values in groups["edge"]["hosts"].items()}


def shared(environment: str) -> str:
    file = ROOT / f"inventories/{environment}/group_vars/{environment}/edge.yml"
    return str(yaml.safe_load(file.read_text())["keepalived_address"])


def rules(rendered: Rendered, host: str) -> str:
    return (rendered.folder / host / "etc/nftables.conf").read_text()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_edge_hosts_accept_vrrp_only_from_each_other(environment: str, rendered: dict[str, Rendered]) -> None:
    priorities = {}
    for host, own in edges(environment).items():
        text = (rendered[environment].folder / host / "etc/keepalived/keepalived.conf").read_text()
        peers = re.search(r"unicast_peer \{([^}]*)\}", text)
        assert peers is not None
        assert set(peers[1].split()) == {address for address in edges(environment).values() if address != own}
        assert f"unicast_src_ip {own}\n" in text
        assert f"{shared(environment)}/32\n" in text
        assert "nopreempt" in text
        priorities[host] = re.findall(r"priority (\d+)$", text, re.M)
        [line] = [line for line in rules(rendered[environment], host).splitlines() if "meta l4proto 112" in line]
        assert set(re.findall(r"[\d.]+(?=/32)", line)) == set(edges(environment).values())
    assert len({*map(tuple, priorities.values())}) == len(priorities) > 1
    assert "meta l4proto 112" not in rules(rendered[environment], "app1")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_simulation_uses_the_shared_address(environment: str, rendered: dict[str, Rendered]) -> None:
    unit = (rendered[environment].folder / SIMULATION).read_text()
    assert f"AddHost=portal.{environment}.greenroom.test:{shared(environment)}\n" in unit


def test_without_a_shared_address_the_first_edge_host_is_used(tmp_path: Path) -> None:
    roles = ("edge", "firewall", "simulation")
    alone = render("staging", tmp_path, roles=roles, hosts="edge:ops", keepalived_address="")
    first = next(iter(edges("staging")))
    unit = (alone.folder / SIMULATION).read_text()
    assert f"AddHost=portal.staging.greenroom.test:{edges('staging')[first]}\n" in unit
    assert "meta l4proto 112" not in rules(alone, first)


def test_only_load_balancers_reach_the_port_for_their_health_checks(
    tmp_path: Path, rendered: dict[str, Rendered]
) -> None:
    balancers: dict[str, Any] = {"edge_proxy_sources": ["203.0.113.4"], "edge_forwarded_sources": ["2001:db8::4"]}
    text = rules(render("staging", tmp_path, roles=("firewall",), hosts="edge", **balancers), "edge1")
    accepted = [
        line.split("dport")[1].split("accept")[0].strip() for line in text.splitlines() if "tcp dport { 8407 }" in line
    ]
    assert accepted == ["{ 8407 } ip saddr { 203.0.113.4/32 }", "{ 8407 } ip6 saddr { 2001:db8::4/128 }"]
    [public] = [line for line in text.splitlines() if "dport { 80, 443 } ip6" in line]
    assert "2001:db8::4/128" in public
    assert "8407" not in rules(rendered["staging"], "edge1")


def test_an_ipv6_address_moves_with_the_other_one_outside_the_advertisements(
    tmp_path: Path, rendered: dict[str, Rendered]
) -> None:
    both = render("staging", tmp_path, roles=("keepalived",), hosts="edge", keepalived_ipv6_address="2001:db8::10")
    text = (both.folder / "edge1/etc/keepalived/keepalived.conf").read_text()
    advertised, excluded = re.findall(r"virtual_ipaddress(?:_excluded)? \{([^}]*)\}", text)
    assert (advertised.split(), excluded.split()[-1:]) == ([f"{shared('staging')}/32"], ["2001:db8::10/128"])
    usual = (rendered["staging"].folder / "edge1/etc/keepalived/keepalived.conf").read_text()
    assert "virtual_ipaddress_excluded" not in usual


def test_without_ops_hosts_those_that_check_reach_the_edge(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    public = {"firewall_public_sources": ["203.0.113.0/24"]}
    found = render("examples/external", tmp_path, tmp_path / "services", roles=("firewall",), hosts="edge1", **public)
    lines = [line for line in rules(found, "edge1").splitlines() if "dport { 80, 443 } ip saddr" in line]
    assert lines
    for address in ("192.0.2.12", "192.0.2.21", "192.0.2.22", "203.0.113.0/24"):
        assert all(address in line for line in lines)
