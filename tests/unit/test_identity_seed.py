# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module identity_seed and the controller's part of it, together as in a play."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bcrypt
import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom import hashing, identities
from fake_kratos import FakeKratos, error
from modules import run_module
from webserver import Site, serve

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "correct horse 7"


def plugin(kind: str, name: str) -> Any:
    """Load a plugin file of the project."""
    spec = importlib.util.spec_from_file_location(f"{kind}_{name}", ROOT / "plugins" / kind / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Task:
    """The task as a play has it: the action plugin, and a host on which its module runs; `calls` are its arguments."""

    def __init__(self, kratos: FakeKratos, site: Site, folder: Path) -> None:
        self.kratos, self.site = kratos, site
        self.ledger = folder / "ledger.json"
        self.calls: list[dict[str, Any]] = []
        self.printed = ""

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        given = {
            "url": self.site.url,
            "set": "people",
            "count": 5,
            "domain": "people.staging.invalid",
            "allowed": True,
            "password": PASSWORD,
            "cost": 10,
            "ledger": str(self.ledger),
            **arguments,
        }
        self.calls.clear()
        task: Any = SimpleNamespace(args=given, check_mode=check, async_val=0, diff=True)
        connection: Any = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        action = plugin("action", "identity_seed").ActionModule(task, connection, None, None, None, None)

        def execute(module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
            self.calls.append(module_args)
            result = run_module("identity_seed", check=check, diff=True, **module_args)
            self.printed = str(result.pop("text"))
            return result

        action._execute_module = execute
        result: dict[str, Any] = action.run(task_vars={})
        return result


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    monkeypatch.setattr(identities, "PAUSES", (0.0, 0.0))
    kratos = FakeKratos()
    with serve(kratos.respond) as site:
        yield Task(kratos, site, tmp_path)


def test_people_are_created_once_with_a_password_that_opens(task: Task) -> None:
    first = task.run()
    assert (first["changed"], first["created"], first["present"], first["removed"]) == (True, 5, 5, 0)
    assert first["first"] == "people-1-993dd09b@people.staging.invalid"
    assert len(task.calls) == 2
    sent = json.loads(task.site.asked[-1].body)["identities"]
    made = {each["create"]["credentials"]["password"]["config"]["hashed_password"] for each in sent}
    assert len(made) == 1
    assert bcrypt.checkpw(PASSWORD.encode(), made.pop().encode())

    task.site.asked.clear()
    again = task.run()
    assert (again["changed"], again["created"], again["present"]) == (False, 0, 5)


def test_a_run_that_changes_nothing_is_one_call_and_one_request_and_no_hash(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    task.site.asked.clear()
    monkeypatch.setattr(hashing, "hash_password", None)
    result = task.run()
    assert (len(task.calls), len(task.site.asked), result["requests"]) == (1, 1, 1)
    assert "missing_people" not in result
    assert "people" not in result


def test_check_mode_writes_nothing_and_predicts_the_counts(task: Task) -> None:
    task.kratos.add("people-real@person.invalid")
    predicted = task.run(check=True)
    assert (len(task.calls), task.kratos.writes) == (1, 0)
    assert not task.ledger.exists()
    done = task.run()
    for key in ("changed", "created", "removed", "present", "extra", "diff"):
        assert predicted[key] == done[key]
    predicted = task.run(check=True, state="absent")
    assert len(task.kratos.identities) == 6
    done = task.run(state="absent")
    for key in ("changed", "created", "removed", "present", "extra", "diff"):
        assert predicted[key] == done[key]
    assert done["removed"] == 5
    assert task.run(check=True, state="absent")["changed"] is False


def test_the_set_is_removed_and_its_ledger_too(task: Task) -> None:
    task.run()
    assert task.ledger.exists()
    result = task.run(state="absent", password=None)
    assert (result["changed"], result["removed"], result["present"]) == (True, 5, 0)
    assert not task.ledger.exists()
    assert task.run(state="absent")["changed"] is False


def test_a_lost_ledger_is_written_again(task: Task) -> None:
    task.run()
    content = task.ledger.read_text()
    task.ledger.unlink()
    assert task.run(check=True)["changed"]
    assert task.run()["changed"]
    assert task.ledger.read_text() == content


def test_a_conflict_fails_and_the_others_are_there(task: Task) -> None:
    address = identities.People("people", "1", 5, "people.staging.invalid").address(3)
    task.kratos.add(address)
    assert task.run(check=True)["failed"]
    result = task.run()
    assert result["failed"]
    assert (result["created"], result["present"], result["conflicts"]) == (4, 4, [address])
    assert result["msg"] == (
        f"these addresses belong to identities that are not synthetic, and were left alone: {address}"
    )
    assert task.run()["msg"] == result["msg"]


def test_what_the_server_refuses_fails_with_its_reason(task: Task) -> None:
    result = task.run(schema_id="nobody")
    assert result["failed"]
    assert result["msg"].startswith("5 people were not created: person 1: unknown schema; person 2")
    task.kratos.trouble = lambda asked: error(503, "overloaded")
    result = task.run()
    assert result["msg"] == f"{task.site.url}: status 503: overloaded"
    assert len(task.calls) == 1


@pytest.mark.parametrize("state", ["present", "absent"])
def test_an_environment_that_wants_no_synthetic_people_gets_none(task: Task, state: str) -> None:
    result = task.run(allowed=False, state=state)
    assert result["failed"]
    assert result["msg"] == "refused: synthetic people are not allowed in this environment"
    assert task.site.asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"password": ""}, "the password is empty"),
        ({"password": None}, "the password is empty"),
        ({"password": "x" * 73}, "has 73 bytes"),
        ({"cost": 4}, "cost must be 10 to 16"),
        ({"cost": "much"}, "invalid literal"),
    ],
)
def test_a_password_that_cannot_be_hashed_is_refused_before_anything_is_asked(
    task: Task, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnsibleActionFail, match=message):
        task.run(**arguments)
    assert task.calls == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"domain": "gmail.com"}, "could receive mail"),
        ({"count": -1}, "count must be 0 or more"),
        ({"set": "A"}, "no name for a set"),
        ({"state": "gone"}, "gone"),
        ({"ledger": "/dev/null/x"}, "/dev/null/x"),
    ],
)
def test_wrong_arguments_are_refused(task: Task, arguments: dict[str, Any], message: str) -> None:
    result = task.run(**arguments)
    assert result["failed"]
    assert message in result["msg"]


def test_the_password_does_not_leave_the_controller_nor_the_hash_the_module(task: Task) -> None:
    result = task.run()
    assert all("password" not in call for call in task.calls)
    assert PASSWORD not in task.printed + str(result)
    assert "_names" not in result["invocation"]["module_args"]
    assert task.calls[1]["_password_hash"].startswith("$2b$10$")
    assert task.calls[1]["_password_hash"] not in task.printed + str(result)


def test_the_filter_knows_the_address() -> None:
    filters = plugin("filter", "people").FilterModule().filters()
    address = filters["person_address"](1, "people", 1, "people.staging.invalid")
    assert address == "people-1-993dd09b@people.staging.invalid"
    with pytest.raises(Exception, match="could receive mail"):
        filters["person_address"](1, "people", 1, "gmail.com")
