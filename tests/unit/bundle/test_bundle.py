"""What a bundle consists of, computed from a small catalogue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle import checks as bundle_checks
from ansible.module_utils.greenroom.controller.bundle import edge_routes
from ansible.module_utils.greenroom.controller.bundle import files as bundle_files
from ansible.module_utils.greenroom.controller.bundle import units as bundle_units
from ansible.module_utils.greenroom.controller.bundle.activation import (
    idle_units,
    live_file,
    live_only,
    live_only_units,
    moving_singletons,
)
from ansible.module_utils.greenroom.controller.bundle.commands import commands
from ansible.module_utils.greenroom.controller.bundle.description import (
    describe,
    description_file,
    description_of,
    facts,
    is_description,
    release_of,
    slots_on,
    stops,
    toggles_on,
    unfinished,
)
from ansible.module_utils.greenroom.controller.catalogue import smoke_checks
from ansible.module_utils.greenroom.health import grpc


def service(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "folder": f"/srv/services/{name}",
        "group": "app",
        "activation": "always",
        "image": name,
        "user": 1000,
        "database": None,
        "secrets": {},
        "metrics": None,
        "calls": [],
        "volumes": {},
        "headers": {},
        "config_path": None,
        "config_of": name,
        "has_config": False,
        "ports": {"http": {"container": 8000, "host": {"blue": 18000, "green": 28000}, "bind": "0.0.0.0"}},
        "health": {"port": "http", "path": "/readyz"},
        "routes": [],
        "redirects": [],
        "tcp_routes": [],
        "load": None,
        "toggles": {},
        "checks": [],
        **changes,
    }


PUBLIC_NAME = "shop.example.test"
# The request to the health page of the shop.
ASKED = {
    "method": "GET",
    "path": "/readyz",
    "headers": {"Host": PUBLIC_NAME, "X-Forwarded-Proto": "https"},
    "status": 200,
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
    items = bundle_files.files([catalogue["shop"]], "/etc/greenroom/slots/blue", "blue")
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


def test_a_secret_in_a_file_is_the_users_and_mounted(catalogue: dict[str, Any]) -> None:
    secret = {"kind": "given", "name": "a/key", "owner": "shop", "file": "/run/secrets/key.pem"}
    shop = {**catalogue["shop"], "user": 1234, "secrets": {"KEY_FILE": secret}}
    found = {item["dest"]: item for item in bundle_files.files([shop], "/slots/blue", "blue")}
    item = found["/slots/blue/shop/secret-files/KEY_FILE"]
    assert [item[key] for key in ("owner", "group", "mode", "secret")] == ["1234", "1234", "0400", True]
    assert "/slots/blue/shop/secret-files/KEY_FILE:/run/secrets/key.pem:ro" in bundle_files.volumes(shop, "/slots/blue")


def test_who_logs_in_to_a_database_elsewhere_gets_its_ca(catalogue: dict[str, Any]) -> None:
    login = {"URL": {"kind": "login", "name": "shop", "owner": "shop"}}
    mount = "/etc/greenroom/database-ca.crt:/etc/greenroom/database-ca.crt:ro"
    assert mount in bundle_files.volumes(catalogue["shop"] | {"secrets": login}, "/slots/blue", "/access/db.crt")
    assert mount not in bundle_files.volumes(catalogue["shop"] | {"secrets": login}, "/slots/blue")
    assert mount not in bundle_files.volumes(catalogue["shop"], "/slots/blue", "/access/db.crt")


def test_trees_follow_the_service_whose_configuration_is_mounted(catalogue: dict[str, Any]) -> None:
    trees = bundle_files.trees(catalogue.values(), "/slots/green", "green", catalogue)
    assert {tree["dest"]: tree["src"] for tree in trees} == {
        "/slots/green/shop/config": "/srv/services/shop/config",
        "/slots/green/mailer/config": "/srv/services/shop/config",
    }
    assert {(tree["owner"], tree["mode"]) for tree in trees} == {("1000", "0400")}


def test_units_leave_what_is_live_only_to_the_activation(catalogue: dict[str, Any]) -> None:
    units = {unit["name"]: unit for unit in bundle_units.units(catalogue.values(), "/slots/blue", "blue")}
    assert units["shop-blue.service"]["state"] == "started"
    assert units["mailer-blue.service"]["state"] == "unchanged"
    assert units["consumer-blue.service"]["state"] == "unchanged"
    assert "/slots/blue/shop/*" in units["shop-blue.service"]["files"]


def test_a_candidate_does_no_live_work(catalogue: dict[str, Any]) -> None:
    units = bundle_units.units(catalogue.values(), "/slots/blue", "blue", "stopped")
    states = {unit["name"].removesuffix("-blue.service"): unit["state"] for unit in units}
    assert states == {"shop": "started", "mailer": "stopped", "consumer": "stopped"}


def test_volumes_mount_configuration_where_the_service_wants_it(catalogue: dict[str, Any]) -> None:
    ca = "/etc/greenroom/ca.crt:/etc/greenroom/ca.crt:ro"
    assert bundle_files.volumes(catalogue["shop"], "/slots/blue") == [ca, "/slots/blue/shop/config:/config:ro"]
    assert bundle_files.volumes(catalogue["consumer"], "/slots/blue") == [ca]


def test_ready_checks_ask_the_slots_own_port(catalogue: dict[str, Any]) -> None:
    [check] = bundle_checks.ready_checks(catalogue.values(), "green", PUBLIC_NAME)
    assert check == {"name": "shop-green", "kind": "http", "port": 28000, **ASKED}


def test_a_service_says_how_its_health_page_is_asked(catalogue: dict[str, Any]) -> None:
    catalogue["shop"]["health"] |= {"method": "HEAD", "status": 204, "headers": {"Host": "internal", "X-Probe": "1"}}
    [check] = bundle_checks.ready_checks(catalogue.values(), "green", PUBLIC_NAME)
    asked = {"Host": "internal", "X-Forwarded-Proto": "https", "X-Probe": "1"}
    assert (check["method"], check["headers"], check["status"]) == ("HEAD", asked, 204)
    [backend] = edge_routes.edge_backends(described(catalogue, "green"), PUBLIC_NAME)
    wanted = {"kind": "http", "method": "HEAD", "path": "/readyz", "headers": asked, "status": 204, "port": 28000}
    assert backend["health"] == wanted


def test_a_service_says_how_long_it_takes(catalogue: dict[str, Any]) -> None:
    catalogue["shop"]["health"] |= {"start_period": 600}
    [check] = bundle_checks.ready_checks(catalogue.values(), "green", PUBLIC_NAME)
    assert check == {"name": "shop-green", "kind": "http", "port": 28000, **ASKED, "seconds": 600}
    # The edge gets a slot when it is ready.
    [backend] = edge_routes.edge_backends(described(catalogue, "green"), PUBLIC_NAME)
    assert backend["health"] == {"kind": "http", **ASKED, "port": 28000}


ASKING_GRPC = grpc.request(PUBLIC_NAME, "shop.v1.Orders").hex()


@pytest.mark.parametrize(
    ("health", "on_host", "at_edge"),
    [
        ({"port": "http", "tcp": True}, {"kind": "tcp", "port": 28000}, {"kind": "tcp", "port": 28000}),
        (
            {"port": "http", "grpc": True, "service": "shop.v1.Orders"},
            {"kind": "grpc", "port": 28000, "authority": PUBLIC_NAME, "service": "shop.v1.Orders"},
            {"kind": "grpc", "port": 28000, "sends": ASKING_GRPC, "expects": "00000000020801"},
        ),
        # The edge can't run it, so it connects to the port of the route.
        ({"command": ["ready"]}, {"kind": "command", "command": ["ready"]}, {"kind": "tcp", "port": 28000}),
    ],
)
def test_a_service_may_have_another_kind_of_check(
    health: dict[str, Any], on_host: dict[str, Any], at_edge: dict[str, Any], catalogue: dict[str, Any]
) -> None:
    catalogue["shop"]["health"] = health
    [check] = bundle_checks.ready_checks(catalogue.values(), "green", PUBLIC_NAME)
    assert check == {"name": "shop-green", **on_host}
    [backend] = edge_routes.edge_backends(described(catalogue, "green"), PUBLIC_NAME)
    assert backend["health"] == at_edge
    assert backend["http2"] == ("grpc" in health)
    assert edge_routes.edge_closed(described(catalogue, "green")) == []


def test_only_the_port_that_speaks_grpc_gets_http2(catalogue: dict[str, Any]) -> None:
    shop = catalogue["shop"]
    shop["ports"]["api"] = {"container": 9000, "from": ["edge"], "host": {"blue": 19000, "green": 29000}}
    shop["health"] = {"port": "api", "grpc": True}
    shop["routes"] = [route | {"port": port} for route in shop["routes"] for port in ("http", "api")]
    backends = edge_routes.edge_backends(described(catalogue, "green"), PUBLIC_NAME)
    assert {backend["name"]: (backend["http2"], backend["health"]["port"]) for backend in backends} == {
        "shop_api": (True, 29000),
        "shop_http": (False, 29000),
    }


# What a slot is


RELEASE: dict[str, Any] = {
    "name": "1.0",
    "id": "0" * 64,
    "images": {name: f"registry/{name}@sha256:0" for name in ("shop", "mailer", "consumer", "other")},
}
MEMBERS = {"app": {"app1": "198.18.10.21", "app2": "198.18.10.22"}, "edge": {"edge1": "198.18.10.11"}}
GROUPS = {group: list(hosts) for group, hosts in MEMBERS.items()} | {"ops": ["ops1"]}


def described(catalogue: dict[str, Any], slot: str = "blue") -> dict[str, Any]:
    """A slot's description as it comes back from a host."""
    content = description_file(describe(catalogue, slot, RELEASE, MEMBERS), "/slots/x")["content"]
    result: dict[str, Any] = json.loads(content)
    return result


