"""Variables must be declared by roles, and a run has one environment."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.validate import variable_names

DECLARED: dict[str, dict[str, dict[str, Any]]] = {
    "edge": {"edge_limits": {}, "edge_indexed": {}},
    "edge_slot": {},
    "environment": {"environment_name": {}, "confirm": {}, "create": {}, "to": {}, "release_images": {}},
}


def test_options_of_all_entry_points_are_declared() -> None:
    spec = {"argument_specs": {"main": {"options": {"a": {"type": "str"}}}, "open": {"options": {"b": {}}}, "x": {}}}
    assert variable_names.declared_options(spec) == {"a": {"type": "str"}, "b": {}}
    assert variable_names.declared_options(None) == {}
    assert variable_names.declared_options({"argument_specs": None}) == {}


@pytest.mark.parametrize(
    ("name", "role"), [("edge_limits", "edge"), ("edge_slot_x", "edge_slot"), ("edges", None), ("x_edge_y", None)]
)
def test_the_longest_role_name_owns_a_variable(name: str, role: str | None) -> None:
    assert variable_names.role_of(name, DECLARED) == role


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("edge_limts", 'edge_limts: role edge has no such variable; did you mean "edge_limits"?'),
        ("edge_slot_limits", 'edge_slot_limits: role edge_slot has no such variable; did you mean "edge_limits"?'),
        ("enviroment_name", 'enviroment_name: unknown variable; did you mean "environment_name"?'),
        ("release_image", 'release_image: unknown variable; did you mean "release_images"?'),
    ],
)
def test_a_misspelled_name_is_reported_with_a_suggestion(name: str, line: str) -> None:
    assert variable_names.name_problems([name, "edge_limits"], DECLARED) == [line]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("edge_watchdog_interval", "edge_watchdog_interval: this variable is called edge_watchdog_seconds now"),
        ("drain_seconds", "drain_seconds: this variable is called cutover_drain_seconds now"),
    ],
)
def test_an_old_name_is_reported_with_the_new_one(name: str, line: str) -> None:
    assert variable_names.name_problems([name], DECLARED) == [line]
    assert variable_names.name_problems([], DECLARED, [name]) == [line]


@pytest.mark.parametrize("toggle", ["new_checkout", "test_endpoints"])
def test_a_variable_that_became_a_toggle_is_reported(toggle: str) -> None:
    line = f"portal_{toggle}: this variable is a toggle now: set environment_toggles: {{{toggle}: true}}"
    assert variable_names.name_problems([f"portal_{toggle}"], DECLARED, services=["portal"]) == [line]
    assert variable_names.name_problems([], DECLARED, [f"portal_{toggle}"]) == [line]


@pytest.mark.parametrize("name", ["__edge_x", "ansible_host", "awx_job_id", "groups", "my_own", "craete", "catalogue"])
def test_unrelated_names_are_ignored(name: str) -> None:
    assert variable_names.name_problems([name], DECLARED) == []


def test_options_are_compared_less_strictly() -> None:
    assert variable_names.name_problems([], DECLARED, ["craete"]) == [
        'craete: unknown variable; did you mean "create"?'
    ]
    assert variable_names.name_problems([], DECLARED, ["create", "my_own"]) == []


def test_a_variable_of_a_service_can_be_similar_to_one_of_a_role() -> None:
    alike = "portal_edge_limits"
    assert variable_names.name_problems([], DECLARED, [alike], ["kratos"]) == [
        'portal_edge_limits: unknown variable; did you mean "edge_limits"?'
    ]
    assert variable_names.name_problems([], DECLARED, [alike], ["kratos", "portal"]) == []


def test_required_variables_must_be_set() -> None:
    declared = {"edge": {"edge_name": {"required": True}, "edge_limits": {"required": False}}, "smoke": {}}
    assert variable_names.missing_problems([], declared) == ["edge_name: missing; role edge needs it"]
    assert variable_names.missing_problems(["edge_name"], declared) == []


GROUPS = {"all": ["a", "e"], "staging": ["a", "e"], "app": ["a"], "edge": ["e"]}
CHILDREN = {"all": ["staging"], "staging": ["app", "edge"], "app": [], "edge": []}


def test_one_environment_is_valid() -> None:
    assert variable_names.environment_problems({"a": "staging", "e": "staging"}, GROUPS, CHILDREN) == []


@pytest.mark.parametrize(
    ("names", "children", "start"),
    [
        ({"a": "staging", "e": None}, CHILDREN, "environment_name: missing for e"),
        ({"a": "staging", "e": "production"}, CHILDREN, "more than one environment at once: production, staging"),
        (
            {"a": "staging", "e": "staging"},
            CHILDREN | {"production": ["app", "edge"]},
            "more than one environment at once: production, staging",
        ),
        ({"a": "uat", "e": "uat"}, {"all": ["app"]}, "environment_name: uat, but not in a group of that name: a, e"),
    ],
)
def test_anything_but_one_environment_is_reported(names: Any, children: Any, start: str) -> None:
    (line,) = variable_names.environment_problems(names, GROUPS, children)
    assert line.startswith(start)


@pytest.mark.parametrize(
    ("protected", "confirm", "line"),
    [
        (False, None, None),
        (False, "staging", None),
        (True, "staging", None),
        (True, None, "staging is protected: add -e confirm=staging"),
        (True, "", "staging is protected: add -e confirm=staging"),
        (False, "uat", 'confirm: "uat" is not the environment of this inventory, which is "staging"'),
        (True, "uat", 'confirm: "uat" is not the environment of this inventory, which is "staging"'),
    ],
)
def test_a_protected_environment_needs_a_confirmation(protected: bool, confirm: Any, line: str | None) -> None:
    assert variable_names.confirmation_problems("staging", protected, confirm) == ([line] if line else [])


def test_detected_variables_can_not_be_set() -> None:
    assert variable_names.found_problems(["release_name", "smoke_slot", "to"]) == []
    (line,) = variable_names.found_problems(["release_name", "slot_target"])
    assert line.startswith("slot_target: can't be set, a run detects it; use -e to=<slot> to cut over")
    (line,) = variable_names.found_problems(["release_name", "release"])
    assert line == "release: can't be set, a run detects it; use -e release_name=<release> to deploy a release"


@pytest.mark.parametrize("name", ["environment_needs", "environment_dead_tolerated", "__environment_lock_hosts"])
def test_options_can_not_leave_out_the_lock(name: str) -> None:
    (line,) = variable_names.found_problems(["to", name])
    assert line.startswith(f"{name}: can't be set")


def test_detected_variables_are_not_suggested() -> None:
    declared: dict[str, dict[str, dict[str, Any]]] = {"environment": {"release": {}, "release_name": {}}}
    assert variable_names.name_problems([], declared, ["releases"]) == [
        'releases: unknown variable; did you mean "release_name"?'
    ]


def test_a_service_may_have_the_name_of_a_role() -> None:
    names = ["edge_color", "edge_limts"]
    line = 'edge_limts: role edge has no such variable; did you mean "edge_limits"?'
    assert variable_names.name_problems(names, DECLARED, services=["edge"]) == [line]
    assert len(variable_names.name_problems(names, DECLARED)) == 2
