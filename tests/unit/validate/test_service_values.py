"""What containers get is rendered for each host and slot before a run touches a host; problems name file and key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.bundle.environment_file import secret_problems
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.validate.service_values import FACTS, value_problems

ROOT = Path(__file__).resolve().parents[3]
GROUPS = {"app": ["app1", "app2"]}
# Only a later task of the same role sets them.
OF_ONE_TASK = "__"


def problems(folder: Path, render: Callable[[str, Any], Any] = lambda _host, value: value, **keys: Any) -> list[str]:
    """The problems of the service `shop`; `render` takes a host and a value or path."""

    def renderer(host: str, more: Mapping[str, Any]) -> Callable[[Any], Any]:
        assert more["slot"] in ("blue", "green")
        return lambda value: render(host, value)

    service = normalise("shop", {"image": "shop", **keys}, str(folder / "services/shop"))
    return list(value_problems({"shop": service}, GROUPS, {"bundle_pull_seconds"}, renderer))


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"command": ["a", ""]}, "command[1]: Quadlet drops an empty argument and all that follow"),
        ({"command": [";"]}, "command[0]: systemd ends a command at a lone `;`"),
        ({"migrate": ["a\0b"]}, "migrate[0]: has a zero byte"),
        ({"prepare": ["a" * 70_000]}, "prepare[0]: has 70000 bytes; the most is 65535"),
        ({"seed": ["\ud800"]}, "seed[0]: is not valid Unicode text"),
        ({"health": {"command": ["a", "b\0"]}}, "health.command[1]: has a zero byte"),
        ({"environment": {"KEY": "-----BEGIN\nMIIE"}}, "environment.KEY: has more than one line"),
        ({"environment": {"KEY": "a\r"}}, "environment.KEY: has more than one line"),
        ({"environment": {"KEY": "a" * 65_532}}, "environment.KEY: has 65532 bytes; the most is 65531"),
    ],
)
def test_a_value_that_would_not_arrive_is_refused(keys: dict[str, Any], line: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, **keys)
    assert found.startswith(f"services/shop/service.yml: {line}")
    assert "MIIE" not in found


def test_what_arrives_is_not_refused(tmp_path: Path) -> None:
    words = ["\\q", "$HOME", "%h", "'", '"', " ", "\n", "a;b", "é"]
    # Podman gets these as a list, without a unit.
    assert problems(tmp_path, command=words, migrate=[*words, "", ";"], seed=[""], prepare=[";"]) == []
    assert problems(tmp_path, health={"command": [*words, "", ";"]}) == []
    values = {"A": "", "B": " # 'x' \"", "C": "$HOME", "D": 5, "E": "a" * 60_000}
    assert problems(tmp_path, environment=values) == []


def test_an_undefined_variable_names_file_and_key(tmp_path: Path) -> None:
    def render(_host: str, value: Any) -> Any:
        raise ValueError(f"'{value}' is undefined")

    assert problems(tmp_path, render, environment={"A": "nowhere"}, seed=["typo"]) == [
        "services/shop/service.yml: environment.A: 'nowhere' is undefined",
        "services/shop/service.yml: seed[0]: 'typo' is undefined",
    ]
    # A run knows these only later.
    later = {"A": "secrets_values", "B": "slot_live", "C": "bundle_pull_seconds", "D": "ansible_facts"}
    assert problems(tmp_path, render, environment=later) == []


def test_a_configuration_that_cant_be_rendered_is_named(tmp_path: Path) -> None:
    file = tmp_path / "services/shop/config/deep/shop.yml.j2"
    file.parent.mkdir(parents=True)
    file.write_text("")

    def render(_host: str, value: Any) -> Any:
        if value == file:
            raise ValueError("'typo' is undefined")
        return value

    line = "services/shop/config/deep/shop.yml.j2: 'typo' is undefined"
    assert problems(tmp_path, render, config_path="/etc/shop") == [line]
    assert problems(tmp_path, render) == []


def test_a_problem_of_some_hosts_names_them(tmp_path: Path) -> None:
    def render(host: str, value: Any) -> Any:
        return None if host == "app2" else value

    line = "services/shop/service.yml: environment.A: expected a string or a number, got nothing (on app2)"
    assert problems(tmp_path, render, environment={"A": "x"}) == [line]


def test_a_secret_that_would_not_arrive_is_refused_without_printing_it() -> None:
    secrets = {"KEY": {"value": "key"}, "RING": {"ring": "keys"}, "DSN": {"login": "shop"}, "FINE": {"value": "fine"}}
    service = normalise("shop", {"image": "shop", "secrets": secrets}, "/services/shop")
    values = {
        "shop/value/key": {"value": "-----BEGIN\nhidden"},
        "shop/value/fine": {"value": " #{{ x }}$HOME'\""},
        "shop/ring/keys": {"values": "hidden\r"},
        "shop/login/blue": {"password": "a\nb"},
    }
    found = list(secret_problems({"shop": service}, values, "staging"))
    assert [line.partition(" has ")[0] for line in found] == [
        "staging/shop/value/key (KEY of shop)",
        "staging/shop/ring/keys (RING of shop)",
    ]
    assert "hidden" not in "".join(found)


def test_the_facts_of_a_run_are_those_that_its_first_roles_set() -> None:
    found = set()
    for role in ("environment", "secrets"):
        for file in (ROOT / "roles" / role / "tasks").glob("*.yml"):
            for task in yaml.safe_load(file.read_text()):
                found |= set(task.get("ansible.builtin.set_fact", ()))
    assert {name for name in found if not name.startswith(OF_ONE_TASK)} == FACTS