def test_a_description_has_what_others_must_know_and_the_slots_own_ports(catalogue: dict[str, Any]) -> None:
    found = described(catalogue, "green")
    assert (found["slot"], found["release"]) == ("green", "1.0")
    assert found["images"] == {name: f"registry/{name}@sha256:0" for name in ("shop", "mailer", "consumer")}
    assert found["hosts"] == {
        "app": [{"name": "app1", "address": "198.18.10.21"}, {"name": "app2", "address": "198.18.10.22"}]
    }
    assert found["services"]["shop"]["ports"]["http"]["host"] == {"green": 28000}
    assert found["services"]["shop"]["routes"] == catalogue["shop"]["routes"]
    assert not {"folder", "checks", "environment", "config_path"} & set(found["services"]["shop"])


@pytest.mark.parametrize(
    "change",
    [
        {"routes": []},
        {"routes": [{"path": "/", "port": "http", "limit": "login", "auth": True}]},
        {"routes": [{"path": "/", "port": "http", "limit": "default", "auth": False}]},
        {"health": {"port": "http", "path": "/other"}},
        {"checks": []},
        {"calls": ["mailer.http"]},
        {"ports": {"http": {"container": 9000, "host": {"blue": 19000, "green": 29000}, "bind": "0.0.0.0"}}},
    ],
)
def test_what_the_edge_and_the_checks_go_by_is_part_of_the_bundle(
    catalogue: dict[str, Any], change: dict[str, Any]
) -> None:
    before = description_file(describe(catalogue, "blue", RELEASE, MEMBERS), "/slots/blue")
    catalogue["shop"].update(change)
    after = description_file(describe(catalogue, "blue", RELEASE, MEMBERS), "/slots/blue")
    assert (before["dest"], before["mode"]) == ("/slots/blue.fact", "0600")
    assert before["dest"] == after["dest"]
    assert before["content"] != after["content"]


