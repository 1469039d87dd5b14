# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What processes say of themselves: where to ask, how to read it, and memory that goes on growing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import metrics_page
from ansible.module_utils.greenroom.controller.canary import watch

MIB = 2**20
PAGE = """\
# HELP shop_orders_total Orders
shop_orders_total{kind="a"} 3.0
shop_orders_total{kind="b"} 4
process_resident_memory_bytes 1.048576e+06
process_start_time_seconds 1.7e+09
shop_build_info{version="1.1",release="1.0",slot="blue"} 1.0
go_gc_duration_seconds{quantile="0"} NaN
nonsense
"""
TARGET = {"service": "shop", "host": "app1", "metric": "shop_orders_total", "memory": 256 * MIB, "release": "1.0"}


def catalogue(**changes: Any) -> dict[str, Any]:
    shop = {
        "memory": "256M",
        "routes": [{"path": "/"}],
        "canary": {"probes": ["/", "/ready"], "metric": {"name": "shop_orders_total", "port": "metrics", "path": "/m"}},
        **changes,
    }
    return {"shop": shop}


def bundle(slot: str, port: int, **changes: Any) -> dict[str, Any]:
    shop = {
        "group": "app",
        "activation": "always",
        "metrics": {"port": "metrics", "path": "/metrics"},
        "ports": {"metrics": {"host": {slot: port}, "bind": "0.0.0.0"}},
        **changes,
    }
    hosts = {"app": [{"name": "app1", "address": "198.18.10.21"}, {"name": "app2", "address": "198.18.10.22"}]}
    return {"slot": slot, "release": "1.0", "hosts": hosts, "services": {"shop": shop}}


def test_targets_are_both_slots_on_all_hosts() -> None:
    found = watch.targets({"blue": bundle("blue", 18081), "green": bundle("green", 28081)}, catalogue())
    assert [(each["slot"], each["host"], each["url"]) for each in found] == [
        ("blue", "app1", "http://198.18.10.21:18081/m"),
        ("blue", "app2", "http://198.18.10.22:18081/m"),
        ("green", "app1", "http://198.18.10.21:28081/m"),
        ("green", "app2", "http://198.18.10.22:28081/m"),
    ]
    assert {(each["metric"], each["memory"], each["release"]) for each in found} == {
        ("shop_orders_total", 256 * MIB, "1.0")
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "live_only"},
        {"ports": {"metrics": {"host": {"blue": 1}, "bind": "127.0.0.1"}}},
        {"ports": {}},
    ],
)
def test_unreachable_and_incomparable_services_are_not_targets(changes: dict[str, Any]) -> None:
    assert watch.targets({"blue": bundle("blue", 1, **changes)}, catalogue()) == []


def test_a_page_is_read_without_a_business_metric_too() -> None:
    (first, _second) = watch.targets({"blue": bundle("blue", 1)}, catalogue(canary=None))
    assert (first["metric"], first["url"]) == ("", "http://198.18.10.21:1/metrics")
    assert watch.targets({"blue": bundle("blue", 1, metrics=None)}, catalogue(canary=None)) == []


def test_probes_use_configured_paths_or_else_all_routes() -> None:
    assert watch.probe_paths(catalogue()) == ["/", "/ready"]
    assert watch.probe_paths(catalogue(canary=None)) == ["/"]
    assert watch.probe_paths({}) == []


def test_a_page_is_read() -> None:
    expected = {"metric": 7.0, "memory": 1048576.0, "started": 1.7e9, "release": "1.0"}
    assert metrics_page.read(PAGE, "shop_orders_total") == expected
    assert metrics_page.read("", "shop_orders_total") == dict.fromkeys(expected)


def reading(**changes: Any) -> dict[str, Any]:
    return {"metric": 7.0, "memory": 5.0, "started": 1.0, "release": "1.0", **changes}


@pytest.mark.parametrize(
    ("end", "key", "said"),
    [
        ({"started": 2.0}, "problems", ["shop on app1 was restarted"]),
        ({"release": "0.9"}, "problems", ["shop on app1 runs release 0.9, not 1.0"]),
        ({"metric": None}, "unread", ["shop_orders_total of shop on app1"]),
        ({"release": None}, "problems", []),
        ({}, "metric", 0.0),
        ({"metric": 9.0}, "metric", 2.0),
    ],
)
def test_the_changes_of_a_process(end: dict[str, Any], key: str, said: object) -> None:
    assert metrics_page.compared(TARGET, reading(), reading(**end))[key] == said


@pytest.mark.parametrize(
    ("begin", "end", "rise", "problems"),
    [
        # Many programs don't say when they started: missing is not the same as unchanged, and no restart either.
        ({"started": None}, {"started": None, "metric": 9.0}, 2.0, []),
        ({}, {"started": None, "metric": 9.0}, 2.0, []),
        # A counter that goes backwards began again at 0.
        ({"started": None}, {"started": None, "metric": 3.0}, 3.0, []),
        ({}, {"started": 2.0, "metric": 3.0}, 3.0, ["shop on app1 was restarted"]),
        ({}, {"started": 2.0, "metric": 9.0}, 9.0, ["shop on app1 was restarted"]),
    ],
)
def test_a_counter_of_a_new_process_counts_from_0(
    begin: dict[str, Any], end: dict[str, Any], rise: float, problems: list[str]
) -> None:
    row = metrics_page.compared(TARGET, reading(**begin), reading(**end))
    assert (row["metric"], row["problems"], row["unread"]) == (rise, problems, [])


def test_a_page_that_does_not_respond_has_no_figures() -> None:
    for begin, end in ((None, reading()), (reading(), None)):
        found = metrics_page.compared(TARGET, begin, end)
        assert (found["unread"], found["metric"]) == (["the metrics of shop on app1"], None)


def test_a_memory_leak_is_distinguished_from_filling_caches() -> None:
    chance = random.Random(3)
    growing = [60 * MIB + number * 2 * MIB + chance.random() * MIB for number in range(20)]
    filling = [100 * MIB - 60 * MIB * 0.7**number + chance.random() * MIB / 50 for number in range(20)]
    steady = [60 * MIB + chance.random() * MIB for number in range(20)]
    assert metrics_page.leaking(growing, 256 * MIB, 0.005) is not None
    assert metrics_page.leaking(filling, 256 * MIB, 0.005) is None
    assert metrics_page.leaking(steady, 256 * MIB, 0.005) is None
    # So slow that nobody will see the end of it.
    assert metrics_page.leaking([60 * MIB + number * 1000 for number in range(20)], 256 * MIB, 0.005) is None
    assert metrics_page.leaking(growing[:5], 256 * MIB, 0.005) is None
    assert metrics_page.leaking([], 256 * MIB, 0.005) is None
    assert metrics_page.growth([]) == 0
