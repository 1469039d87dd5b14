"""The catalog: defaults and published ports. Invalid content does not break loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.greenroom.controller.catalogue import catalogue, toggles
from hypothesis import given
from hypothesis import strategies as st

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def read(path: str) -> Any:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def test_every_default_is_filled_in(tmp_path: Path) -> None:
    service = catalogue.normalise("shop", {"image": "shop"}, str(tmp_path / "shop"))
    expected = catalogue.DEFAULTS | {"image": "shop", "name": "shop", "folder": str(tmp_path / "shop")}
    more = {"config_of": "shop", "has_config": False, "checks": [], "user_given": False, "ids_of": "shop"}
    assert service == expected | more


def test_ports_are_published_per_slot_and_closed_ones_stay_local() -> None:
    ports = {"open": {"container": 80, "from": ["edge"]}, "own": {"container": 81, "host": 5000, "from": []}}
    found = catalogue.normalise("shop", {"ports": ports}, "/srv/shop")["ports"]
    assert found["open"] == {
        "container": 80,
        "from": ["edge"],
        "bind": "0.0.0.0",
        "host": {"blue": 10080, "green": 20080},
    }
    assert found["own"]["host"] == {"blue": 5000, "green": 15000}
    assert found["own"]["bind"] == "127.0.0.1"


def test_a_route_uses_the_first_port_that_the_edge_can_reach() -> None:
    ports = {"admin": {"container": 1, "from": ["ops"]}, "http": {"container": 2, "from": ["ops", "edge"]}}
    routes = [
        {"path": "/"},
        {"path": "/x", "exclude": ["/x/y/", "/x/z"], "port": "admin", "limit": "login", "auth": False, "timeout": "4h"},
    ]
    service = catalogue.normalise("shop", {"ports": ports, "routes": routes}, "/srv/shop")
    plain = {"hosts": [], "strip": False, "body": None, "sticky": False, "http2": False, "client_certificate": None}
    assert service["routes"] == [
        plain | {"path": "/", "exclude": [], "port": "http", "limit": "default", "auth": True, "timeout": None},
        {
            **plain,
            **{"path": "/x/", "exclude": ["/x/y/", "/x/z/"], "port": "admin", "limit": "login", "auth": False},
            "timeout": "4h",
        },
    ]


def test_a_business_metric_defaults_to_the_metrics_page() -> None:
    unset: dict[str, Any] = {"steps": [], "step_seconds": None, "limits": {}, "queries": []}
    raw = {"metrics": {"port": "m", "path": "/metrics"}, "canary": {"metric": {"name": "orders", "path": "/x"}}}
    assert catalogue.normalise("shop", raw, "/srv/shop")["canary"] == {
        "probes": [],
        "metric": {"name": "orders", "port": "m", "path": "/x"},
        **unset,
    }
    assert catalogue.normalise("shop", {"canary": {"probes": ["/"]}}, "/srv/shop")["canary"] == {
        "probes": ["/"],
        "metric": None,
        **unset,
    }


def test_secrets_have_a_kind_and_an_owner() -> None:
    secrets = {"DSN": {"login": "shop", "of": "shop"}, "KEYS": {"ring": "csrf"}}
    service = catalogue.normalise("worker", {"secrets": secrets}, "/srv/worker")
    assert service["secrets"] == {
        "DSN": {"kind": "login", "name": "shop", "owner": "shop"},
        "KEYS": {"kind": "ring", "name": "csrf", "owner": "worker"},
    }


def test_a_toggle_is_off_by_default() -> None:
    toggles = {"checkout": {"description": "A new one", "variable": "NEW_CHECKOUT"}}
    service = catalogue.normalise("shop", {"toggles": toggles}, "/srv/shop")
    assert service["toggles"] == {"checkout": {**toggles["checkout"], "default": False}}


def test_an_environment_changes_the_defaults_of_toggles() -> None:
    declared = {
        "checkout": {"description": "A new one", "variable": "NEW_CHECKOUT"},
        "banner": {"description": "A banner", "variable": "BANNER", "default": True},
    }
    shop = catalogue.normalise("shop", {"toggles": declared}, "/srv/shop")
    services = {"shop": shop, "other": catalogue.normalise("other", {}, "/srv/other")}
    assert toggles.toggle_values(services, {}) == {"banner": True, "checkout": False}
    assert toggles.toggle_values(services, None) == {"banner": True, "checkout": False}
    given = {"checkout": True, "banner": False, "of_no_service": True}
    assert toggles.toggle_values(services, given) == {"banner": False, "checkout": True}
    assert toggles.toggle_variables(shop, given) == {"NEW_CHECKOUT": "true", "BANNER": "false"}
    assert toggles.toggle_variables(services["other"], given) == {}


def test_loading_includes_checks_and_shared_configuration(tmp_path: Path) -> None:
    (tmp_path / "shop" / "config").mkdir(parents=True)
    (tmp_path / "shop" / "service.yml").write_text("image: shop\n", encoding="utf-8")
    (tmp_path / "shop" / "checks.yml").write_text("- name: page\n", encoding="utf-8")
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "service.yml").write_text("image: shop\nconfig_of: shop\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").touch()
    found = catalogue.load(str(tmp_path), read)
    assert list(found) == ["shop", "worker"]
    assert found["shop"]["checks"] == [{"name": "page"}]
    assert found["worker"]["has_config"]
    assert found["worker"]["folder"] == str(tmp_path / "worker")


def test_a_missing_folder_is_an_empty_catalog(tmp_path: Path) -> None:
    assert catalogue.load(str(tmp_path / "none"), read) == {}


@given(ANYTHING)
def test_no_content_breaks_loading(raw: Any) -> None:
    assert catalogue.normalise("shop", raw, "/srv/shop")["name"] == "shop"


@given(st.dictionaries(st.sampled_from(sorted(catalogue.DEFAULTS)), ANYTHING))
def test_no_value_of_a_known_key_breaks_loading(raw: dict[str, Any]) -> None:
    service = catalogue.normalise("shop", raw, "/srv/shop")
    assert set(service) == {*catalogue.DEFAULTS, "name", "folder", "has_config", "checks", "user_given", "ids_of"}