def test_a_slot_has_the_toggles_of_its_environment(catalogue: dict[str, Any]) -> None:
    catalogue["shop"]["toggles"] = {
        "checkout": {"description": "A new one", "variable": "NEW_CHECKOUT", "default": False},
        "banner": {"description": "A banner", "variable": "BANNER", "default": True},
    }
    off = describe(catalogue, "blue", RELEASE, MEMBERS, {})
    on = describe(catalogue, "blue", RELEASE, MEMBERS, {"checkout": True})
    assert (off["toggles"], toggles_on(off)) == ({"banner": True, "checkout": False}, ["banner"])
    assert (on["toggles"], toggles_on(on)) == ({"banner": True, "checkout": True}, ["banner", "checkout"])
    assert description_file(off, "/x") != description_file(on, "/x")
    # Bundles of earlier versions don't have them.
    assert toggles_on({"slot": "blue"}) == []


def test_an_image_that_no_service_uses_is_no_part_of_it(catalogue: dict[str, Any]) -> None:
    other = {**RELEASE, "images": {**RELEASE["images"], "other": "registry/other@sha256:1"}}
    assert describe(catalogue, "blue", other, MEMBERS) == describe(catalogue, "blue", RELEASE, MEMBERS)


def test_a_plan_to_stop_a_slot_is_found_beside_descriptions_and_is_none() -> None:
    plan = json.dumps({"slot": "green", "at": "2026-01-31T12:00:00Z", "units": ["web-green.service"]}, indent=4) + "\n"
    blue = json.dumps({"slot": "blue", "services": {}}, indent=1) + "\n"
    found = stops({"one": blue + plan, "two": blue, "three": "", "four": plan[:9]})
    assert found == {"one": {"slot": "green", "at": "2026-01-31T12:00:00Z", "says": ""}}
    assert [fact for fact in facts(blue + plan) if is_description(fact)] == [{"slot": "blue", "services": {}}]


