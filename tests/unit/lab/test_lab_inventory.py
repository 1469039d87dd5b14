"""The lab knows hosts, addresses and packages from where everybody else has them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from greenroom_lab import cache, hosts, inside, inventory, keys, network, packages, paths, podman
from greenroom_lab.console import LabError

HOSTS = """
test:
  children:
    edge:
      hosts:
        one: {ansible_host: 198.18.40.11}
    app:
      hosts:
        one: {ansible_host: 198.18.40.11}
        two: {ansible_host: 198.18.40.12}
    data: {}
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "inventories" / "test").mkdir(parents=True)
    (tmp_path / "inventories" / "test" / "hosts.yml").write_text(HOSTS)
    (tmp_path / "inventories" / "real").mkdir(parents=True)
    (tmp_path / "inventories" / "real" / "hosts.yml").write_text(HOSTS.replace("198.18.", "10.0."))
    return tmp_path


@pytest.mark.usefixtures("checkout")
def test_hosts_and_their_groups() -> None:
    one, two = inventory.hosts("test")
    assert (one.name, one.address, one.groups) == ("one", "198.18.40.11", ("edge", "app"))
    assert (two.container, two.domain) == ("greenroom-test-two", "test.greenroom.test")


def test_the_public_name_leads_to_the_shared_address_else_to_the_first_edge_host(checkout: Path) -> None:
    assert inventory.public_address("test") == "198.18.40.11"
    variables = checkout / "inventories" / "test" / "group_vars" / "test" / "edge.yml"
    variables.parent.mkdir(parents=True)
    variables.write_text("keepalived_address: ''\n")
    assert inventory.public_address("test") == "198.18.40.11"
    variables.write_text("keepalived_address: 198.18.40.10\n")
    assert inventory.public_address("test") == "198.18.40.10"


@pytest.mark.usefixtures("checkout")
def test_inventories_with_other_addresses_are_left_alone() -> None:
    assert inventory.environments() == ["test"]
    assert sorted(network.networks()) == ["control", "test"]
    with pytest.raises(LabError, match="no environment real: choose one of test"):
        inventory.hosts("real")


def test_host_without_address(checkout: Path) -> None:
    file = checkout / "inventories" / "test" / "hosts.yml"
    file.write_text(HOSTS.replace("two: {ansible_host: 198.18.40.12}", "two: {}"))
    with pytest.raises(LabError, match="two needs an IPv4 address in ansible_host"):
        inventory.hosts("test")


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(
    ("name", "container"),
    [("one", "greenroom-test-one"), ("test/two", "greenroom-test-two"), ("control1", "greenroom-control-control1")],
)
def test_find_a_host(name: str, container: str) -> None:
    assert hosts.find(name, "test").container == container


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("name", ["three", "other/one", ""])
def test_find_no_host(name: str) -> None:
    with pytest.raises(LabError, match=rf"There is no host {name}\. Use one of control1, one, two"):
        hosts.find(name, "test")


def test_a_folder_with_other_inventories_of_the_same_name_comes_first(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "test").mkdir()
    (other / "test" / "hosts.yml").write_text(HOSTS.replace("198.18.40.12", "198.18.40.13"))
    monkeypatch.setenv("GREENROOM_LAB_INVENTORIES", str(other))
    assert [host.address for host in inventory.hosts("test")] == ["198.18.40.11", "198.18.40.13"]


@pytest.mark.usefixtures("checkout")
def test_one_host_is_removed_with_its_volumes_and_without_its_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []

    def call(*words: str) -> str:
        done.append(" ".join(words))
        return ""

    monkeypatch.setattr(podman, "setup", lambda: None)
    monkeypatch.setattr(podman, "containers", dict)
    monkeypatch.setattr(podman, "call", call)
    monkeypatch.setattr(cache, "only_one", contextlib.nullcontext)
    monkeypatch.setattr(keys, "FOLDER", tmp_path)
    key = tmp_path / "hosts" / "greenroom-test-two" / "key"
    key.parent.mkdir(parents=True)
    key.write_text("")
    inside.remove("test/two")
    assert done == [
        "rm --force --ignore --time=0 greenroom-test-two",
        "volume rm --force greenroom-test-two-containers greenroom-test-two-journal",
    ]
    assert key.exists()
    with pytest.raises(LabError, match=r"test has no host control1\. It has one, two\."):
        inside.remove("test/control1")


def test_packages_of_all_roles(checkout: Path) -> None:
    for role, content in {
        "edge": "edge_packages: [haproxy]\nedge_port: 443\n",
        "data": "data_packages: [postgresql, acl]\ndata_more_packages: []\n",
        "none": "",
    }.items():
        (checkout / "roles" / role / "defaults").mkdir(parents=True)
        (checkout / "roles" / role / "defaults" / "main.yml").write_text(content)
    assert packages.lists() == [["acl", "postgresql"], ["haproxy"]]


def test_packages_that_are_not_plain(checkout: Path) -> None:
    (checkout / "roles" / "edge" / "defaults").mkdir(parents=True)
    (checkout / "roles" / "edge" / "defaults" / "main.yml").write_text("edge_packages: ['{{ edge_name }}']\n")
    with pytest.raises(LabError, match=r"roles/edge/defaults/main\.yml: edge_packages must be a plain list"):
        packages.lists()
