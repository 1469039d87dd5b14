# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a slot's release would start again on the present schema: records, and what is tried on which host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle import schema
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise

GROUPS = {"app": ["app1", "app2"], "second": ["app2"]}
PAGE = {"port": "http", "path": "/readyz"}


def service(name: str, **more: Any) -> dict[str, Any]:
    """A service of a slot's description."""
    ports = {"http": {"container": 8080, "host": {"blue": 18080}}}
    own = {"group": "app", "activation": "always", "health": PAGE, "secrets": {}, "image": name, "ports": ports}
    return {"name": name, **own, **more}


def description(*services: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "slot": "blue",
        "release": "1.0",
        "hosts": {},
        "images": {own["image"]: f"registry.test/{own['image']}@sha256:00" for own in services},
        "services": {own["name"]: own for own in services},
        **more,
    }


LOGIN = {"DATABASE_URL": {"kind": "login", "name": "shop", "owner": "shop"}}
HEADS = {"shop": [{"version_num": "0004"}], "wiki": [{"version": 7}]}
RECORD = schema.record("blue", HEADS)
REFUSED = schema.record("blue", HEADS, [{"name": "shop-blue", "starts": False, "reason": "ended with exit code 1"}])


def text(*facts: dict[str, Any]) -> str:
    """The files of a host, one after the other."""
    return "".join(f"{json.dumps(fact)}\n" for fact in facts)


# Records


def test_a_record_comes_back_from_its_file() -> None:
    [file] = schema.record_files(RECORD, "/etc/greenroom/slots/blue")
    assert (file["dest"], file["mode"]) == ("/etc/greenroom/slots/blue.schema", "0600")
    other = {"slot": "blue", "services": {}}
    assert schema.schemas([file["content"] + text(other)]) == {"blue": RECORD}
    assert len(file["content"].splitlines()) == 1, "other facts are told apart by the beginning of a line"


def test_nothing_is_recorded_without_a_schema_or_a_result() -> None:
    assert schema.record_files(schema.record("blue", {}), "/x") == schema.record_files({}, "/x") == []


@pytest.mark.parametrize("order", [[RECORD, REFUSED], [REFUSED, RECORD]])
def test_if_hosts_differ_the_record_of_a_release_that_does_not_start_counts(order: list[dict[str, Any]]) -> None:
    assert schema.schemas([text(found) for found in order]) == {"blue": REFUSED}


def test_damaged_records_are_none() -> None:
    assert schema.schemas(['{"schema_of": "blue", "sta', text({"schema_of": "blue"}), text({"schema_of": "red"})]) == {}


def test_a_slot_whose_release_would_not_start_is_told_with_the_reason() -> None:
    records = {"blue": REFUSED, "green": schema.record("green", HEADS)}
    assert schema.not_starting(records) == {"blue": "shop-blue ended with exit code 1"}
    assert schema.not_starting({"blue": RECORD, "green": {}}) == {}
    assert schema.warning(records, "blue", {"blue": {"release": "1.0"}}) == (
        "Release 1.0 in blue does not start on the present database schema (shop-blue ended with exit code 1). "
        "A rollback to it works as long as blue keeps running; after a stop or a restart it does not."
    )


TRIED = [
    {"name": "shop-blue", "starts": True, "reason": ""},
    {"name": "wiki-blue", "starts": None, "reason": "it is not running"},
    {"name": "forum-blue", "starts": False, "reason": "not ready within 60 s"},
]


@pytest.mark.parametrize(
    ("tried", "starts", "reason"),
    [
        (TRIED[:1], True, ""),
        (TRIED[:2], None, None),
        (TRIED, False, "forum-blue not ready within 60 s"),
        ([], True, ""),
    ],
)
def test_one_refusal_is_enough_and_one_doubt_leaves_it_open(
    tried: list[dict[str, Any]], starts: bool | None, reason: str | None
) -> None:
    found = schema.record("blue", HEADS, tried)
    assert (found.get("starts"), found.get("reason")) == (starts, reason)


# What is tried