def test_what_came_of_a_planned_stop_is_that_of_the_same_plan() -> None:
    at = "2026-01-31T13:00:00Z"
    plan = json.dumps({"slot": "green", "at": at, "epoch": 7, "units": []}, indent=4) + "\n"

    def result(**own: str) -> str:
        return json.dumps({"slot": "green", "at": at, "says": "stopped", **own}) + "\n"

    texts = {
        "one": plan + result(),
        "two": plan + result(at="2026-01-30T13:00:00Z"),
        "three": plan + result(slot="blue"),
        # A plan that was canceled; a damaged one; a damaged result.
        "four": result(),
        "five": '{"slot": "green", "at": 1\n' + result(),
        "six": plan + result()[:20],
    }
    planned = {"slot": "green", "at": at}
    assert stops(texts) == {
        "one": {**planned, "says": "stopped"},
        **{host: {**planned, "says": ""} for host in ("two", "three", "six")},
    }


def test_edge_hosts_record_which_release_a_slot_has(catalogue: dict[str, Any]) -> None:
    assert release_of(described(catalogue)) == {"slot": "blue", "release": RELEASE["name"], "id": RELEASE["id"]}
    assert release_of({"slot": "blue", "release": "1.0"})["id"] == ""


def test_a_slot_without_description_is_what_the_catalogue_says(catalogue: dict[str, Any]) -> None:
    blue = described(catalogue)
    assert description_of({"blue": blue}, "blue", {}) == blue
    stand_in = description_of({"blue": blue}, "green", catalogue)
    assert live_only(stand_in, "app1", GROUPS) == ["consumer", "mailer"]


@pytest.mark.parametrize(("host", "names"), [("app1", ["consumer", "mailer"]), ("app2", ["consumer"]), ("edge1", [])])
def test_a_singleton_runs_on_the_first_host_only(catalogue: dict[str, Any], host: str, names: list[str]) -> None:
    assert live_only(described(catalogue), host, GROUPS) == names


def test_a_singleton_runs_on_a_host_that_the_slot_has(catalogue: dict[str, Any]) -> None:
    grown = {"app": ["app0", "app1", "app2"]}
    assert [host for host in grown["app"] if "mailer" in live_only(described(catalogue), host, grown)] == ["app1"]


