# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hosts as operators have them: behind a proxy, with two networks, another system, and an OpenBao of their own."""

from __future__ import annotations

import re
import tomllib

import pytest
from rendering import Rendered, render

PROXY = "http://proxy.example.org:3128"
MORE = """
staging:
  children:
    edge: {hosts: {edge1: {ansible_host: 203.0.113.11, environment_address: 10.1.0.11}}}
    vault: {hosts: {ops1: }}
"""
ROLES = ("base", "container_runtime", "firewall", "keepalived", "openbao", "pgbackrest", "postgres")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Staging with all of it."""
    folder = tmp_path_factory.mktemp("hosts")
    (folder / "more").mkdir()
    (folder / "more/hosts.yml").write_text(MORE)
    return render(
        "staging",
        folder,
        roles=ROLES,
        hosts="edge1:app:data:ops",
        inventories=[folder / "more"],
        environment_proxy_url=PROXY,
        environment_proxy_except=["registry.example.org"],
        environment_systems={"data1": "ubuntu 26.04", "app1": "debian 13"},
        keepalived_public_interface="ens4",
        keepalived_ipv6_address="2001:db8::10",
        keepalived_interface="ens3",
        pgbackrest_second={"type": "sftp", "path": "/staging", "sftp-host": "backup.example.org"},
        secrets={"third-party/backup": {"value": "a key"}, "environment/value/backup-cipher": {"value": "a password"}},
    )


def text(hosts: Rendered, path: str) -> str:
    return (hosts.folder / path).read_text(encoding="utf-8")


def test_podman_uses_the_proxy_and_containers_do_not(hosts: Rendered, rendered: dict[str, Rendered]) -> None:
    path = "app1/etc/containers/containers.conf.d/50-greenroom.conf"
    found = tomllib.loads(text(hosts, path))
    assert found["containers"]["http_proxy"] is False
    assert {f"https_proxy={PROXY}", "REGISTRY_AUTH_FILE=/etc/containers/auth.json"} <= set(found["engine"]["env"])
    [direct] = [each for each in found["engine"]["env"] if each.startswith("no_proxy=")]
    # The other hosts by the addresses that hosts use among each other.
    assert {"10.1.0.11", "198.18.10.22", ".staging.greenroom.test", "registry.example.org"} <= set(
        direct.removeprefix("no_proxy=").split(",")
    )
    usual = tomllib.loads(text(rendered["staging"], path))
    assert "http_proxy" not in usual["containers"]
    assert usual["engine"]["env"] == ["REGISTRY_AUTH_FILE=/etc/containers/auth.json"]


def test_apt_uses_the_proxy(hosts: Rendered, rendered: dict[str, Rendered]) -> None:
    path = "data1/etc/apt/apt.conf.d/60greenroom-proxy"
    assert f'Acquire::https::Proxy "{PROXY}";\n' in text(hosts, path)
    assert 'Acquire::http::Proxy::registry.example.org "DIRECT";\n' in text(hosts, path)
    assert not (rendered["staging"].folder / path).exists()


def test_a_shared_address_in_the_public_network_has_its_interface(
    hosts: Rendered, rendered: dict[str, Rendered]
) -> None:
    found = text(hosts, "edge1/etc/keepalived/keepalived.conf")
    assert "interface ens3\n" in found
    assert "unicast_src_ip 10.1.0.11\n" in found
    assert "198.18.10.10/32 dev ens4\n" in found
    assert "2001:db8::10/128 dev ens4\n" in found
    assert " dev " not in text(rendered["staging"], "edge1/etc/keepalived/keepalived.conf")


def test_hosts_know_each_other_by_their_own_network(hosts: Rendered) -> None:
    for host in ("app1", "app2"):
        rules = text(hosts, f"{host}/etc/nftables.conf")
        assert "10.1.0.11/32" in rules
        assert "203.0.113.11" not in rules


def test_postgresql_has_the_version_of_the_system(hosts: Rendered, rendered: dict[str, Rendered]) -> None:
    folder = hosts.folder / "data1/etc/postgresql"
    assert [path.name for path in folder.iterdir()] == ["18"]
    settings = text(hosts, "data1/etc/postgresql/18/main/conf.d/greenroom.conf")
    assert "ssl_key_file = '/etc/postgresql/18/main/greenroom.key'" in settings
    # The backup knows where the databases are, and PostgreSQL asks it before it starts.
    assert "\npg1-path=/var/lib/postgresql/18/main\n" in text(hosts, "ops1/etc/pgbackrest/pgbackrest.conf")
    assert " guard\n" in text(hosts, "data1/etc/systemd/system/postgresql@18-main.service.d/greenroom.conf")
    assert [path.name for path in (rendered["staging"].folder / "data1/etc/postgresql").iterdir()] == ["17"]


def test_both_hosts_of_the_backup_read_the_second_place(hosts: Rendered, rendered: dict[str, Rendered]) -> None:
    path = "etc/pgbackrest/pgbackrest.conf"
    database, repository = (text(hosts, f"{host}/{path}").splitlines() for host in ("data1", "ops1"))
    for lines in (database, repository):
        assert {"repo2-cipher-type=aes-256-cbc", "repo2-cipher-pass=a password"} <= set(lines)
    # Only the repository's host logs in there.
    assert {"repo2-sftp-host=backup.example.org", "repo2-sftp-private-key-file=/etc/pgbackrest/second.key"} <= set(
        repository
    )
    assert not any("sftp" in line for line in database)
    assert "repo2-host=198.18.10.41" in database
    # A place that does not answer keeps no archive from the other one.
    assert "archive-async=y" in database
    for host in ("data1", "ops1"):
        usual = text(rendered["staging"], f"{host}/{path}")
        assert "repo2" not in usual
        assert "archive-async" not in usual


def test_only_the_controller_reaches_openbao(hosts: Rendered, rendered: dict[str, Rendered]) -> None:
    [line] = [line for line in text(hosts, "ops1/etc/nftables.conf").splitlines() if "dport { 8200 }" in line]
    ssh = next(line for line in text(hosts, "ops1/etc/nftables.conf").splitlines() if "dport { 22 }" in line)
    assert re.findall(r"saddr (\{.*?\})", line) == re.findall(r"saddr (\{.*?\})", ssh)
    assert "8200" not in text(rendered["staging"], "ops1/etc/nftables.conf")
    settings = text(hosts, "ops1/etc/openbao/openbao.hcl")
    assert 'api_addr      = "https://198.18.10.41:8200"' in settings


def test_without_a_guard_nothing_on_hosts_knows_of_one(rendered: dict[str, Rendered]) -> None:
    files = [path for found in rendered.values() for path in found.files("etc/**/*")]
    assert files
    assert [path for path in files if "egress" in path.read_text(encoding="utf-8").lower()] == []


def test_the_guard_is_the_only_way_out(guarded: Rendered, rendered: dict[str, Rendered]) -> None:
    guard, other = (text(guarded, f"{host}/etc/nftables.conf") for host in ("ops1", "app1"))
    for rules in (guard, other):
        assert "tcp dport 443 dnat ip to 198.18.10.41:21100\n" in rules
        assert "th dport 53 dnat ip to 198.18.10.41:5353\n" in rules
        assert 'iifname "podman*" jump egress\n' in rules
        assert "oif != lo jump egress\n" in rules
    # Only the guard's own processes leave.
    assert "meta skuid { haproxy, dnsmasq, _chrony } return" in guard
    assert "meta skuid { haproxy, dnsmasq, _chrony } return" not in other
    # Stopping the firewall must not open the way out.
    unit = "app1/etc/systemd/system/nftables.service.d/greenroom.conf"
    assert "delete table inet greenroom" not in text(guarded, unit)
    assert "delete table inet greenroom" in text(rendered["staging"], unit)


def test_each_service_calls_at_a_port_of_its_own(guarded: Rendered) -> None:
    [port] = set(
        re.findall(r'dnat ip to (198\.18\.10\.41:211\d\d) comment "portal"', text(guarded, "app1/etc/nftables.conf"))
    )
    assert f"bind {port} name portal\n" in text(guarded, "ops1/etc/greenroom/egress.cfg")
