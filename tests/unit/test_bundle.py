"""What a bundle consists of, computed from a small catalogue."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom import bundle


def service(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "folder": f"/srv/services/{name}",
        "group": "app",
        "activation": "always",
        "user": 1000,
        "config_path": None,
        "config_of": name,
        "has_config": False,
        "ports": {"http": {"container": 8000, "host": {"blue": 18000, "green": 28000}, "bind": "0.0.0.0"}},
        "health": {"port": "http", "path": "/readyz"},
        "routes": [],
        "checks": [],
        **changes,
    }


@pytest.fixture
def catalogue() -> dict[str, dict[str, Any]]:
    return {
        "shop": service(
            "shop",
            config_path="/config",
            has_config=True,
            routes=[{"path": "/", "port": "http", "limit": "default", "auth": True}],
            checks=[{"name": "page", "url": "x"}, {"name": "clean", "url": "y", "on": "app"}],
        ),
        "mailer": service("mailer", activation="singleton", ports={}, health=None, config_of="shop", config_path="/c"),
        "consumer": service("consumer", activation="live_only", ports={}, health=None),
    }


def test_files_keep_secrets_apart_and_closed(catalogue: dict[str, Any]) -> None:
    items = bundle.files([catalogue["shop"]], "/etc/greenroom/slots/blue", "blue")
    by_dest = {item["dest"]: item for item in items}
    assert set(by_dest) == {
        "/etc/containers/systemd/shop-blue.container",
        "/etc/greenroom/slots/blue/shop/environment",
        "/etc/greenroom/slots/blue/shop/secrets",
    }
    secrets = by_dest["/etc/greenroom/slots/blue/shop/secrets"]
    assert secrets["secret"] is True
    assert secrets["mode"] == "0600"
    assert all(item["vars"]["slot"] == "blue" for item in items)


def test_trees_follow_the_service_whose_configuration_is_mounted(catalogue: dict[str, Any]) -> None:
    trees = bundle.trees(catalogue.values(), "/slots/green", "green", catalogue)
    assert {tree["dest"]: tree["src"] for tree in trees} == {
        "/slots/green/shop/config": "/srv/services/shop/config",
        "/slots/green/mailer/config": "/srv/services/shop/config",
    }
    assert {(tree["owner"], tree["mode"]) for tree in trees} == {("1000", "0400")}


def test_units_leave_what_is_live_only_to_the_activation(catalogue: dict[str, Any]) -> None:
    units = {unit["name"]: unit for unit in bundle.units(catalogue.values(), "/slots/blue", "blue")}
    assert units["shop-blue.service"]["state"] == "started"
    assert units["mailer-blue.service"]["state"] == "unchanged"
    assert units["consumer-blue.service"]["state"] == "unchanged"
    assert "/slots/blue/shop/*" in units["shop-blue.service"]["files"]


def test_volumes_mount_configuration_where_the_service_wants_it(catalogue: dict[str, Any]) -> None:
    ca = "/etc/greenroom/ca.crt:/etc/greenroom/ca.crt:ro"
    assert bundle.volumes(catalogue["shop"], "/slots/blue") == [ca, "/slots/blue/shop/config:/config:ro"]
    assert bundle.volumes(catalogue["consumer"], "/slots/blue") == [ca]


def test_ready_checks_ask_the_slots_own_port(catalogue: dict[str, Any]) -> None:
    checks = bundle.ready_checks(catalogue.values(), "green")
    assert [check["url"] for check in checks] == ["http://127.0.0.1:28000/readyz"]


@pytest.mark.parametrize(("host", "names"), [("app1", ["consumer", "mailer"]), ("app2", ["consumer"]), ("edge1", [])])
def test_a_singleton_runs_on_the_first_host_only(catalogue: dict[str, Any], host: str, names: list[str]) -> None:
    groups = {"app": ["app1", "app2"], "edge": ["edge1"]}
    assert bundle.live_only(catalogue, host, groups) == names


def test_the_other_slots_workers_stop_before_the_live_ones_start() -> None:
    units = bundle.live_only_units(["mailer"], "green", "blue")
    assert [(unit["name"], unit["state"]) for unit in units] == [
        ("mailer-blue.service", "stopped"),
        ("mailer-green.service", "started"),
        ("greenroom-live.target", "started"),
    ]


def test_edge_backends_and_routes_come_from_the_routes(catalogue: dict[str, Any]) -> None:
    assert bundle.edge_backends(catalogue) == [
        {
            "name": "shop_http",
            "group": "app",
            "host": {"blue": 18000, "green": 28000},
            "health": {"path": "/readyz", "host": {"blue": 18000, "green": 28000}},
        }
    ]
    assert bundle.edge_routes(catalogue) == [{"path": "/", "backend": "shop_http", "limit": "default", "auth": True}]


def test_smoke_checks_run_on_the_first_host_of_the_group_they_name(catalogue: dict[str, Any]) -> None:
    groups = {"app": ["app1", "app2"], "ops": ["ops1"]}
    assert bundle.smoke_checks(catalogue, "ops1", groups) == [{"name": "page", "url": "x"}]
    assert bundle.smoke_checks(catalogue, "app1", groups) == [{"name": "clean", "url": "y"}]
    assert bundle.smoke_checks(catalogue, "app2", groups) == []


def test_a_check_with_each_is_there_once_for_each(catalogue: dict[str, Any]) -> None:
    check = {
        "name": "By ${label}",
        "each": [{"name": "a", "label": "An A", "port": 1}, {"name": "b", "label": "A B", "port": 2}],
        "mutates": True,
        "steps": [{"url": "/${name}:${port}", "form": {"${name}": "${run}"}, "expect": {"status": [200, 303]}}],
    }
    catalogue["shop"]["checks"] = [check, {"name": "none", "url": "x", "each": []}]
    assert bundle.smoke_checks(catalogue, "ops1", {"ops": ["ops1"]}) == [
        {
            "name": "By An A",
            "mutates": True,
            "steps": [{"url": "/a:1", "form": {"a": "${run}"}, "expect": {"status": [200, 303]}}],
        },
        {
            "name": "By A B",
            "mutates": True,
            "steps": [{"url": "/b:2", "form": {"b": "${run}"}, "expect": {"status": [200, 303]}}],
        },
    ]