def test_a_host_that_is_newer_than_the_slot_runs_none_of_its_background_services(catalogue: dict[str, Any]) -> None:
    grown = {"app": ["app1", "app2", "app3"]}
    found = {host: live_only(described(catalogue), host, grown) for host in grown["app"]}
    assert found == {"app1": ["consumer", "mailer"], "app2": ["consumer"], "app3": []}


def test_hosts_say_which_slots_they_have(catalogue: dict[str, Any]) -> None:
    blue = json.dumps(described(catalogue)) + "\n"
    green = json.dumps({**described(catalogue), "slot": "green"}) + "\n"
    plan = '{"slot": "green", "at": "2026-01-30T12:00:00Z", "units": []}\n'
    assert slots_on({"app1": green + plan + blue, "app2": blue + plan, "app3": ""}) == {
        "app1": ["blue", "green"],
        "app2": ["blue"],
        "app3": [],
    }


def test_the_other_slots_workers_stop_before_the_live_ones_start(catalogue: dict[str, Any]) -> None:
    units = live_only_units(described(catalogue, "green"), described(catalogue), "app2", GROUPS)
    assert [(unit["name"], unit["state"]) for unit in units] == [
        ("consumer-blue.service", "stopped"),
        ("mailer-blue.service", "stopped"),
        ("consumer-green.service", "started"),
    ]


def test_a_worker_that_came_or_went_with_a_release_is_looked_for_in_its_own_slot_only(
    catalogue: dict[str, Any],
) -> None:
    newer = {**catalogue, "indexer": service("indexer", image="shop", activation="live_only", ports={}, health=None)}
    del newer["consumer"]
    old, new = described(catalogue, "blue"), described(newer, "green")

    def units(live: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str]]:
        found = live_only_units(live, other, "app2", GROUPS)
        return [(unit["name"].removesuffix(".service"), unit["state"]) for unit in found]

    assert units(new, old) == [("consumer-blue", "stopped"), ("mailer-blue", "stopped"), ("indexer-green", "started")]
    assert units(old, new) == [("indexer-green", "stopped"), ("mailer-green", "stopped"), ("consumer-blue", "started")]


def test_a_singleton_never_runs_on_two_hosts(catalogue: dict[str, Any]) -> None:
    # app0 joined before green was deployed, so the singleton moves from app1 to app0.
    groups = {"app": ["app0", "app1", "app2"]}
    blue = described(catalogue)
    grown = {"app": {**MEMBERS["app"], "app0": "192.0.2.10"}}
    green = describe(catalogue, "green", RELEASE, grown)
    assert moving_singletons(green, blue, groups) == {"mailer": "app1"}
    assert moving_singletons(blue, blue, groups) == {}
    # All hosts stop it first. While app1 is silent, it may still run there, so it does not start.
    assert [(unit["name"], unit["state"]) for unit in idle_units(blue)] == [
        ("consumer-blue.service", "stopped"),
        ("mailer-blue.service", "stopped"),
    ]

    def on_app0(*silent: str) -> list[str]:
        units = live_only_units(green, blue, "app0", groups, silent)
        return [unit["name"] for unit in units if unit["state"] == "started"]

    assert on_app0() == ["consumer-green.service", "mailer-green.service"]
    assert on_app0("app2") == ["consumer-green.service", "mailer-green.service"]
    assert on_app0("app1") == ["consumer-green.service"]


def test_each_slot_says_what_runs_on_the_host_while_it_is_live(catalogue: dict[str, Any]) -> None:
    assert live_file(described(catalogue), "/slots/blue", "app1", GROUPS) == {
        "dest": "/slots/blue.live",
        "content": "consumer-blue.service\nmailer-blue.service\n",
    }
    assert live_file(described(catalogue), "/slots/blue", "edge1", GROUPS)["content"] == ""


