# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A host leaves HAProxy's traffic and comes back, in all workers, and never as the last one that is healthy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.switch import servers
from ansible.module_utils.greenroom.switch.haproxy import SocketError
from fake_haproxy import FakeHaproxy, FakeWorker
from modules import run_module


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FakeHaproxy]:
    found = FakeHaproxy(tmp_path, "live.map")
    found.workers["100"].sessions = {"shop_http_blue": 0, "shop_http_green": 0}
    with found.running():
        yield found


def edge(proxy: FakeHaproxy) -> servers.Edge:
    return servers.Edge(proxy.runtime_socket, proxy.master_socket)


OWN = {"shop_http_blue/app1", "shop_http_green/app1"}


def test_a_host_is_drained_in_all_workers_and_comes_back(proxy: FakeHaproxy) -> None:
    proxy.workers["90"] = FakeWorker(sessions={"shop_http_blue": 0}, old=True)
    done = servers.drain(edge(proxy), "app1", "blue", 0)
    assert (done.changed, set(done.healthy), done.sessions) == (True, OWN, 0)
    assert (proxy.workers["100"].drained, proxy.workers["90"].drained) == (OWN, {"shop_http_blue/app1"})
    assert not servers.drain(edge(proxy), "app1", "blue", 0).changed
    back = servers.ready(edge(proxy), "app1", done.healthy, 0)
    assert (back.changed, back.missing) == (True, [])
    assert not proxy.workers["100"].drained
    assert not proxy.workers["90"].drained


def test_the_last_healthy_server_of_the_live_slot_stays(proxy: FakeHaproxy) -> None:
    proxy.workers["100"].ill = {"shop_http_blue/app2"}
    with pytest.raises(SocketError, match="no other server than app1 is healthy in shop_http_blue"):
        servers.drain(edge(proxy), "app1", "blue", 0)
    assert not proxy.workers["100"].drained
    # The idle slot serves nobody.
    assert servers.drain(edge(proxy), "app1", "green", 0).changed


def test_open_sessions_are_waited_for_and_counted(proxy: FakeHaproxy) -> None:
    proxy.workers["100"].sessions["shop_http_blue"] = 3
    assert servers.drain(edge(proxy), "app1", "blue", 0).sessions == 3


def test_a_host_that_is_not_healthy_again_is_named(proxy: FakeHaproxy, tmp_path: Path) -> None:
    servers.drain(edge(proxy), "app1", "blue", 0)
    proxy.workers["100"].ill = {"shop_http_blue/app1"}
    assert servers.ready(edge(proxy), "app1", OWN, 0).missing == ["shop_http_blue/app1"]
    given: dict[str, Any] = {"host": "app1", "state": "ready", "expected": sorted(OWN), "wait_seconds": 0}
    sockets: dict[str, Any] = {"socket": proxy.runtime_socket, "master_socket": proxy.master_socket}
    result = run_module("edge_servers", **given, **sockets)
    assert result["failed"]
    assert "these are not healthy: shop_http_blue/app1; look at their services on app1" in result["msg"]


def test_check_mode_sets_nothing(proxy: FakeHaproxy) -> None:
    assert servers.drain(edge(proxy), "app1", "blue", 9, check=True).changed
    seen = servers.ready(edge(proxy), "app1", [], 9, check=True)
    assert (seen.changed, set(seen.healthy)) == (False, OWN)
    assert not proxy.workers["100"].drained


def test_a_worker_that_refuses_is_named(proxy: FakeHaproxy) -> None:
    proxy.workers["100"].refuses = True
    with pytest.raises(SocketError, match="worker 100 did not set shop_http_blue/app1: Permission denied"):
        servers.drain(edge(proxy), "app1", "blue", 0)


def test_without_haproxy_nothing_is_drained(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="HAProxy does not run"):
        servers.drain(servers.Edge(str(tmp_path / "a"), str(tmp_path / "b")), "app1", "blue", 0)
