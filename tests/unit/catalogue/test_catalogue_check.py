"""Problems between services: each is one line with its key and a suggestion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import load, normalise
from ansible.module_utils.greenroom.controller.catalogue.service_checks import problems

ROOT = Path(__file__).resolve().parents[3]
GROUPS = {"all": ["e", "a"], "edge": ["e"], "app": ["a"], "ops": ["e"], "data": ["d"]}
HTTP = {"http": {"container": 8000, "from": ["edge"]}}
HEALTH = {"port": "http", "path": "/readyz"}


def service(name: str, folder: str = "/srv", **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise(name, {"image": name, **keys}, f"{folder}/{name}")
    return found


def lines(*services: dict[str, Any], **options: Any) -> list[str]:
    found = problems({item["name"]: item for item in services}, GROUPS, **options)
    return [f"{name}: {line}" for name, line in found]


def test_the_catalog_of_the_project_is_valid() -> None:
    catalogue = load(str(ROOT / "services"), lambda path: yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    assert problems(catalogue, GROUPS, {"default", "login"}) == []


def test_a_simple_service_is_valid() -> None:
    assert lines(service("shop", ports=HTTP, health=HEALTH, routes=[{"path": "/"}]), limits=["default"]) == []


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"group": "ap"}, 'group: unknown group "ap"; did you mean "app"?'),
        (
            {"ports": {"http": {"container": 8000, "from": ["egde"]}}, "health": HEALTH},
            'ports.http.from: unknown group "egde"; did you mean "edge"?',
        ),
        (
            {"ports": {"http": {"container": 45536, "from": []}}, "health": HEALTH},
            "ports.http: port 65536 in green is above 65535; set a lower `host`",
        ),
        (
            {"queues": {"jobs": {}}, "secrets": {"URL": {"broker": "shop"}}},
            "queues: the idle slot would take live jobs; set `activation: live_only`",
        ),
        (
            {"queues": {"jobs": {}}, "activation": "live_only"},
            "secrets: no broker login; add one, such as `BROKER_URL: {broker: shop}`",
        ),
        (
            {"publishes": ["jobs"], "secrets": {"URL": {"broker": "shop"}}},
            'publishes[0]: no service has a queue "jobs"',
        ),
        (
            {"secrets": {"URL": {"broker": "shop"}}},
            "secrets.URL.broker: not needed; the service has neither `queues` nor `publishes`",
        ),
        ({"heads": "SELECT 1", "seed": ["seed"]}, "heads: asks for the version of a schema, but `database` is missing"),
        ({"ports": HTTP}, "health: missing; a service with ports needs a check that shows whether it is ready"),
        (
            {"ports": HTTP, "health": {"port": "htp", "path": "/"}},
            'health.port: unknown port "htp"; did you mean "http"?',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "metrics": {"port": "x", "path": "/"}},
            'metrics.port: unknown port "x"; known: http',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "identities": "htp"},
            'identities: unknown port "htp"; did you mean "http"?',
        ),
        (
            {"ports": HTTP, "health": {"command": ["ready"]}, "identities": "http"},
            "health: a service with `identities` needs a check of one of its ports",
        ),
        (
            {"ports": HTTP, "health": HEALTH, "canary": {"metric": {"name": "orders"}}},
            "canary.metric: the page is unknown; set `port` and `path`, or give the service `metrics`",
        ),
        (
            {"ports": HTTP, "health": HEALTH, "canary": {"metric": {"name": "orders", "port": "htp", "path": "/"}}},
            'canary.metric.port: unknown port "htp"; did you mean "http"?',
        ),
        (
            {
                "ports": HTTP | {"own": {"container": 9, "from": []}},
                "health": HEALTH,
                "canary": {"metric": {"name": "orders", "port": "own", "path": "/"}},
            },
            'canary.metric.port: "own" can\'t be reached from other hosts; add `ops` to its `from`',
        ),
        (
            {
                "ports": HTTP,
                "health": HEALTH,
                "activation": "live_only",
                "canary": {"metric": {"name": "orders", "port": "http", "path": "/"}},
            },
            "canary.metric: a live_only service runs for the live slot only; nothing can be compared",
        ),
        ({"routes": [{"path": "/"}]}, "routes[0]: no target; none of the service's ports has `edge` in `from`"),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/", "port": "htpp"}]},
            'routes[0].port: unknown port "htpp"; did you mean "http"?',
        ),
        (
            {
                "ports": {"http": {"container": 8000, "from": ["ops"]}},
                "health": HEALTH,
                "routes": [{"path": "/", "port": "http"}],
            },
            'routes[0].port: the edge hosts can\'t reach "http"; add `edge` to its `from`',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/", "limit": "logn"}]},
            'routes[0].limit: unknown class "logn"; did you mean "login"?',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/", "timeout": "25h"}]},
            "routes[0].timeout: 25h is too long; the maximum is 24h",
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/.greenroom/enter"}]},
            'routes[0].path: "/.greenroom/" belongs to the edge itself; choose another path',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/a", "exclude": ["/a/b", "/a/"]}]},
            'routes[0].exclude: "/a/" is not below "/a/"',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/a", "exclude": ["/ab"]}]},
            'routes[0].exclude: "/ab/" is not below "/a/"',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/", "exclude": ["/b"]}, {"path": "/b"}]},
            'routes[0].exclude: "/b/" is the path of shop routes[1]; remove one of them',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "routes": [{"path": "/"}], "canary": {"probes": ["/", "/readyz?x"]}},
            'canary.probes[1]: "/readyz?x" is closed to visitors; probe another path, or route it',
        ),
        (
            {"ports": HTTP, "health": HEALTH, "activation": "live_only", "routes": [{"path": "/"}]},
            "routes: a live_only service does not run in the idle slot, so it can't have routes; with "
            "`activation: singleton`, its requests reach the one instance, and fail for seconds in a cutover",
        ),
        (
            {"toggles": {"a": {"variable": "A"}}, "environment": {"A": "x"}},
            "toggles.a.variable: A is also set in `environment`; remove one of them",
        ),
        (
            {"toggles": {"a": {"variable": "A"}}, "secrets": {"A": {"value": "a"}}},
            "toggles.a.variable: A is also set in `secrets`; remove one of them",
        ),
        (
            {"toggles": {"a": {"variable": "A"}, "b": {"variable": "A"}}},
            "toggles.b.variable: A is the variable of a; choose another one",
        ),
        ({"load": {}}, "load: requests can't reach the service; add `routes`"),
        (
            {
                "ports": HTTP,
                "health": HEALTH,
                "routes": [{"path": "/"}],
                "toggles": {"load_test": {"variable": "A"}},
                "load": {"toggle": "load_tset"},
            },
            'load.toggle: unknown toggle "load_tset"; did you mean "load_test"?',
        ),
        ({"config_path": "/etc/x"}, "config_path: there is no folder shop/config to mount"),
        ({"config_of": "kratso"}, 'config_of: unknown service "kratso"; did you mean "kratos"?'),
        ({"config_of": "kratos"}, "config_path: missing; kratos/config would not be mounted"),
        (
            {"secrets": {"A": {"ring": "x", "of": "kratso"}}},
            'secrets.A.of: unknown service "kratso"; did you mean "kratos"?',
        ),
        (
            {"secrets": {"A": {"login": "kratos"}}},
            'secrets.A.login: shop declares no database "kratos"; add `of: kratos`',
        ),
        (
            {"secrets": {"A": {"login": "krats", "of": "kratos"}}},
            'secrets.A.login: kratos declares no database "krats"; did you mean "kratos"?',
        ),
        (
            {"secrets": {"A": {"ring": "cokie", "of": "kratos"}}},
            'secrets.A.ring: kratos has no ring "cokie"; did you mean "cookie"?',
        ),
        (
            {"secrets": {"A": {"value": "x"}}, "environment": {"A": "y"}},
            "secrets.A: also set in `environment`; remove one of them",
        ),
    ],
)
def test_a_problem_is_reported_with_its_key(keys: dict[str, Any], line: str) -> None:
    kratos = service("kratos", database="kratos", secrets={"C": {"ring": "cookie"}})
    assert lines(kratos, service("shop", **keys), limits=["default", "login"]) == [f"shop: {line}"]


def test_a_secret_of_another_service_is_valid_if_that_service_has_it() -> None:
    kratos = service("kratos", database="kratos", secrets={"C": {"ring": "cookie"}})
    secrets = {"C": {"ring": "cookie", "of": "kratos"}, "DSN": {"login": "kratos", "of": "kratos"}}
    assert lines(kratos, service("courier", secrets=secrets)) == []


def test_references_to_an_invalid_service_are_not_reported() -> None:
    secrets = {"C": {"ring": "cookie", "of": "kratos"}}
    assert lines(service("courier", secrets=secrets, config_of="kratos"), wrong={"kratos"}) == []
    assert len(lines(service("courier", secrets=secrets, config_of="kratos"))) == 2


def test_a_schema_has_a_version_whether_its_data_is_seeded_or_not() -> None:
    assert lines(service("shop", heads="SELECT 1", database="shop")) == []
    assert lines(service("shop", heads="SELECT 1", database="shop", seed=["seed"])) == []


def test_unmounted_configuration_is_reported(tmp_path: Path) -> None:
    (tmp_path / "shop" / "config").mkdir(parents=True)
    shop = service("shop", folder=str(tmp_path))
    assert lines(shop) == ["shop: config_path: missing; shop/config would not be mounted"]
    assert lines(service("shop", folder=str(tmp_path), config_path="/etc/shop")) == []


def test_a_port_conflict_is_reported() -> None:
    keys: dict[str, Any] = {"ports": HTTP, "health": HEALTH}
    assert lines(service("one", **keys), service("two", **keys)) == [
        "two: ports.http: port 18000 in blue is taken by one.http; set another `host`",
        "two: ports.http: port 28000 in green is taken by one.http; set another `host`",
    ]
    apart = {"app": ["app1", "app2"], "first": ["app1"], "second": ["app2"], "edge": ["edge1"]}
    catalogue = {"one": service("one", **keys, group="first"), "two": service("two", **keys, group="second")}
    assert problems(catalogue, apart) == []


def test_blue_and_green_ports_can_conflict() -> None:
    other = {"http": {"container": 8000, "host": 28000, "from": ["edge"]}}
    found = lines(service("one", ports=HTTP, health=HEALTH), service("two", ports=other, health=HEALTH))
    assert found == ["two: ports.http: port 28000 in blue is taken by one.http; set another `host`"]


def test_a_service_must_run_on_hosts_with_slots() -> None:
    groups = {"app": ["app1", "app2"], "edge": ["edge1"], "ops": ["ops1", "app1"], "part": ["app2"]}
    keys: dict[str, Any] = {"ports": HTTP, "health": HEALTH}
    assert problems({"one": service("one", **keys), "two": service("two", group="part")}, groups) == []
    line = 'group: ops1 of "ops" is not in "app"; only its hosts have slots'
    assert problems({"one": service("one", **keys, group="ops")}, groups) == [("one", line)]


def test_groups_with_a_common_host_share_its_ports() -> None:
    keys: dict[str, Any] = {"ports": HTTP, "health": HEALTH}
    catalogue = {"one": service("one", **keys), "two": service("two", **keys, group="ops")}
    single = {group: ["h"] for group in GROUPS}
    assert len(problems(catalogue, single)) == 2
    without_hosts: dict[str, list[str]] = {group: [] for group in GROUPS}
    assert len(problems(catalogue, without_hosts)) == 0
    assert len(problems(catalogue | {"two": service("two", **keys)}, without_hosts)) == 2


def test_one_database_and_one_path_have_one_owner() -> None:
    keys: dict[str, Any] = {"database": "shop", "health": HEALTH, "routes": [{"path": "/"}]}
    one = service("one", ports=HTTP, **keys)
    two = service("two", ports={"http": {"container": 9000, "from": ["edge"]}}, **keys)
    assert lines(one, two) == [
        'two: database: "shop" belongs to one',
        'two: routes[0].path: "/" is taken by one routes[0]',
    ]


def test_a_trailing_slash_does_not_make_another_route() -> None:
    one = service("one", ports=HTTP, health=HEALTH, routes=[{"path": "/order/"}, {"path": "/orders"}])
    two = service(
        "two", ports={"http": {"container": 9000, "from": ["edge"]}}, health=HEALTH, routes=[{"path": "/order"}]
    )
    assert lines(one, two) == ['two: routes[0].path: "/order/" is taken by one routes[0]']


def test_only_one_service_can_keep_identities() -> None:
    ports = {"http": {"container": 8000, "from": ["edge"]}}, {"http": {"container": 8001, "from": ["edge"]}}
    found = lines(
        *(
            service(f"kratos-{port['http']['container']}", ports=port, health=HEALTH, identities="http")
            for port in ports
        )
    )
    assert found == ["kratos-8001: identities: kratos-8000 already keeps them; only one service can"]


def test_a_toggle_belongs_to_one_service() -> None:
    toggles = {"checkout": {"description": "A new one", "variable": "NEW_CHECKOUT"}}
    assert lines(service("shop", toggles=toggles), service("cart", toggles=toggles)) == [
        "cart: toggles.checkout: shop has a toggle of this name; choose another one"
    ]


KRATOS = service(
    "kratos",
    ports={"public": {"container": 4433, "from": ["edge"]}, "admin": {"container": 4434, "from": []}},
    health={"port": "public", "path": "/"},
)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"calls": ["kratso.admin"]}, 'calls[0]: unknown service "kratso"; did you mean "kratos"?'),
        ({"calls": ["kratos.public", "kratos.amdin"]}, 'calls[1]: kratos has no port "amdin"; did you mean "admin"?'),
        (
            {"calls": ["kratos.public"], "environment": {"ADMIN_URL": "http://kratos:4434/admin"}},
            "environment.ADMIN_URL: kratos:4434 is closed to the service; add kratos.admin to `calls`",
        ),
        (
            {"environment": {"PLACES": "tcp://db:5432,kratos:4433"}},
            "environment.PLACES: kratos:4433 is closed to the service; add kratos.public to `calls`",
        ),
    ],
)
def test_a_call_names_a_service_and_its_port(keys: dict[str, Any], line: str) -> None:
    assert lines(KRATOS, service("shop", **keys)) == [f"shop: {line}"]


@pytest.mark.parametrize(
    "keys",
    [
        {"calls": ["kratos.public", "kratos.admin"], "environment": {"URL": "http://kratos:4433"}},
        {"environment": {"URL": "http://kratos:44330", "OTHER": "http://my-kratos:4433", "NAME": "kratos.test:4433"}},
        {"environment": {"URL": "http://shop:4433"}},
    ],
)
def test_what_is_no_call_needs_none(keys: dict[str, Any]) -> None:
    assert lines(KRATOS, service("shop", **keys)) == []


def test_a_call_of_a_service_that_was_left_out_is_not_reported() -> None:
    assert lines(service("shop", calls=["kratos.admin"]), wrong=["kratos"]) == []


def test_broker_queues_and_logins_belong_to_one_service() -> None:
    worker: dict[str, Any] = {"activation": "live_only", "queues": {"jobs": {}}}
    first = service("first", **worker, secrets={"URL": {"broker": "both"}})
    assert lines(first, service("other", publishes=["jobs"], secrets={"URL": {"broker": "other"}})) == []
    assert lines(first, service("second", **worker, secrets={"URL": {"broker": "both"}})) == [
        'second: queues: "jobs" belongs to first',
        'second: secrets.URL.broker: "both" belongs to first',
    ]
    assert lines(first, service("third", publishes=["jbs"], secrets={"URL": {"broker": "both", "of": "first"}})) == [
        'third: publishes[0]: no service has a queue "jbs"; did you mean "jobs"?'
    ]
    two = {"A": {"broker": "one"}, "B": {"broker": "two"}}
    assert lines(service("twice", **worker, secrets=two)) == [
        'twice: secrets.B.broker: twice has login "one"; only one is allowed'
    ]
    stranger = {"URL": {"broker": "two", "of": "first"}}
    assert lines(first, service("guest", publishes=["jobs"], secrets=stranger)) == [
        'guest: secrets.URL.broker: first has no broker "two"; known: both',
        'guest: secrets.URL.broker: first has login "both"; only one is allowed',
    ]