def test_a_deploy_that_died_leaves_an_unfinished_slot(catalogue: dict[str, Any]) -> None:
    blue, green = described(catalogue), described(catalogue, "green")
    newer = {**green, "release": "1.1"}
    mark = {"unfinished": "green", "release": "1.1", "run": "x"}

    def texts(*facts: dict[str, Any]) -> str:
        return "".join(json.dumps(fact) + "\n" for fact in facts)

    assert unfinished({"app1": texts(blue, green), "app2": texts(blue, green), "app3": ""}) == {}
    # Killed before the second host was written, and killed later.
    assert unfinished({"app1": texts(blue, newer), "app2": texts(blue, green)}) == {
        "green": "its bundle differs between hosts (release: app1 has 1.1, app2 has 1.0). "
        "playbooks/deploy.yml -e release_name=... completes it, with the other options of that deploy"
    }
    completes = "playbooks/deploy.yml -e release_name=1.1 completes it, with the other options of that deploy"
    assert unfinished({"app1": texts(blue, newer), "app2": texts(blue, newer, mark)}) == {
        "green": f"the deploy of release 1.1 did not finish on app2. {completes}"
    }
    both = texts(blue, newer, mark)
    assert unfinished({"app1": both, "app2": both})["green"] == (
        f"the deploy of release 1.1 did not finish on app1, app2. {completes}"
    )
    # Another deploy died, too. The later one counts.
    earlier = texts(blue, newer, {**mark, "release": "1.2", "run": "w"})
    assert unfinished({"app1": both, "app2": earlier})["green"] == (
        "the deploy of release 1.1 did not finish on app1; the deploy of release 1.2 did not finish on app2. "
        + completes
    )


def test_what_a_slot_has_on_a_host_and_what_of_it_runs_without_being_live(catalogue: dict[str, Any]) -> None:
    found = described({**catalogue, "gate": service("gate", image="shop", group="edge")}, "green")
    assert bundle_units.slot_units(found, "app2", GROUPS) == [
        "consumer-green.service",
        "mailer-green.service",
        "shop-green.service",
    ]
    started = [{"name": "shop-green.service", "state": "started", "on_change": "none", "files": []}]
    assert bundle_units.slot_started(found, "app2", GROUPS) == started
    assert bundle_units.slot_units(found, "ops1", GROUPS) == []


def test_a_host_that_came_after_a_slot_has_nothing_of_it(catalogue: dict[str, Any]) -> None:
    grown = {"app": ["app0", "app1", "app2"]}
    assert bundle_units.slot_units(described(catalogue), "app0", grown) == []
    assert len(bundle_units.slot_units(description_of({}, "blue", catalogue), "app0", grown)) == 3


def test_edge_backends_and_routes_come_from_the_routes(catalogue: dict[str, Any]) -> None:
    found = described(catalogue, "green")
    backends = edge_routes.edge_backends(found, PUBLIC_NAME)
    # Browsers get these.
    assert len({host.pop("id") for host in backends[0]["hosts"]}) == 2
    assert backends == [
        {
            "name": "shop_http",
            "mode": "http",
            "silent": 3600,
            "sticky": False,
            "checked_by": "shop_http",
            "port": 28000,
            "http2": False,
            "check_http2": False,
            "health": {"kind": "http", **ASKED, "port": 28000},
            "headers": {},
            "without": [],
            "hosts": [{"name": "app1", "address": "198.18.10.21"}, {"name": "app2", "address": "198.18.10.22"}],
            "moves": [],
        }
    ]
    [route] = edge_routes.edge_routes(found)
    assert route == {"path": "/", "backend": "shop_http", "limit": "default", "auth": True, "seconds": None}


@pytest.mark.parametrize(("timeout", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), (None, None)])
def test_a_route_has_its_timeout_in_seconds(
    catalogue: dict[str, Any], timeout: str | None, seconds: int | None
) -> None:
    catalogue["shop"]["routes"][0]["timeout"] = timeout
    assert edge_routes.edge_routes(described(catalogue))[0]["seconds"] == seconds


