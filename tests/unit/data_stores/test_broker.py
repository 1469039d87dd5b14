"""RabbitMQ's queues and logins: desired definitions compared with those of the broker."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import secret_environment, secret_paths
from ansible.module_utils.greenroom.data_stores import broker
from hypothesis import given
from hypothesis import strategies as st

WORKER = {
    "activation": "live_only",
    "queues": {"receipts": {}, "exports": {"delivery_limit": 3}},
    "publishes": ["receipts"],
    "secrets": {"BROKER_URL": {"broker": "worker"}},
}
SHOP = {"publishes": ["exports"], "secrets": {"QUEUE": {"broker": "shop"}}}
CATALOGUE = {name: normalise(name, raw, f"/{name}") for name, raw in {"worker": WORKER, "shop": SHOP}.items()}
SECRETS = {f"{name}/broker/{slot}": {"password": f"{name}-{slot}"} for name in CATALOGUE for slot in ("blue", "green")}


def taken(plan: dict[str, list[dict[str, Any]]], current: dict[str, Any] | None = None) -> dict[str, Any]:
    """The broker's export after an import, which has more than was imported."""
    found = {kind: list((current or {}).get(kind, [])) for kind in broker.KEYS}
    for kind, items in plan.items():
        for item in items:
            same = [old for old in found[kind] if all(old[key] == item[key] for key in broker.KEYS[kind])]
            found[kind] = [old for old in found[kind] if old not in same] + [{**item, "limits": {}}]
    return found


def wanted(*slots: str, secrets: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = broker.desired(CATALOGUE, secrets or SECRETS, slots or ("blue", "green"), "staging")
    return found


def test_each_login_has_the_permissions_from_the_catalog() -> None:
    assert wanted("green") == {
        "vhost": "staging",
        "queues": {"receipts": {"delivery_limit": 20}, "exports": {"delivery_limit": 3}},
        "logins": {
            "worker_green": {"write": ["receipts"], "read": ["exports", "receipts"]},
            "shop_green": {"write": ["exports"], "read": []},
        },
        "passwords": {"worker_green": "worker-green", "shop_green": "shop-green"},
        "kept": [],
    }
    rights = {item["user"]: item for item in broker.plan(wanted("green"), {})["permissions"]}
    shop = rights["shop_green"]
    assert (shop["configure"], shop["write"], shop["read"]) == ("^$", "^(exports)$", "^$")
    assert re.search(rights["worker_green"]["read"], "receipts.dead") is None


def test_a_shared_login_has_the_permissions_of_both_services() -> None:
    helper = {"publishes": ["exports"], "secrets": {"URL": {"broker": "worker", "of": "worker"}}}
    catalogue = CATALOGUE | {"helper": normalise("helper", helper, "/helper")}
    login = broker.desired(catalogue, SECRETS, ["blue"], "staging")["logins"]["worker_blue"]
    assert login == {"write": ["exports", "receipts"], "read": ["exports", "receipts"]}


def test_a_catalog_without_queues_needs_no_definitions() -> None:
    assert broker.queues({"plain": normalise("plain", {}, "/plain")}) == {}


def test_everything_is_created_once() -> None:
    plan = broker.plan(wanted(), {})
    assert {kind: len(items) for kind, items in plan.items()} == {
        "vhosts": 1, "users": 4, "permissions": 4, "exchanges": 4, "queues": 4, "bindings": 4, "policies": 2
    }  # fmt: skip
    assert all(item["arguments"] == {"x-queue-type": "quorum"} for item in plan["queues"])
    assert broker.plan(wanted(), taken(plan)) == {}
    assert broker.plan(wanted("blue"), taken(plan)) == {}


def test_only_what_differs_is_changed() -> None:
    current = taken(broker.plan(wanted(), {}))
    other = SECRETS | {"shop/broker/blue": {"password": "new"}}
    plan = broker.plan(wanted(secrets=other), current)
    assert broker.lines(plan) == ["users shop_blue"]
    assert broker.plan(wanted("green", secrets=other), current) == {}
    limited = wanted() | {"queues": {"exports": {"delivery_limit": 4}}}
    (policy,) = broker.plan(limited, current)["policies"]
    assert policy["definition"]["delivery-limit"] == 4
    for kind, key, value in (
        ("users", "tags", ["administrator"]),
        ("users", "hashing_algorithm", "rabbit_password_hashing_md5"),
        ("permissions", "configure", ".*"),
        ("queues", "arguments", {"x-queue-type": "classic"}),
        ("exchanges", "type", "topic"),
    ):
        damaged = taken({kind: [{**current[kind][0], key: value}]}, current)
        assert list(broker.plan(wanted(), damaged)) == [kind]


def test_unwanted_definitions_stay_except_the_default_user() -> None:
    current = taken(broker.plan(wanted(), {}))
    current["users"] += [{"name": "guest"}, {"name": "somebody"}]
    assert broker.plan(wanted(), current) == {}
    assert broker.strangers(current) == ["guest"]
    assert broker.strangers({}) == []


def test_lines_have_no_passwords() -> None:
    text = "\n".join(broker.lines(broker.plan(wanted(), {})))
    assert "worker-blue" not in text
    assert "queues receipts.dead" in text
    assert "bindings receipts receipts" in text


def test_a_hash_matches_one_from_the_broker() -> None:
    """The hash is from RabbitMQ 4.0.5, of its default user."""
    stored = "ZgCNn//5Yd0Uxs8oqm9OViIY57VYB/OCBgo32S5jY8rWu722"
    assert broker.matches(stored, "guest")
    assert not broker.matches(stored, "Guest")


@pytest.mark.parametrize("stored", ["", "=", "not base64!", "AAAA"])
def test_an_invalid_hash_matches_no_password(stored: str) -> None:
    assert not broker.matches(stored, "")


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_password_works_in_hash_and_url(password: str) -> None:
    assert broker.matches(broker.password_hash(password), password)
    parts = urlsplit(broker.broker_url("worker", "blue", password, "/ca.crt", host="broker.test", vhost="a/b"))
    assert (parts.scheme, parts.hostname, parts.port, parts.query) == ("amqps", "broker.test", 5671, "cafile=/ca.crt")
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == ("worker_blue", password)
    assert unquote(parts.path) == "/a/b"


def test_a_container_gets_the_login_of_its_slot() -> None:
    assert secret_paths(CATALOGUE, ["blue"]) == ["shop/broker/blue", "worker/broker/blue"]
    told = secret_environment(
        CATALOGUE["shop"], "blue", SECRETS, "database.test", broker={"host": "broker.test", "vhost": "staging"}
    )
    assert told == {"QUEUE": "amqps://shop_blue:shop-blue@broker.test:5671/staging?cafile=/etc/greenroom/ca.crt"}


def test_logins_of_the_live_slot_are_created_on_a_new_server_and_never_changed() -> None:
    found = broker.desired(CATALOGUE, SECRETS, ["green"], "staging", ["blue"])
    assert found["kept"] == ["worker_blue", "shop_blue"]
    first = broker.plan(found, {})
    assert [user["name"] for user in first["users"]] == ["worker_green", "shop_green", "worker_blue", "shop_blue"]
    there = taken(first)
    # The live slot's password and rights of before.
    for user in there["users"]:
        if user["name"] in found["kept"]:
            user["password_hash"] = broker.password_hash("of before")
    for rights in there["permissions"]:
        if rights["user"] in found["kept"]:
            rights["read"] = "^(of before)$"
    assert broker.plan(found, there) == {}
