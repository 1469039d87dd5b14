# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mistakes in checks.yml, one line each, with the nearest right name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue import smoke_schema
from ansible.module_utils.greenroom.controller.catalogue.smoke_schema import LATER

GROUPS = {"ops": ["ops1"], "app": ["app1"]}
RIGHT = {"name": "It opens", "url": "/"}


def problems_of(**more: Any) -> list[str]:
    lines: list[str] = smoke_schema.file_problems([{**RIGHT, **more}])
    return lines


@pytest.mark.parametrize(
    "more",
    [
        {"expect": {"status": "401", "contains": ["a", "b"], "headers": {"Location": True}}},
        {"expect": {"status": [200, 204]}, "timeout": "2.5", "retry": 3, "mutates": "yes", "follow": False},
        {"on": "app", "each": [{"port": 1}], "headers": {"Accept": "${port}"}},
        {"each": LATER, "follow": LATER, "timeout": "${seconds}", "expect": LATER, "form": None},
        {"url": None, "steps": [{"name": "one", "url": LATER, "capture": {"x": {"header": "Location"}}}]},
        {"url": None, "type": "tls", "host": "x", "tls": {"min_days": 14}},
    ],
)
def test_a_correct_check_has_no_errors(more: dict[str, Any]) -> None:
    assert problems_of(**more) == []


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"ulr": "/"}, '[0].ulr: unknown key; did you mean "url"?'),
        ({True: "app"}, '[0]: YAML reads a bare `on` as true; write `"on"`'),
        ({"on": "opps"}, '[0].on: unknown value "opps"; did you mean "ops"?'),
        ({"on": "edge"}, '[0].on: unknown value "edge"; known: app, ops'),
        ({"name": None}, "[0].name: missing"),
        ({"mutates": "perhaps"}, '[0].mutates: expected true or false, got "perhaps"'),
        ({"timeout": "long"}, '[0].timeout: expected a number, got "long"'),
        ({"url": ["/"]}, "[0].url: expected a string, got ['/']"),
        ({"headers": "Accept"}, '[0].headers: expected a mapping, got "Accept"'),
        ({"expect": {"status": ["ok"]}}, '[0].expect.status[0]: expected an integer, got "ok"'),
        ({"expect": {"status": True}}, "[0].expect.status[0]: expected an integer, got True"),
        ({"steps": [{"url": "/", "expct": {}}]}, '[0].steps[0].expct: unknown key; did you mean "expect"?'),
        ({"url": None}, "check 'It opens': url is missing"),
        ({"capture": {"x": {"regx": "y"}}}, "check 'It opens': capture x: set a source: json, header, cookie, "),
        ({"each": None}, "[0].each: empty"),
        ({"each": ["a"]}, '[0].each[0]: expected a mapping, got "a"'),
    ],
)
def test_an_error_is_one_line(more: dict[Any, Any], line: str) -> None:
    (found,) = smoke_schema.file_problems([{**RIGHT, **more}])
    assert found.startswith(line)


def test_a_file_is_a_list_of_checks() -> None:
    assert smoke_schema.file_problems(None) == []
    assert smoke_schema.file_problems({"a": RIGHT}) == ["expected a list of checks"]
    assert smoke_schema.file_problems(["a", None]) == [
        '[0]: expected a mapping, got "a"',
        "[1]: empty",
    ]


def run_problems(checks: dict[str, Any], routed: tuple[str, ...] = ("shop",), **more: Any) -> list[str]:
    found = {name: smoke_schema.expanded(content) for name, content in checks.items()}
    return list(smoke_schema.run_problems(found, routed, **{"groups": GROUPS, "mutating": True, **more}))


def test_check_names_are_unique() -> None:
    each = {"name": "It opens ${x}", "url": "/", "each": [{"x": 1}, {"x": 2}]}
    assert run_problems({"shop": [RIGHT, each], "other": None}) == []
    assert run_problems({"shop": [RIGHT, {**each, "name": "same"}]}) == ["check 'same': the name is used twice"]
    assert run_problems({"shop": [RIGHT], "other": [RIGHT]}) == ["check 'It opens': the name is used twice"]
    assert run_problems({"shop": [{**RIGHT, "name": LATER}, {**RIGHT, "name": LATER, "each": LATER}]}) == []


def test_checks_have_a_host_to_run_from() -> None:
    both = {"shop": [RIGHT, {**RIGHT, "name": "inside", "on": "app"}]}
    assert run_problems(both) == []
    # Without ops hosts, the app hosts run all checks.
    assert run_problems(both, groups={"app": ["app1"]}) == []
    assert run_problems(both, groups={"ops": ["ops1"]}) == [
        '1 smoke checks run from the group "app", which has no hosts'
    ]


def test_services_with_public_routes_need_checks() -> None:
    (line,) = run_problems({"shop": []})
    assert line.endswith("add at least one to shop/checks.yml")
    assert run_problems({"shop": []}, routed=()) == []
    leaves = {"shop": [{**RIGHT, "mutates": True}]}
    assert run_problems(leaves) == []
    (line,) = run_problems(leaves, mutating=False)
    assert line.startswith("no service has a smoke check that changes no data, ")