@pytest.mark.parametrize(
    ("services", "edges", "per_second", "slowest", "seconds"),
    [
        (5, 2, 1000, 10, 1),
        (25, 20, 1000, 10, 1),
        (26, 20, 1000, 10, 2),
        (200, 20, 1000, 10, 8),
        (200, 20, 100, 10, 10),
        (200, 20, 100, 100, 80),
        (0, 20, 1000, 10, 1),
        (200, 20, 1000, 0, 1),
    ],
)
def test_an_app_host_gets_no_more_checks_than_it_may(
    services: int, edges: int, per_second: int, slowest: int, seconds: int
) -> None:
    backends = [backend(f"s{number}", f"s{number}", hosts=50) for number in range(services)]
    assert edge_routes.check_seconds(backends, edges, per_second, slowest) == seconds


def test_backends_that_share_a_check_count_once() -> None:
    each = [backend(f"s{number}_{port}", f"s{number}_a") for number in range(25) for port in ("a", "b")]
    assert edge_routes.check_seconds(each, 20, 1000, 10) == 1
    assert edge_routes.check_seconds([one | {"checked_by": one["name"]} for one in each], 20, 1000, 10) == 2


def backend(name: str, checked_by: str, hosts: int = 2) -> dict[str, Any]:
    return {
        "name": name,
        "checked_by": checked_by,
        "hosts": [{"address": f"198.18.10.{each}"} for each in range(hosts)],
    }


@pytest.mark.parametrize(
    ("health", "checked"),
    [
        ({"port": "http", "path": "/readyz"}, {"shop_admin"}),
        ({"command": ["ready"]}, {"shop_admin", "shop_http"}),
        ({"port": "http", "grpc": ""}, {"shop_admin", "shop_http"}),
    ],
)
def test_ports_of_a_service_share_a_request_to_one_port(health: dict[str, Any], checked: set[str]) -> None:
    routes = [{"path": f"/{port}", "port": port, "limit": "default", "auth": True} for port in ("http", "admin")]
    shop = service("shop", routes=routes, health=health)
    shop["ports"]["admin"] = {**shop["ports"]["http"], "host": {"blue": 18001, "green": 28001}}
    found = edge_routes.edge_backends(described({"shop": shop}, "green"), PUBLIC_NAME)
    assert {each["checked_by"] for each in found} == checked


def test_a_service_sets_headers_at_the_edge_and_leaves_some_out(catalogue: dict[str, Any]) -> None:
    headers = {"X-Frame-Options": "", "Referrer-Policy": "no-referrer", "Permissions-Policy": ""}
    catalogue["shop"] |= {"headers": headers}
    [backend] = edge_routes.edge_backends(described(catalogue, "green"), PUBLIC_NAME)
    assert backend["headers"] == {"Referrer-Policy": "no-referrer"}
    assert backend["without"] == ["Permissions-Policy", "X-Frame-Options"]
    earlier = described(catalogue, "green")
    del earlier["services"]["shop"]["headers"]
    [backend] = edge_routes.edge_backends(earlier, PUBLIC_NAME)
    assert (backend["headers"], backend["without"]) == ({}, [])


def test_pages_of_a_routed_port_and_excluded_paths_are_closed_at_the_edge() -> None:
    def routed(name: str, *routes: dict[str, Any], **keys: Any) -> dict[str, Any]:
        defaults = {"port": "http", "limit": "default", "auth": True, "exclude": []}
        return service(name, routes=[defaults | route for route in routes], **keys)

    health, metrics = {"port": "http", "path": "/readyz?full=1"}, {"port": "http", "path": "/metrics"}
    shop = routed("shop", {"path": "/", "exclude": ["/debug/"]}, health=health, metrics=metrics)

    def closed(**services: dict[str, Any]) -> list[str]:
        found: list[str] = edge_routes.edge_closed({"services": services})
        return found

    assert closed(shop=shop) == ["/debug/", "/metrics/", "/readyz/"]
    # Another port is not public, another service's route is not this page, and what has a route is meant to be public.
    assert closed(shop=shop | {"metrics": {"port": "metrics", "path": "/metrics"}}) == ["/debug/", "/readyz/"]
    assert closed(shop=shop, stock=routed("stock", {"path": "/metrics"})) == ["/debug/", "/readyz/"]
    assert closed(shop=routed("shop", {"path": "/"}, health={"port": "http", "path": "/"})) == []
    assert closed(shop=routed("shop", {"path": "/shop/"}, health=health)) == []
    old = {name: value for name, value in shop["routes"][0].items() if name != "exclude"}
    assert closed(shop=shop | {"routes": [old]}) == ["/metrics/", "/readyz/"]


