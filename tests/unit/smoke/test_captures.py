# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Values taken out of answers, and secrets kept out of what is shown."""

from __future__ import annotations

import contextlib
import json
from http.client import HTTPMessage
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import masking
from ansible.module_utils.greenroom.common.web import Answer
from ansible.module_utils.greenroom.smoke import captures
from hypothesis import given
from hypothesis import strategies as st

FLOW = {
    "ui": {
        "action": "https://portal/self-service/login?flow=1",
        "nodes": [
            {"attributes": {"name": "identifier", "value": ""}},
            {"attributes": {"name": "csrf_token", "value": "abc=="}},
            {"attributes": {"name": "count", "value": 3}},
        ],
    },
    "a.b": [[1, 2], [3]],
    "active": True,
}
PAGE = """
<html><form id="search" action="/find"><input name="q"></form>
<form name="login" method="post" action="/login?flow=1&amp;return=%2F">
<input type=hidden name=csrf_token value="a&lt;b&#x3D;&quot;">
<input name="csrf_token" value="second"><button name="method" value="password">Log in</button></form>
Code: 123456 &amp; more
"""


def answer(body: str, **headers: str) -> Answer:
    message = HTTPMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return Answer(200, message, body.encode(), "https://portal/login")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ui.action", "https://portal/self-service/login?flow=1"),
        ("ui.nodes[0].attributes.name", "identifier"),
        ("ui.nodes[-1].attributes.value", 3),
        ("ui.nodes[attributes.name=csrf_token].attributes.value", "abc=="),
        ("ui.nodes[attributes.value=3].attributes.name", "count"),
        ('["a.b"][1][0]', 3),
        ("active", True),
        ("", FLOW),
    ],
)
def test_a_path_names_a_value(path: str, value: Any) -> None:
    assert captures.json_path(json.dumps(FLOW), path) == value


@pytest.mark.parametrize(
    "path",
    [
        "nope",
        "ui.nodes[7]",
        "ui.nodes[name=x]",
        "ui.nodes.x",
        "active.x",
        "active[0]",
        "ui[0]",
        "ui[a=b]",
        "ui..a",
        "ui.nodes[",
        ".",
    ],
)
def test_a_missing_path_is_reported_up_to_where_it_exists(path: str) -> None:
    with pytest.raises(captures.CaptureError, match=r"nothing at|invalid path at"):
        captures.json_path(json.dumps(FLOW), path)


def test_invalid_json_is_reported() -> None:
    with pytest.raises(captures.CaptureError, match="no valid JSON"):
        captures.json_path("<html>", "a")


@given(st.text(max_size=30))
def test_no_path_breaks_the_parser(path: str) -> None:
    with contextlib.suppress(captures.CaptureError):
        captures.json_path(json.dumps(FLOW), path)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"input": "csrf_token"}, 'a<b="'),
        ({"input": "method"}, "password"),
        ({"input": "q"}, ""),
        ({"form": ""}, "https://portal/find"),
        ({"form": None}, "https://portal/find"),
        ({"form": "search"}, "https://portal/find"),
        ({"form": "login"}, "https://portal/login?flow=1&return=%2F"),
        ({"regex": r"Code: (\d+)"}, "123456"),
        ({"regex": r"Code: \d+"}, "Code: 123456"),
        ({"regex": r"^Code: \d+ (.*)$", "unescape": True}, "& more"),
        ({"regex": r"^Code: \d+ (.*)$"}, "&amp; more"),
        ({"header": "x-id"}, "7"),
        ({"header": "X-Id", "regex": "(8)?"}, ""),
        ({"cookie": "session"}, "s3"),
        ({"form": "login", "regex": r"flow=(\d)"}, "1"),
    ],
)
def test_a_value_is_captured(source: dict[str, Any], value: str) -> None:
    assert captures.capture(source, answer(PAGE, X_Id="7"), {"session": "s3"}) == value


def test_a_json_value_that_is_not_a_string_is_captured_as_json() -> None:
    assert captures.capture({"json": "active"}, answer(json.dumps(FLOW)), {}) == "true"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"input": "nope"}, "no input nope"),
        ({"form": "nope"}, "no form nope"),
        ({"header": "nope"}, "no header nope"),
        ({"cookie": "nope"}, "no cookie nope"),
        ({"regex": "nope(.)"}, "nothing matches"),
    ],
)
def test_a_missing_value_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(captures.CaptureError, match=message):
        captures.capture(source, answer(PAGE), {})


def test_a_secret_is_masked_in_all_its_forms() -> None:
    mask = masking.Mask(['pa"ss w/ö<', "abc"])
    text = 'pa"ss w/ö< pa%22ss%20w%2F%C3%B6%3C pa%22ss+w%2F%C3%B6%3C pa&quot;ss w/ö&lt; pa\\"ss w/\\u00f6< abc'
    assert mask.clean(text) == "*** *** *** *** *** abc"


@pytest.mark.parametrize(
    "text",
    [
        '{"session_token": "hidden-value", "a": 1}',
        "Set-Cookie: hidden-value; Path=/",
        "password=hidden-value&a=b",
        "Authorization: hidden-value",
        '{"csrf_token":"hidden-\\"value',
    ],
)
def test_values_with_secret_names_are_masked(text: str) -> None:
    assert "hidden-" not in masking.Mask().clean(text)


def test_other_words_are_not_masked() -> None:
    assert masking.Mask().clean("the password is wrong, status 401") == "the password is wrong, status 401"
