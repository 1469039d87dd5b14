# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Host names, redirects and TCP routes of services: what is refused, and what the edge gets."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle import edge_map
from ansible.module_utils.greenroom.controller.bundle.description import describe
from ansible.module_utils.greenroom.controller.bundle.description_schema import problem
from ansible.module_utils.greenroom.controller.canary.watch import probe_paths
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_checks import problems
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors
from ansible.module_utils.greenroom.controller.validate import error_pages, route_names

GROUPS = {"app": ["app1"], "edge": ["edge1"], "ops": ["ops1"]}


def catalogue(**services: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A catalog; each service has a port of its own."""
    return {
        name: normalise(
            name,
            {
                "image": name,
                "ports": {"web": {"container": 8000 + number, "from": ["edge"]}},
                "health": {"port": "web", "tcp": True},
                **keys,
            },
            f"/srv/services/{name}",
        )
        for number, (name, keys) in enumerate(services.items())
    }


def found(**services: dict[str, Any]) -> list[str]:
    return [f"{name}: {line}" for name, line in problems(catalogue(**services), GROUPS, {"default"})]


def host(name: Any, path: str = "/") -> dict[str, Any]:
    return {"host": name, "path": path}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ({"routes": [host("Shop.test")]}, "routes[0].host"),
        ({"routes": [host("shop.test:8443")]}, "routes[0].host"),
        ({"routes": [host("https://shop.test")]}, "routes[0].host"),
        ({"routes": [host("a.*.test")]}, "routes[0].host"),
        ({"routes": [host(["shop.test", 1])]}, "routes[0].host[1]"),
        ({"routes": [host([])]}, "routes[0].host: is empty"),
        ({"routes": [{"path": "/", "body": "10MB"}]}, "routes[0].body"),
        ({"routes": [{"path": "/", "client_certificate": True}]}, "routes[0].client_certificate"),
        ({"redirects": [{"to": "shop.test"}]}, "redirects[0].to"),
        ({"redirects": [{"to": "//evil.test"}]}, "redirects[0].to"),
        ({"redirects": [{"to": "/new?a"}]}, "redirects[0].to"),
        ({"redirects": [{"to": "/new", "status": 200}]}, "redirects[0].status"),
        ({"tcp_routes": [{"listen": 0}]}, "tcp_routes[0].listen"),
        ({"canary": {"probes": ["http://shop.test/"]}}, "canary.probes[0]"),
    ],
)
def test_the_schema_says_which_part_of_a_route_is_wrong(key: dict[str, Any], problem: str) -> None:
    [line] = structure_errors({"image": "shop", **key})
    assert line.startswith(problem)


@pytest.mark.parametrize(
    "key",
    [
        {"routes": [host("shop.{{ environment_domain }}"), host(["*.shop.test", "xn--bcher-kva.test"])]},
        {
            "redirects": [
                {"host": "www.a.test", "to": "https://{{ environment_public_name }}"},
                {"path": "/a", "to": "/b"},
            ]
        },
        {"canary": {"probes": ["/", "https://shop.{{ environment_domain }}/x"]}},
    ],
)
def test_names_can_be_templates(key: dict[str, Any]) -> None:
    assert structure_errors({"image": "shop", **key}) == []


def test_the_same_path_of_two_names_is_no_collision() -> None:
    assert found(one={"routes": [host("a.test")]}, two={"routes": [{"path": "/"}, host(["b.test", "*.test"])]}) == []
    lines = found(
        one={"routes": [host(["a.test", "b.test"])]}, two={"redirects": [{"host": "b.test", "to": "https://c.test"}]}
    )
    assert lines == ['two: redirects[0].path: "b.test/" is taken by one routes[0]']


def test_a_redirect_does_not_lead_to_itself() -> None:
    def redirects(*each: dict[str, Any], **more: Any) -> list[str]:
        return found(shop={"redirects": list(each), **more})

    www = {"host": "www.a.test", "to": "https://a.test"}
    assert redirects(www) == []
    assert redirects({"path": "/old", "to": "/new"}) == []
    itself = "is redirected itself, so browsers would never arrive"
    assert redirects({"path": "/old", "to": "/old/new"}) == [f"shop: redirects[0].to: /old/new {itself}"]
    assert redirects({"to": "/app"}) == [f"shop: redirects[0].to: /app {itself}"]
    assert redirects({"to": "/app"}, routes=[{"path": "/app"}]) == []
    wildcard = {"host": "*.a.test", "to": "https://www.a.test"}
    assert redirects(wildcard) == [f"shop: redirects[0].to: https://www.a.test {itself}"]
    assert redirects(wildcard, routes=[host("www.a.test")]) == []


def test_a_port_has_one_tcp_route_or_one_for_each_name() -> None:
    def tcp(*routes: dict[str, Any]) -> list[str]:
        return found(**{f"s{index}": {"tcp_routes": [route]} for index, route in enumerate(routes)})

    named = {"listen": 5000, "host": "a.test"}
    assert tcp(named, {"listen": 5000, "host": ["b.test", "*.test"]}, {"listen": 5001}) == []
    taken = "s1: tcp_routes[0].listen: port 5000 is taken by s0 tcp_routes[0]; choose another one"
    assert tcp(named, named) == [taken]
    assert tcp(named, {"listen": 5000}) == [taken]
    assert tcp({"listen": 5000}, named) == [taken]
    both = found(shop={"routes": [{"path": "/"}], "tcp_routes": [{"listen": 5000}]})
    assert both == ['shop: tcp_routes[0].port: "web" has a route for HTTP, too; use a port of its own']


def test_a_tcp_route_takes_no_port_that_the_edge_hosts_have() -> None:
    lines = problems(catalogue(shop={"tcp_routes": [{"listen": 443}]}), GROUPS, taken={("edge1", 443): "edge"})
    assert lines == [("shop", "tcp_routes[0].listen: edge1 has port 443 already (edge); choose another one")]


def test_names_are_rendered_and_those_of_the_environment_are_its_own() -> None:
    services = catalogue(
        shop={"routes": [host(["{{ own }}", "{{ bad }}", "{{ none }}"])], "redirects": [{"to": "https://{{ own }}"}]}
    )

    def render(value: Any) -> Any:
        if "none" in value:
            raise ValueError("'none' is undefined")
        return value.replace("{{ own }}", "shop.test").replace("{{ bad }}", "Bad_name")

    named, lines = route_names.rendered(services, render, ["shop.test"])
    assert named["shop"]["routes"][0]["hosts"] == ["", "Bad_name", ""]
    assert named["shop"]["redirects"][0]["to"] == "https://shop.test"
    assert [line.partition(" is not ")[0] for line in lines] == [
        'services/shop/service.yml: routes[0].host: "Bad_name"',
        "services/shop/service.yml: routes[0].host: 'none' is undefined",
    ]


def test_a_target_is_checked_when_it_is_rendered() -> None:
    services = catalogue(
        shop={"redirects": [{"to": "https://{{ good }}/x"}, {"path": "/y", "to": "https://{{ bad }}"}]}
    )
    names = {"{{ good }}": "shop.test:8443", "{{ bad }}": "shop.test evil"}

    def render(value: str) -> str:
        for name, known in names.items():
            value = value.replace(name, known)
        return value

    _, lines = route_names.rendered(services, render, [])
    assert [line.partition(" is not ")[0] for line in lines] == [
        'services/shop/service.yml: redirects[1].to: "https://shop.test evil"'
    ]


def test_what_a_service_may_have_is_valid_in_the_description_of_a_slot() -> None:
    targets = ("https://a.test", "https://a.test/", "http://a.test:8080/x/", "/new", "/new/")
    keys = {
        "routes": [
            {"path": "/"},
            host(["a.test", "*.b.test"], "/x") | {"strip": True, "body": "10M", "sticky": True, "timeout": "5m"},
            {"path": "/c", "client_certificate": "required", "http2": True, "auth": False},
        ],
        "redirects": [{"path": f"/{number}", "to": to, "status": 308} for number, to in enumerate(targets)],
        "ports": {name: {"container": port, "from": ["edge"]} for name, port in (("web", 8000), ("tls", 8001))},
        "tcp_routes": [{"listen": 5222, "port": "tls", "host": "*.c.test", "timeout": "12h"}],
    }
    for redirect in keys["redirects"]:
        assert structure_errors({"image": "shop", "redirects": [redirect]}) == []
    release = {"name": "1.0", "id": "0" * 64, "images": {"shop": f"registry.test/shop@sha256:{'0' * 64}"}}
    members = {"app": {"app1": "192.0.2.1"}, "edge": {"edge1": "192.0.2.2"}}
    assert problem(describe(catalogue(shop=keys), "blue", release, members)) == ""


def test_a_route_with_client_certificates_needs_their_ca() -> None:
    services = catalogue(shop={"routes": [{"path": "/", "client_certificate": "required"}]})
    [line] = route_names.certificate_problems(services, {})
    assert line.endswith("routes[0].client_certificate: no client has one; set edge_client_ca")
    assert list(route_names.certificate_problems(services, {"edge_client_ca": "a"})) == []


def test_the_map_has_a_name_before_its_paths_and_an_end_for_each_name() -> None:
    shop = {
        "routes": [
            host("a.test", "/x") | {"strip": True, "body": "2K"},
            host("own.test", "/y"),
            {"path": "/z", "timeout": "5m"},
        ],
        "redirects": [{"host": "b.test", "to": "https://a.test/"}, {"path": "/old", "to": "/z", "status": 308}],
    }
    assert edge_map.edge_map({"services": catalogue(shop=shop)}, ["own.test"]) == [
        "/old/ shop_>:default:auth:308:4:/z",
        "/y/ shop_web:default:auth",
        "/z/ shop_web:default:auth:300",
        "a.test/ closed",
        "a.test/x/ shop_web:default:auth:0:2:2048:-",
        "b.test/ shop_>:default:open:301:0:https://a.test",
    ]


def test_a_bundle_of_an_earlier_version_has_no_names() -> None:
    route = {"path": "/", "port": "web", "limit": "default", "auth": True}
    old = {"services": {"shop": {"routes": [route], "health": None}}}
    assert edge_map.edge_map(old, []) == ["/ shop_web:default:auth"]
    assert edge_map.tcp_listeners({}, {"blue": old}) == []
    assert edge_map.edge_names({}, {"blue": old}) == []
    assert edge_map.edge_services({}, {"blue": old}) == ["shop"]
    assert edge_map.own_addresses(old, "own.test", "192.0.2.1") == {"own.test": "192.0.2.1"}


def test_a_service_with_a_redirect_or_a_tcp_route_only_can_be_in_maintenance() -> None:
    moved = {"redirects": [{"path": "/old", "to": "/new"}]}
    services = catalogue(chat={"tcp_routes": [{"listen": 5222}]}, moved=moved, worker={})
    assert edge_map.edge_services(services) == ["chat", "moved"]


def test_the_certificate_gets_the_names_that_it_lacks_of_the_catalog_and_of_slots() -> None:
    services = catalogue(shop={"routes": [host(["a.own.test", "b.a.own.test", "own.test", "*.c.test"])]})
    slot = {"services": catalogue(old={"redirects": [{"host": "old.test", "to": "https://own.test"}]})}
    names = edge_map.edge_names(services, {"blue": slot}, ["own.test", "*.own.test"])
    assert names == ["*.c.test", "b.a.own.test", "old.test"]


def test_a_canary_probes_the_names_of_routes() -> None:
    services = catalogue(shop={"routes": [{"path": "/"}, host(["a.test", "*.b.test"], "/x")]})
    assert probe_paths(services) == ["/", "https://a.test/x/"]


def test_a_page_of_the_operators_fits_and_has_a_status_of_the_edge() -> None:
    assert list(error_pages.page_problems({503: "<p>Busy", "maintenance": "x" * 8192})) == []
    assert list(error_pages.page_problems({"418": "x", 404: "x" * 8193, 503: " "})) == [
        'edge_error_pages.418: the edge has no page for it; did you mean "421"?',
        "edge_error_pages.404: the page has 8193 bytes; the maximum is 8192",
        "edge_error_pages.503: expected the text of a page",
    ]
