# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What HAProxy needs follows from hosts, services and connections."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.greenroom.controller.hosts import edge_size

APPS = {"app": [f"app{number}" for number in range(50)], "web": ["app0"]}


def catalogue(number: int, ports: tuple[str, ...] = ("http",), group: str = "app") -> dict[str, Any]:
    routes = [{"path": f"/{port}", "port": port} for port in ports]
    return {f"s{each}": {"group": group, "routes": routes} for each in range(number)}


def bundle(number: int, hosts: int, ports: tuple[str, ...] = ("http",)) -> dict[str, Any]:
    members = {"app": [{"name": f"app{each}", "address": f"198.18.10.{each}"} for each in range(hosts)], "web": []}
    return {"services": catalogue(number, ports) | catalogue(0, group="web"), "hosts": members}


def test_each_port_with_a_route_has_a_server_on_each_host_in_both_slots() -> None:
    assert edge_size.places(catalogue(200), APPS) == (400, 20_000)
    assert edge_size.places(catalogue(3, ("http", "admin")), APPS) == (12, 600)
    assert edge_size.places(catalogue(3, group="web"), APPS) == (6, 6)
    assert edge_size.places(catalogue(3, ()), APPS) == (0, 0)
    assert edge_size.places(catalogue(3, group="none"), APPS) == (6, 0)


def test_what_a_slot_still_has_counts_if_it_is_more() -> None:
    assert edge_size.places(catalogue(1), APPS, {"blue": bundle(4, 30)}) == (1 + 4, 50 + 120)
    assert edge_size.places(catalogue(5), APPS, {"blue": bundle(4, 30)}) == (10, 500)


def test_files_grow_in_steps() -> None:
    process = edge_size.connections(5000, [])
    assert edge_size.open_files(catalogue(5), APPS, {}, process) == 16384
    assert edge_size.open_files(catalogue(200), APPS, {}, process) == 32768
    assert edge_size.files_needed(catalogue(200), APPS, {}, process) > 30_400


def test_connections_with_a_proxy_header_count_twice() -> None:
    assert edge_size.connections(5000, []) == 5000
    assert edge_size.connections(5000, ["203.0.113.4"]) == 9000


def test_a_host_that_is_too_small_is_named() -> None:
    def text(memory: int, files: int | str) -> str:
        return f"ID=debian\nMemTotal:  {memory * 1024} kB\nMax open files   1024   {files}   files\n{{}}\n"

    texts = {"edge1": text(1024, 32768), "edge2": text(1023, 32767), "edge3": text(4096, "unlimited"), "edge4": ""}
    assert edge_size.too_small(texts, 32768, 1024) == [
        "edge2 allows a service 32767 open files, and HAProxy gets 32768 (edge_open_files)",
        "edge2 has 1023 MB of memory, and HAProxy may need 1024 MB",
    ]


def test_memory_grows_with_servers_and_connections() -> None:
    small = edge_size.memory_needed(catalogue(5), APPS, 5000, 10)
    # A small environment's edge host may be a virtual machine of half a gigabyte.
    assert small < 450
    assert edge_size.memory_needed(catalogue(200), APPS, 5000, 1) > small + 300
    assert edge_size.memory_needed(catalogue(200), APPS, 5000, 10) > small + 1000
    assert edge_size.memory_needed(catalogue(5), APPS, 10_000, 10) > small + 300


def test_settings_that_are_too_low_say_what_to_set() -> None:
    assert list(edge_size.size_problems(5000, 32768, 31424, 70)) == []
    connections, files = edge_size.size_problems(1000, 16384, 31424, 70)
    assert connections.startswith("edge_maxconn: 1000 leaves too few connections for 70 edge and app hosts")
    assert connections.endswith("set 1400 or more")
    assert files == "edge_open_files: 16384 is too few for this catalog; remove it, or set 31424 or more"