def test_smoke_checks_run_on_the_first_host_of_the_group_they_name(catalogue: dict[str, Any]) -> None:
    groups = {"app": ["app1", "app2"], "ops": ["ops1"]}
    assert bundle_checks.smoke_checks(smoke_checks.checks(catalogue), "ops1", groups) == [{"name": "page", "url": "x"}]
    assert bundle_checks.smoke_checks(smoke_checks.checks(catalogue), "app1", groups) == [{"name": "clean", "url": "y"}]
    assert bundle_checks.smoke_checks(smoke_checks.checks(catalogue), "app2", groups) == []


def test_a_check_with_each_is_there_once_for_each(catalogue: dict[str, Any]) -> None:
    check = {
        "name": "By ${label}",
        "each": [{"name": "a", "label": "An A", "port": 1}, {"name": "b", "label": "A B", "port": 2}],
        "mutates": True,
        "steps": [{"url": "/${name}:${port}", "form": {"${name}": "${run}"}, "expect": {"status": [200, 303]}}],
    }
    catalogue["shop"]["checks"] = [check, {"name": "none", "url": "x", "each": []}]
    assert bundle_checks.smoke_checks(smoke_checks.checks(catalogue), "ops1", {"ops": ["ops1"]}) == [
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


def test_all_services_migrate_before_any_prepares() -> None:
    def with_commands(name: str, migrate: list[str] | None, prepare: list[str] | None) -> dict[str, Any]:
        return service(name, migrate=migrate, prepare=prepare)

    services = {
        "shop": with_commands("shop", ["migrate"], ["warm"]),
        "mailer": with_commands("mailer", None, ["topics"]),
        "stock": with_commands("stock", ["migrate"], None),
    }
    assert commands(services) == [
        ("migrate", "shop"),
        ("migrate", "stock"),
        ("prepare", "shop"),
        ("prepare", "mailer"),
    ]
    assert commands({"docs": with_commands("docs", None, None)}) == []


def test_services_that_are_not_ready_are_named_with_their_last_words_without_secrets() -> None:
    reasons = ("ended with newer-key", "not ready after 90 s: ready ended with exit code 1")
    results = [
        {"unit": "web-blue.service", "ready": True, "reason": "", "output": "", "journal": []},
        {
            "unit": "shop-blue.service",
            "ready": False,
            "reason": reasons[0],
            "output": "",
            "journal": ["bind: permission denied", "key newer-key refused"],
        },
        {"unit": "mail-blue.service", "ready": False, "reason": reasons[1], "output": "no older-key", "journal": []},
    ]
    secrets = {"shop/ring/keys": {"values": "newer-key,older-key"}, "shop/value/a": {"value": "x"}}
    assert bundle_checks.not_ready(results, secrets).splitlines() == [
        "shop-blue.service: ended with ***",
        "mail-blue.service: not ready after 90 s: ready ended with exit code 1: no ***",
        "The last lines of shop-blue.service:",
        "  bind: permission denied",
        "  key *** refused",
        "The last lines of mail-blue.service:",
        "  (none)",
    ]
    # A run that doesn't know the secrets shows nothing that may have one.
    assert bundle_checks.not_ready(results[2:], {}) == (
        f"mail-blue.service: {reasons[1]}; journalctl -u mail-blue.service on this host says more"
    )
    assert bundle_checks.not_ready(results[:1], secrets) == ""
