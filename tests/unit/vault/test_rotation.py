# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A rotation replaces what the live slot does not use, and a ring's new key is used only once both slots know it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle import rotation

PATHS = [
    *(f"shop/{kind}/{slot}" for kind in ("login", "broker", "cache") for slot in ("blue", "green")),
    *("shop/login/stock_blue", "shop/login/stock_green", "shop/ring/csrf", "shop/value/own", "post/ring/cookie"),
    *("environment/value/visitor", "environment/value/signing", "environment/value/backup-cipher"),
    "environment/value/payment-webhook",
    *("environment/certificate/edge", "environment/registry", "payments/api/key", "environment/acme/edge"),
]
FOREIGN = ["environment/registry", "payments/api/key"]
RING = {"values": "old,older"}


def plan(what: str, live: str | None = "blue", rings: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    rings = rings or {"shop/ring/csrf": RING, "post/ring/cookie": RING}
    return [(step.path, step.action) for step in rotation.plan(what, PATHS, FOREIGN, live, rings)]


@pytest.mark.parametrize(
    ("what", "steps"),
    [
        ("login", [("shop/login/green", "replace"), ("shop/login/stock_green", "replace")]),
        ("shop/broker", [("shop/broker/green", "replace")]),
        ("shop/cache/green", [("shop/cache/green", "replace")]),
        ("ring", [("post/ring/cookie", "append"), ("shop/ring/csrf", "append")]),
        ("value", [("shop/value/own", "replace")]),
        ("visitor", [("environment/value/visitor", "replace")]),
        ("environment/value/visitor", [("environment/value/visitor", "replace")]),
        ("certificate", [("environment/certificate/edge", "issue")]),
        ("post", [("post/ring/cookie", "append")]),
    ],
)
def test_a_path_a_class_or_a_service_says_what_to_rotate(what: str, steps: list[tuple[str, str]]) -> None:
    assert plan(what) == steps


def test_the_login_of_the_live_slot_is_never_replaced() -> None:
    assert ("shop/login/blue", "replace") in plan("login", "green")
    assert "shop/login/blue" not in dict(plan("shop", "blue"))
    # Nobody uses a login before a slot is live.
    assert {"shop/login/blue", "shop/login/green"} <= dict(plan("login", None)).keys()
    with pytest.raises(rotation.RotationError, match="belongs to blue, the live slot"):
        plan("shop/login/blue")


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("logn", 'there is no secret "logn"; did you mean "login"'),
        ("environment/registry", "playbooks/secret.yml -e put=environment/registry"),
        ("payments/api/key", "was issued elsewhere"),
        ("environment/value/signing", "sign_bundles=true"),
        ("signing", "signing is not rotated here: bundles of both slots are signed with it"),
        ("payment-webhook", "site.yml -e live_checks=report"),
        ("environment/value/backup-cipher", "backups that exist"),
    ],
)
def test_what_cannot_be_rotated_is_refused_with_what_to_do(what: str, line: str) -> None:
    with pytest.raises(rotation.RotationError) as refused:
        plan(what)
    assert line in str(refused.value)


def test_a_ring_uses_a_new_key_only_after_the_live_slot_knows_it() -> None:
    path, content = "shop/ring/csrf", dict(RING)
    seen = []
    for reaches in (False, True, True):
        (step,) = rotation.plan(path, PATHS, FOREIGN, "blue", {path: content})
        content = rotation.replaced(step, content)
        seen.append((step.action, content["values"].split(",")))
        if reaches:
            content = rotation.reached(content) or content
    (appended, first), (waited, second), (promoted, third) = seen
    assert (appended, waited, promoted) == ("append", "wait", "promote")
    assert first[:2] == ["old", "older"]
    assert len(first[2]) == 32
    assert second == first
    assert third == [first[2], "old", "older"]
    # The next rotation begins again.
    assert rotation.reached(content) is None
    assert plan(path, rings={path: content}) == [(path, "append")]


def test_a_login_gets_a_new_password_and_a_value_loses_its_foreign_owner() -> None:
    login = rotation.replaced(rotation.Step("shop/login/green", "replace"), {"password": "a"})
    assert login.keys() == {"password"}
    assert login["password"] != "a"
    value = rotation.replaced(rotation.Step("shop/value/own", "replace"), {"value": "a", "owner": "ada"})
    assert value.keys() == {"value"}
    assert value["value"] != "a"