@pytest.mark.parametrize(
    ("record", "databases"),
    [
        (RECORD, []),
        (None, ["shop", "wiki"]),
        ({}, ["shop", "wiki"]),
        # A wrong result must not last.
        (REFUSED, ["shop", "wiki"]),
        ({**RECORD, "heads": HEADS | {"shop": [{"version_num": "0003"}]}}, ["shop"]),
        ({**RECORD, "heads": {"wiki": HEADS["wiki"], "gone": []}}, ["shop"]),
    ],
)
def test_a_release_is_tried_on_schemas_that_it_was_not_started_on(record: Any, databases: list[str]) -> None:
    assert schema.untried(record, HEADS) == databases


def names(found: dict[str, Any], *databases: str, host: str = "app1") -> list[str]:
    return [container["name"] for container in schema.trials(found, databases, host, GROUPS, "shop.example.test")]


def test_a_service_is_tried_from_what_its_slot_describes() -> None:
    found = description(service("shop", secrets=LOGIN))
    assert schema.trials(found, ["shop"], "app1", GROUPS, "shop.example.test") == [
        {
            "name": "shop-blue",
            "image": "registry.test/shop@sha256:00",
            "port": 8080,
            "kind": "http",
            "method": "GET",
            "path": "/readyz",
            "headers": {"Host": "shop.example.test", "X-Forwarded-Proto": "https"},
            "status": 200,
        }
    ]


def test_a_service_without_a_page_is_tried_by_its_own_check() -> None:
    shop = service("shop", secrets=LOGIN, health={"command": ["ready"], "start_period": 300})
    [container] = schema.trials(description(shop), ["shop"], "app1", GROUPS, "shop.example.test")
    assert container == {
        "name": "shop-blue",
        "image": "registry.test/shop@sha256:00",
        "kind": "command",
        "command": ["ready"],
        "seconds": 300,
    }


def test_services_that_log_in_to_a_database_are_tried_and_others_are_not() -> None:
    raw = {"image": "forum", "secrets": {"KEY": {"ring": "csrf"}, "URL": {"login": "forum"}}}
    other = service("forum", secrets=normalise("forum", raw, "/s")["secrets"])
    pages = service("pages", secrets=LOGIN)
    found = description(service("shop", secrets=LOGIN), other, pages)
    assert names(found, "shop") == ["pages-blue", "shop-blue"]
    assert names(found, "forum", "wiki") == ["forum-blue"]
    assert names(found) == []


@pytest.mark.parametrize("change", [{"activation": "live_only"}, {"activation": "singleton"}, {"health": None}])
def test_a_second_one_must_do_no_work_and_must_say_when_it_is_ready(change: dict[str, Any]) -> None:
    assert names(description(service("shop", secrets=LOGIN, **change)), "shop") == []


def test_each_service_is_tried_on_the_first_host_of_its_group() -> None:
    found = description(service("shop", secrets=LOGIN), service("pages", secrets=LOGIN, group="second"))
    assert names(found, "shop", host="app1") == ["shop-blue"]
    assert names(found, "shop", host="app2") == ["pages-blue"]
    # The slot has hosts of its own.
    moved = description(service("shop", secrets=LOGIN), hosts={"app": [{"name": "app2", "address": "192.0.2.2"}]})
    assert (names(moved, "shop", host="app1"), names(moved, "shop", host="app2")) == ([], ["shop-blue"])


# What runs


def asked(**states: str) -> dict[str, Any]:
    """The result of asking systemd."""
    units = [f"{name}-blue.service" for name in states]
    return {"cmd": ["systemctl", "is-active", *units], "stdout_lines": list(states.values())}


def test_units_that_do_not_run_on_a_host() -> None:
    assert schema.down(asked(shop="active", wiki="failed", forum="activating")) == [
        "wiki-blue.service",
        "forum-blue.service",
    ]
    assert schema.down({}) == schema.down({"skipped": True}) == []
    # systemctl itself failed.
    assert schema.down({"cmd": ["systemctl", "is-active", "shop-blue.service"], "stdout_lines": []}) == [
        "shop-blue.service"
    ]


def test_one_host_that_runs_a_unit_is_enough() -> None:
    hostvars = {"app1": {"it": asked(shop="active", wiki="failed")}, "app2": {"it": asked(shop="failed")}, "app3": {}}
    assert schema.down_everywhere(hostvars, "it", ["app1", "app2", "app3"]) == ["wiki-blue.service"]
    assert schema.down_everywhere(hostvars, "it", ["app2"]) == ["shop-blue.service"]
