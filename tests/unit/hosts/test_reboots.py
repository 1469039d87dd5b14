# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Reboots: in an order that disturbs visitors least, and never the only host of its kind without being asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.greenroom.controller.hosts import reboots

ROOT = Path(__file__).resolve().parents[3]
GROUPS = {
    "all": ["ops1", "data1", "app1", "app2", "edge1", "edge2"],
    **{"edge": ["edge1", "edge2"], "app": ["app1", "app2"], "data": ["data1"], "ops": ["ops1"]},
}


def plan(wanted: Any, **reasons: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = reboots.plan(wanted, reasons, GROUPS, ["edge1"], "ops1")
    return found


def test_the_shared_address_moves_once_and_the_host_with_the_lock_is_the_last() -> None:
    found = plan("all")
    assert found == {
        "hosts": ["edge2", "edge1", "app1", "app2", "data1", "ops1"],
        "unknown": [],
        "alone": ["data1"],
    }


def test_only_hosts_that_need_it_are_rebooted() -> None:
    found = plan("needed", app2=["a kernel"], ops1=[])
    assert (found["hosts"], found["alone"]) == (["app2"], [])
    assert reboots.lines(["app2"], {"app2": ["a kernel", "x"]}) == ["app2: a kernel; x"]


@pytest.mark.parametrize("wanted", ["app1, edge1", ["app1", "edge1"]])
def test_hosts_may_be_named(wanted: Any) -> None:
    assert plan(wanted)["hosts"] == ["edge1", "app1"]
    assert reboots.lines(["app1"], {}) == ["app1: no need, but you asked for it"]


def test_a_name_that_is_no_host_is_refused() -> None:
    assert plan("apq1")["unknown"] == ['reboot_hosts: there is no host "apq1"; did you mean "app1"?']


def test_one_host_for_everything_is_alone() -> None:
    groups = {group: ["web1"] for group in ("all", "edge", "app")}
    assert reboots.plan("all", {}, groups, [], "web1") == {"hosts": ["web1"], "unknown": [], "alone": ["web1"]}


def test_the_wait_for_open_requests_ends_when_there_are_none() -> None:
    """As `greenroom-edge status` counts them: {slot: {current: number, none if a worker gives no answer}}."""
    tasks = yaml.safe_load((ROOT / "roles/reboot/tasks/drain.yml").read_text())
    until = next(task["until"] for task in tasks if task.get("register") == "reboot_open")
    environment = jinja2.Environment()
    environment.filters["from_json"] = json.loads
    ended = environment.compile_expression(until)
    for blue, wanted in ((0, True), (None, True), (2, False)):
        said = json.dumps({"connections": {"blue": {"current": blue}, "green": {"current": 0}}})
        assert ended(reboot_open={"stdout": said}) is wanted
    # A program that is broken does not keep its host from a reboot.
    assert ended(reboot_open={"stdout": ""}) is True


def test_an_edge_host_that_did_not_do_it_is_named() -> None:
    results: list[dict[str, Any]] = [
        {"item": "edge1", "healthy": []},
        {"item": "edge2", "failed": True, "msg": "no other server than app1 is healthy in shop_http_blue"},
        {"item": "edge3", "unreachable": True, "msg": "Failed to connect"},
        {"item": "edge4", "skipped": True},
    ]
    assert reboots.failures(results) == [
        "edge2: no other server than app1 is healthy in shop_http_blue",
        "edge3: it is unreachable",
    ]
