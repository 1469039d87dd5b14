# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module identity_seed together with its action plugin, as in a play."""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bcrypt
import jinja2
import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.common import secret_file
from ansible.module_utils.greenroom.controller.people import hashing
from ansible.module_utils.greenroom.people import (
    apply,
    client,
    compare,
    passwords,
    population,
    set_lock,
    users,
)
from ansible.module_utils.greenroom.people.invent import phones
from fake_kratos import SCHEMA, FakeKratos, error
from modules import run_module
from webserver import Asked, Reply, Site, hang, misbehave, serve

from bench.common import free_port

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "correct horse 7"
KEY = "a key of at least sixteen bytes"
DOMAIN = "people.staging.invalid"
# The same input has the same result.
scrypt_once = functools.cache(hashlib.scrypt)
COUNTS = ("created", "updated", "removed", "present", "outdated", "extra", "changed")


def plugin(kind: str, name: str) -> Any:
    """Load a plugin file of the project."""
    spec = importlib.util.spec_from_file_location(f"{kind}_{name}", ROOT / "plugins" / kind / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Task:
    """A task: the action plugin, and a host where its module runs.

    `calls` are the module's arguments, `secrets` what it got in files, `commands` other commands on the host.
    """

    def __init__(self, kratos: FakeKratos, site: Site, folder: Path) -> None:
        self.kratos, self.site = kratos, site
        self.folder = folder
        self.ledger, self.users = folder / "people.db", folder / "people.jsonl"
        self.calls: list[dict[str, Any]] = []
        self.secrets: list[dict[str, Any]] = []
        self.commands: list[str] = []
        self.pipelining, self.shell = True, ""
        self.seconds, self.interval = 60.0, 600.0
        self.clock = time.monotonic
        self.told: list[str] = []
        self.brought: list[str] = []
        self.costs: list[int] = []
        self.printed = ""

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run the task without the arguments that are None."""
        defaults = {
            "url": self.site.url,
            "set": "people",
            "count": 5,
            "domain": DOMAIN,
            "allowed": True,
            "password": PASSWORD,
            "cost": 10,
            "ledger": str(self.ledger),
            "generators": str(self.folder / "python"),
        }
        given = {key: value for key, value in {**defaults, **arguments}.items() if value is not None}
        self.calls.clear()
        self.secrets.clear()
        self.commands.clear()
        self.site.asked.clear()
        task: Any = SimpleNamespace(args=given, _role=None, check_mode=check, async_val=0, diff=True)
        shell: Any = SimpleNamespace(tmpdir=str(self.folder), join_path=lambda *parts: "/".join(parts))
        source = plugin("action", "identity_seed")
        source.SECONDS, source.INTERVAL = self.seconds, self.interval
        source.time = SimpleNamespace(monotonic=self.clock)
        source.hashlib = SimpleNamespace(scrypt=scrypt_once)
        source.Display = lambda: SimpleNamespace(display=self.told.append)
        connection = SimpleNamespace(_shell=shell, has_pipelining=self.pipelining, become=None)
        action = source.ActionModule(task, connection, None, None, None, None)

        def execute(module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
            self.calls.append(copy.deepcopy(module_args))
            if path := module_args.get("_secrets"):
                self.secrets.append({"mode": Path(path).stat().st_mode & 0o777, **json.loads(Path(path).read_text())})
            return self.execute(module_args, check)

        def bring(source: str, target: str) -> None:
            self.brought.append(Path(target).name)
            shutil.copyfile(source, target)

        def command(text: str, in_data: bytes = b"") -> dict[str, Any]:
            self.commands.append(text)
            environment = {**os.environ, "TMPDIR": str(self.folder)}
            text = self.shell or text.replace("-p /run", "-p /nowhere")
            done = subprocess.run(["sh", "-c", text], input=in_data, env=environment, capture_output=True, check=False)
            return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

        def transfer(path: str, content: str) -> None:
            Path(path).write_text(content)

        def close(paths: list[str], mode: str) -> None:
            assert mode == "u=rw,go="
            for path in paths:
                Path(path).chmod(0o600)

        action._execute_module = execute
        action._low_level_execute_command = command
        action._transfer_data = transfer
        action._remote_chmod = close
        action._transfer_file = bring
        action._fixup_perms2 = lambda paths, execute=True: None
        result: dict[str, Any] = action.run(task_vars={})
        return result

    def execute(self, module_args: dict[str, Any], check: bool) -> dict[str, Any]:
        """Run the module on the host."""
        result = run_module("identity_seed", check=check, diff=True, **module_args)
        self.printed += str(result.pop("text"))
        return result

    def methods(self) -> list[str]:
        return [asked.method for asked in self.site.asked]

    def created(self) -> list[dict[str, Any]]:
        """The batches of users in requests."""
        bodies = [json.loads(asked.body) for asked in self.site.asked if asked.method == "PATCH"]
        return [each["create"] for body in bodies if "identities" in body for each in body["identities"]]


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.01)
    # Generous: tests with an unreachable server set shorter timeouts.
    monkeypatch.setattr(client, "TIMEOUT", 60.0)
    monkeypatch.setattr(client, "FIRST_TIMEOUT", 60.0)
    # This machine may be slow, which makes batches smaller.
    monkeypatch.setattr(apply, "QUICK", 6000.0)
    monkeypatch.setattr(set_lock, "TIMEOUT", 0.3)
    monkeypatch.setattr(set_lock, "LEASE", 0.2)
    archive = tmp_path / "local" / "generator-0123456789abcdef.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("nothing.py", "")
    # An empty archive is enough, because this Python imports the installed packages.
    monkeypatch.setattr(users, "generator_archive", lambda folder, locales=(): archive)
    monkeypatch.setattr(users, "archive_name", lambda digest, locales: archive.name)
    server = FakeKratos()
    with serve(server.respond) as site:
        made = Task(server, site, tmp_path)

        def cheap(cost: int) -> bytes:
            made.costs.append(cost)
            return salt(4)

        salt = bcrypt.gensalt
        monkeypatch.setattr(bcrypt, "gensalt", cheap)
        yield made


def recipe(**keys: Any) -> users.Recipe:
    return users.Recipe.of({"set": "people", "seed": "1", "count": 5, "domain": DOMAIN, **keys})


# --- present ---


def test_users_are_created_once_with_a_working_password(task: Task) -> None:
    first = task.run()
    assert (first["changed"], first["created"], first["present"], first["removed"]) == (True, 5, 5, 0)
    assert first["first"] == "people-1-993dd09b@people.staging.invalid"
    assert first["server"] == f"Ory Kratos v1.3.1 at {task.site.url}"
    assert first["rate"] > 0
    assert len(task.calls) == 2
    made = {each["credentials"]["password"]["config"]["hashed_password"] for each in task.created()}
    assert len(made) == 1
    assert bcrypt.checkpw(PASSWORD.encode(), made.pop().encode())
    assert task.costs == [10]
    assert task.kratos.addresses() == {recipe().address(key) for key in range(1, 6)}

    again = task.run()
    assert (again["changed"], again["created"], again["present"]) == (False, 0, 5)


def test_traits_fit_the_schema_and_are_reproducible(task: Task) -> None:
    task.run()
    before = [
        each["traits"] for each in sorted(task.kratos.identities.values(), key=lambda each: each["traits"]["email"])
    ]
    task.run(state="absent")
    assert task.kratos.identities == {}
    task.run(count=9)
    after = {each["traits"]["email"]: each["traits"] for each in task.kratos.identities.values()}
    assert [after[each["email"]] for each in before] == before
    assert all(set(each["name"]) <= {"first", "last"} for each in before)


def test_a_run_without_changes_is_one_call_with_few_requests(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    task.run()
    monkeypatch.setattr(users, "Inventor", None)
    task.brought.clear()
    result = task.run()
    # Version, schema, number of identities, and the list.
    assert (len(task.calls), task.methods(), result["requests"]) == (1, ["GET"] * 4, 4)
    assert task.brought == []
    assert "todo" not in result
    assert "hash" not in json.dumps(task.calls).replace("people_hash", "")


def test_a_run_without_changes_has_no_request_per_user(task: Task) -> None:
    task.run(count=2500)
    assert len(task.created()) == 2500
    assert len([each for each in task.site.asked if each.method == "PATCH"]) == 5
    result = task.run(count=2500)
    assert (result["changed"], result["present"]) == (False, 2500)
    assert result["requests"] == len(task.site.asked) <= 3 + 4


def test_the_generator_is_sent_to_a_host_once(task: Task) -> None:
    task.run()
    assert task.brought == ["generator-0123456789abcdef.zip"]
    assert (task.folder / "python" / task.brought[0]).stat().st_mode & 0o777 == 0o644
    assert len(task.calls) == 2
    assert task.run(count=6)["created"] == 1
    assert (len(task.brought), len(task.calls)) == (1, 1)


def test_check_mode_hashes_nothing(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "hash_password", None)
    assert task.run(check=True)["created"] == 5
    assert task.secrets == []


@pytest.mark.parametrize("state", ["present", "exact"])
def test_a_count_of_zero_creates_no_users(task: Task, state: str) -> None:
    result = task.run(count=0, state=state)
    assert (result["changed"], result["present"], task.kratos.writes) == (False, 0, 0)
    assert not task.ledger.exists()
    assert not task.users.exists()


def test_exact_with_a_count_of_zero_removes_all_users(task: Task) -> None:
    task.run()
    result = task.run(count=0, state="exact")
    assert (result["removed"], task.kratos.identities, task.users.exists()) == (5, {}, False)


def test_a_larger_count_adds_users_and_a_smaller_one_keeps_them(task: Task) -> None:
    task.run()
    assert task.run(count=7)["created"] == 2
    fewer = task.run(count=3)
    assert (fewer["created"], fewer["present"], fewer["extra"]) == (0, 3, 4)
    assert len(task.kratos.identities) == 7


def test_another_seed_creates_other_users(task: Task) -> None:
    task.run()
    result = task.run(seed="2")
    assert (result["created"], result["extra"], len(task.kratos.identities)) == (5, 5, 10)


def test_sets_do_not_mix_even_if_one_name_is_a_prefix_of_the_other(task: Task) -> None:
    task.run(set="people-1", count=3, ledger=str(task.folder / "other.db"))
    assert task.run()["created"] == 5
    assert task.run(state="absent")["removed"] == 5
    assert len(task.kratos.identities) == 3


def test_a_persona_of_one_set_never_has_the_address_of_another_sets(task: Task) -> None:
    for name, persona in (("people", "vip-admin"), ("people-vip", "admin")):
        result = task.run(set=name, count=1, personas=[{"name": persona}], ledger=str(task.folder / f"{name}.db"))
        assert (result["created"], result["conflicts"]) == (2, [])
    assert len(task.kratos.identities) == 4


def test_a_set_that_would_share_phone_numbers_with_another_one_is_refused(task: Task) -> None:
    document = copy.deepcopy(SCHEMA)
    phone = {"type": "string", "format": "tel", "ory.sh/kratos": {"verification": {"via": "sms"}}}
    document["properties"]["traits"]["properties"]["phone"] = phone
    task.kratos.schemas["default"] = document
    blocks: dict[int, str] = {}
    names = (f"x{number}" for number in itertools.count())
    other, name = next(
        (blocks[n], name) for name in names if blocks.setdefault(n := phones.block(name, "1"), name) != name
    )
    assert task.run(set=other, ledger=str(task.folder / f"{other}.db"))["created"] == 5
    (task.folder / "damaged.db").write_text("nothing")
    result = task.run(set=name, ledger=str(task.folder / f"{name}.db"))
    assert result["failed"]
    assert f"phone: user 1 would have the same phone number as a user of the set {other}" in result["msg"]
    assert len(task.kratos.identities) == 5
    assert task.run(set="people")["created"] == 5


def test_users_without_a_recipe_in_their_mark_are_recognized(task: Task) -> None:
    task.kratos.add(recipe().address(1), {"greenroom": {"set": "people", "seed": "1", "index": 1}})
    result = task.run()
    assert (result["created"], result["outdated"], result["present"]) == (4, 1, 5)
    assert task.run(state="exact")["updated"] == 1
    assert task.run(state="exact")["changed"] is False


# --- exact ---


def test_exact_removes_extra_users_and_keeps_the_others(task: Task) -> None:
    task.run()
    kept = {task.kratos.by_address(recipe().address(key))["id"] for key in (1, 2)}
    task.run(seed="2")
    result = task.run(state="exact", count=2)
    assert (result["created"], result["removed"], result["present"], result["extra"]) == (0, 8, 2, 0)
    assert set(task.kratos.identities) == kept
    assert task.run(state="exact", count=2)["changed"] is False


LEFT = "smoke-0a1b2c@" + DOMAIN


@pytest.mark.parametrize("typo", [{"count": 8}, {"seed": "2", "count": 100}])
def test_exact_does_not_remove_many_users_unless_somebody_allows_it(task: Task, typo: dict[str, Any]) -> None:
    task.run(count=100)
    extra = 92 if typo["count"] == 8 else 100
    for check in (True, False):
        for allowed in (0, extra - 1):
            result = task.run(state="exact", check=check, removals=allowed, **typo)
            assert result["failed"] is True
            assert f"refused: {extra} of 100 users of the set people are not in the recipe" in result["msg"]
            assert f"removals={extra}" in result["msg"]
            assert len(task.kratos.identities) == 100
            assert set(task.methods()) == {"GET"}
    assert task.run(state="exact", removals=extra, **typo)["removed"] == extra


def test_exact_removes_a_few_users_or_a_small_part_of_them(task: Task) -> None:
    task.run(count=30)
    assert task.run(state="exact", count=20)["removed"] == 10
    task.run(count=300)
    assert task.run(state="exact", count=270)["removed"] == 30
    assert task.run(state="exact", count=242, removals_users=0)["failed"] is True
    assert task.run(state="exact", count=242, removals_percent=11)["removed"] == 28
    assert task.run(state="absent")["removed"] == 242


@pytest.mark.parametrize("small", [True, False], ids=["few identities", "many identities"])
@pytest.mark.parametrize("state", ["exact", "absent"])
def test_exact_removes_only_leftovers_of_smoke_checks(
    task: Task, monkeypatch: pytest.MonkeyPatch, state: str, small: bool
) -> None:
    task.run()
    if not small:
        monkeypatch.setattr(compare, "SMALL", -100)
    gone = {task.kratos.add(address) for address in (LEFT, f"smoke-3d4e5f@{DOMAIN}")}
    others = {
        task.kratos.add("smoke-0a1b2c@example.org"),
        task.kratos.add(f"smoker@{DOMAIN}"),
        task.kratos.add(f"a-smoke-0a1b2c@{DOMAIN}"),
        task.kratos.add(f"smoke-1-0a1b2c@{DOMAIN}", {"greenroom": {"set": "smoke", "seed": "1", "key": "1"}}),
    }
    both = task.kratos.add(f"smoke-2@{DOMAIN}")
    task.kratos.identities[both]["verifiable_addresses"] += [{"value": "somebody@example.org"}]
    predicted = task.run(check=True, state=state, leftovers=["smoke-"])
    done = task.run(state=state, leftovers=["smoke-"])
    assert predicted["removed"] == done["removed"] == len(gone) + (5 if state == "absent" else 0)
    assert not gone & set(task.kratos.identities)
    assert {*others, both} <= set(task.kratos.identities)
    assert len(task.kratos.identities) == 5 + (5 if state == "exact" else 0)
    if state == "exact":
        assert task.run(state=state, leftovers=["smoke-"])["changed"] is False


def test_leftovers_of_smoke_checks_stay_by_default(task: Task) -> None:
    task.kratos.add(LEFT)
    task.run(state="exact")
    assert task.run(leftovers=["smoke-"])["extra"] == 1
    assert LEFT in task.kratos.addresses()


def test_users_of_smoke_checks_are_recognized_by_address() -> None:
    """The role removes the users that smoke checks create."""
    (beginning,) = yaml.safe_load((ROOT / "roles/seed/vars/main.yml").read_text())["__seed_leftovers"]
    checks = (ROOT / "services/kratos/checks.yml").read_text()
    addresses = re.findall(r"""[^\s"=]*\$\{run\}@[^"\n]*""", checks)
    assert len(addresses) == 7
    assert all(address.startswith(beginning) and address.endswith("@{{ seed_domain }}") for address in addresses)


@pytest.mark.parametrize("user_set", ["people", "people-vip"])
def test_smoke_checks_log_in_with_the_addresses_of_personas(user_set: str) -> None:
    """A set with a dash in its name has two dashes in its addresses, so no check writes an address itself."""
    checks = (ROOT / "services/kratos/checks.yml").read_text()
    given = {"seed_set": user_set, "seed_seed": "1", "seed_domain": DOMAIN}
    templates = re.findall(r"\{\{[^{}]*\bseed_set\b[^{}]*\}\}", checks)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["person_address"] = plugin("filter", "people").person_address
    found = {environment.from_string(text).render(given) for text in templates}
    assert found == {recipe(set=user_set).address(key) for key in ("two-factor", "linked")}


def test_exact_updates_outdated_users_and_keeps_their_ids(task: Task) -> None:
    task.run()
    ids = set(task.kratos.identities)
    changed: dict[str, Any] = {
        "traits": {"name.first": {"value": "Ada"}},
        "verified": 0,
        "metadata_public": {"tier": "gold"},
    }
    left = task.run(**changed)
    assert (left["changed"], left["outdated"]) == (False, 5)
    result = task.run(state="exact", **changed)
    assert (result["updated"], result["created"], result["outdated"]) == (5, 0, 0)
    assert set(task.kratos.identities) == ids
    for each in task.kratos.identities.values():
        assert each["traits"]["name"]["first"] == "Ada"
        assert each["metadata_public"] == {"tier": "gold"}
        assert [address["verified"] for address in each["verifiable_addresses"]] == [False]
        assert bcrypt.checkpw(PASSWORD.encode(), each["credentials"]["password"]["config"]["hashed_password"].encode())
    assert task.run(state="exact", **changed)["changed"] is False


def test_an_update_is_one_request(task: Task) -> None:
    task.run(count=30)
    task.run(count=30, password="another horse 8", state="exact")
    assert sorted(task.methods()).count("PUT") == 30
    assert "PATCH" not in task.methods()
    # Addresses that must be verified in another way than they are need one more.
    task.run(count=30, password="another horse 8", state="exact", verified=0.5)
    assert (task.methods().count("PUT"), task.methods().count("PATCH")) == (30, 15)


def test_metadata_of_other_programs_survives(task: Task) -> None:
    task.run()
    for renew in (False, True):
        for each in task.kratos.identities.values():
            each["metadata_admin"]["crm"] = 7
            each["metadata_public"] = {"seen": True}
        changed: dict[str, Any] = {"metadata_public": {"tier": f"gold {renew}"}, "renew": renew}
        assert task.run(state="exact", **changed)["updated"] == 5
        for each in task.kratos.identities.values():
            assert (each["metadata_admin"]["crm"], each["metadata_public"]["seen"]) == (7, True)
            assert each["metadata_public"]["tier"] == f"gold {renew}"


def test_outdated_users_can_be_created_again(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "RENEWED", 10)
    task.run(count=40, personas=["recovery-only"])
    before, file = set(task.kratos.identities), task.users.read_text()
    changed: dict[str, Any] = {"password": "another horse 8", "count": 42, "personas": ["recovery-only"]}
    result = task.run(state="exact", renew=True, **changed)
    assert (result["updated"], result["created"], result["removed"], result["present"]) == (41, 2, 0, 43)
    assert not before & set(task.kratos.identities)
    assert task.methods().count("DELETE") == 41
    assert task.methods().count("PATCH") <= 5 + 2
    assert task.users.read_text() != file
    hashed = task.kratos.by_address(recipe().address(1))["credentials"]["password"]["config"]["hashed_password"]
    assert bcrypt.checkpw(b"another horse 8", hashed.encode())
    assert task.run(state="exact", renew=True, **changed)["changed"] is False


def test_users_that_were_removed_and_not_created_again_are_created_by_the_next_run(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.2)
    task.run()
    task.kratos.trouble = lambda asked: error(503, "down") if asked.method == "PATCH" else None
    assert task.run(state="exact", verified=0, renew=True)["failed"]
    task.kratos.trouble = lambda asked: None
    result = task.run(state="exact", verified=0, renew=True)
    assert (result["created"] + result["updated"], len(task.kratos.identities)) == (5, 5)
    assert task.run(state="exact", verified=0)["changed"] is False


def test_another_domain_changes_addresses(task: Task) -> None:
    task.run()
    ids = set(task.kratos.identities)
    result = task.run(state="exact", domain="b.test")
    assert (result["updated"], set(task.kratos.identities)) == (5, ids)
    assert all(each.endswith("@b.test") for each in task.kratos.addresses())
    assert all(each["verifiable_addresses"][0]["verified"] for each in task.kratos.identities.values())


def test_only_exact_sets_a_new_password(task: Task) -> None:
    task.run()
    assert task.run(password="another horse 8")["outdated"] == 5
    assert task.run(password="another horse 8", state="exact")["updated"] == 5
    hashed = task.kratos.by_address(recipe().address(1))["credentials"]["password"]["config"]["hashed_password"]
    assert bcrypt.checkpw(b"another horse 8", hashed.encode())


def test_an_interrupted_update_is_repeated(task: Task) -> None:
    task.run()

    def fail_to_verify(asked: Asked) -> Reply | None:
        return error(400, "no") if asked.method == "PATCH" and asked.path != "/admin/identities" else None

    task.kratos.trouble = fail_to_verify
    assert task.run(state="exact", domain="b.test")["failed"]
    task.kratos.trouble = lambda asked: None
    assert task.run(state="exact", domain="b.test")["updated"] == 5
    assert all(each["verifiable_addresses"][0]["verified"] for each in task.kratos.identities.values())


def test_a_user_that_vanishes_during_an_update_is_created(task: Task) -> None:
    task.run()
    gone = task.kratos.by_address(recipe().address(3))["id"]

    def lose(asked: Asked) -> Reply | None:
        if asked.method == "PUT" and asked.path.endswith(gone):
            task.kratos.identities.pop(gone, None)
        return None

    task.kratos.trouble = lose
    result = task.run(state="exact", verified=0)
    assert (result["updated"], result["created"], result["present"]) == (4, 1, 5)
    assert task.run(state="exact", verified=0)["changed"] is False


# --- personas ---


def test_personas_are_created(task: Task) -> None:
    result = task.run(personas=["unverified", "inactive", "recovery-only", {"name": "vip", "first": "Véra"}])
    assert (result["created"], result["present"]) == (9, 9)
    wanted = recipe(personas=["unverified", "inactive", "recovery-only", "admin"])
    by_name = {
        name: task.kratos.by_address(wanted.address(name)) for name in ("unverified", "inactive", "recovery-only")
    }
    assert by_name["unverified"]["verifiable_addresses"][0]["verified"] is False
    assert by_name["inactive"]["state"] == "inactive"
    assert by_name["recovery-only"]["credentials"] == {}
    assert task.kratos.by_address(f"people-vip@{DOMAIN}")["traits"]["name"]["first"] == "Véra"
    keys = [json.loads(line)["key"] for line in task.users.read_text().splitlines()]
    assert keys == ["inactive", "recovery-only", "unverified", "vip", "1", "2", "3", "4", "5"]


def test_a_persona_keeps_its_id_under_another_seed(task: Task) -> None:
    task.run(count=1, personas=["admin"])
    before = task.kratos.by_address(f"people-admin@{DOMAIN}")["id"]
    result = task.run(count=1, personas=["admin"], seed="2", state="exact")
    assert (result["created"], result["updated"], result["removed"]) == (1, 1, 1)
    assert task.kratos.by_address(f"people-admin@{DOMAIN}")["id"] == before


def test_an_unlisted_persona_is_removed(task: Task) -> None:
    task.run(count=1, personas=["admin", "recovery-only"])
    assert task.run(count=1)["extra"] == 2
    assert task.run(count=1, state="exact")["removed"] == 2


def test_a_persona_without_a_login_is_found_without_a_ledger(task: Task) -> None:
    task.run(count=1, personas=["recovery-only"])
    task.ledger.unlink()
    result = task.run(count=1, personas=["recovery-only"])
    assert (result["created"], result["present"], len(task.kratos.identities)) == (0, 2, 2)


# --- absent ---


def test_the_set_is_removed_with_its_ledger(task: Task) -> None:
    real = task.kratos.add("real@person.invalid")
    task.run(personas=["recovery-only"])
    assert task.ledger.exists()
    result = task.run(state="absent", password=None)
    assert (result["changed"], result["removed"], result["present"]) == (True, 6, 0)
    assert list(task.kratos.identities) == [real]
    assert not task.ledger.exists()
    assert not task.users.exists()
    assert task.run(state="absent")["changed"] is False


def test_absent_removes_the_set_with_any_seed(task: Task) -> None:
    task.run()
    task.run(seed="2", count=2)
    assert task.run(state="absent", seed="9", password=None)["removed"] == 7


def test_a_user_that_vanishes_during_removal_counts_as_removed(task: Task) -> None:
    task.run()
    task.kratos.trouble = lambda asked: error(404, "gone") if asked.method == "DELETE" else None
    assert task.run(state="absent")["removed"] == 5


def test_each_failed_removal_is_reported(task: Task) -> None:
    task.run()
    task.kratos.trouble = lambda asked: error(409, "in use") if asked.method == "DELETE" else None
    result = task.run(state="absent")
    assert (result["failed"], result["removed"], len(result["problems"])) == (True, 0, 5)
    assert "not removed: in use and 2 more" in result["msg"]
    task.kratos.trouble = lambda asked: error(403, "not you") if asked.method == "DELETE" else None
    assert task.run(state="absent")["msg"] == f"{task.site.url}: status 403: not you"


# --- check mode ---


def predict_and_do(task: Task, **arguments: Any) -> dict[str, Any]:
    """Run in check mode, which must write nothing, then for real: both report the same counts."""
    before = json.dumps(task.kratos.identities)
    files = {path: path.read_bytes() for path in task.folder.glob("people*")}
    task.kratos.writes = 0
    predicted = task.run(check=True, **arguments)
    assert task.kratos.writes == 0
    assert {asked.method for asked in task.site.asked} == {"GET"}
    # A second call only for hashes that the controller has compared.
    calls = 1 + ("_compared" in task.calls[-1])
    assert (json.dumps(task.kratos.identities), len(task.calls)) == (before, calls)
    assert {path: path.read_bytes() for path in task.folder.glob("people*")} == files
    done = task.run(**arguments)
    assert {key: predicted[key] for key in COUNTS} == {key: done[key] for key in COUNTS}
    assert predicted["diff"] == done["diff"]
    assert predicted.get("failed") == done.get("failed")
    return done


def test_check_mode_writes_nothing_and_predicts_the_counts(task: Task) -> None:
    task.kratos.add("people-real@person.invalid")
    assert predict_and_do(task)["created"] == 5
    assert predict_and_do(task)["changed"] is False
    assert predict_and_do(task, seed="2", personas=["admin"])["created"] == 6
    assert predict_and_do(task, count=3)["extra"] == 8
    done = predict_and_do(task, count=3, state="exact", verified=0.5)
    assert (done["updated"], done["removed"]) == (3, 8)
    task.kratos.identities.pop(task.kratos.by_address(recipe().address(2))["id"])
    task.kratos.add(recipe().address(2))
    assert predict_and_do(task, count=4, verified=0.5)["conflicts"] == [recipe().address(2)]
    task.ledger.unlink()
    assert predict_and_do(task, count=4, verified=0.5)["changed"] is True
    assert predict_and_do(task, count=4, state="absent")["removed"] == 3
    assert predict_and_do(task, count=4, state="absent")["changed"] is False


def test_a_million_users_are_planned_in_little_memory(task: Task) -> None:
    small = task.run(check=True, count=10)
    large = task.run(check=True, count=1_000_000)
    assert (large["created"], large["present"], task.kratos.writes) == (1_000_000, 1_000_000, 0)
    assert large["memory"] - small["memory"] < 16
    assert not task.ledger.exists()


# --- ownership ---


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize("metadata", [None, "text", {"greenroom": []}, {"other": {"set": "people"}}])
def test_an_unmarked_identity_is_a_conflict_and_unchanged(task: Task, metadata: Any, login: bool) -> None:
    address = recipe().address(3)
    real = task.kratos.add(address.upper() if login else address, metadata, login)
    before = json.dumps(task.kratos.identities[real])
    assert task.run(check=True)["failed"]
    result = task.run(state="exact")
    assert (result["failed"], result["created"], result["present"]) == (True, 4, 4)
    assert result["conflicts"] == [address]
    assert result["msg"] == (
        f"these addresses belong to identities that are not synthetic users, and were not changed: {address}"
    )
    assert task.run()["msg"] == result["msg"]
    task.run(state="absent")
    assert json.dumps(task.kratos.identities[real]) == before
    assert list(task.kratos.identities) == [real]


def test_an_identity_with_a_number_of_thousands_of_digits_is_no_obstacle(task: Task) -> None:
    task.kratos.add("real@example.org", metadata={"number": "long"})

    def lengthen(asked: Asked) -> Reply | None:
        if asked.method != "GET" or asked.path != "/admin/identities":
            return None
        reply = task.kratos._get(asked)
        return replace(reply, body=reply.body.replace('"long"', "9" * 5000))

    task.kratos.trouble = lengthen
    assert task.run(personas=["admin"])["created"] == 6
    assert task.run(personas=["admin"], state="exact")["changed"] is False


def test_all_conflicts_are_named(task: Task) -> None:
    file = task.folder / "people.conflicts"
    for count, more in ((50, ""), (60, f" and 10 more; all are in {file} on the host")):
        for key in range(len(task.kratos.identities) + 1, count + 1):
            task.kratos.add(recipe(count=60).address(key))
        addresses = sorted(task.kratos.addresses())
        predicted = task.run(check=True, count=60)
        assert not file.exists()
        result = task.run(count=60, state="exact")
        assert result["conflicts"] == predicted["conflicts"] == addresses[:50]
        assert result["msg"].endswith(": " + ", ".join(addresses[:50]) + more)
        assert (file.read_text().splitlines() if more else addresses) == addresses
        assert predicted["msg"] == result["msg"].replace("all are", "all will be, after a run without check mode,")
        task.run(state="absent", password=None)
        assert not file.exists()


def test_all_identities_with_a_mark_and_no_proof_are_named(task: Task) -> None:
    file = task.folder / "people.conflicts"
    taken, mark = recipe().address(3), {"greenroom": {"set": "people", "seed": "1", "key": "1"}}
    task.kratos.add(taken)
    for count, more in ((49, ""), (60, f" and 10 more; all are in {file} on the host")):
        for number in range(len(task.kratos.identities), count + 1):
            task.kratos.add(f"real{number:02}@example.org", mark)
        copies = [each for each in task.kratos.identities.values() if each["metadata_admin"] == mark]
        named = sorted(f"{each['traits']['email']} ({each['id']})" for each in copies)
        predicted = task.run(check=True, count=0)
        assert not file.exists()
        result = task.run(count=0)
        assert result["conflicts"] == predicted["conflicts"] == named[:50]
        assert f"were left alone: {', '.join(named[:50])}{more}. If they are users" in result["msg"]
        assert (file.read_text().splitlines() if more else named) == named
    # The file has conflicts of both kinds.
    assert task.run()["conflicts"] == sorted([taken, *named])[:50]
    assert file.read_text().splitlines() == sorted([taken, *named])


def test_a_conflict_that_is_not_listed_is_reported(task: Task) -> None:
    task.run(count=1)
    real = task.kratos.add("x@person.invalid")
    task.kratos.identities[real]["verifiable_addresses"] = [{"value": recipe().address(3), "verified": True}]
    # The list does not have the address, so only the creation of the user reveals the conflict.
    shown = task.kratos._list

    def hide(query: dict[str, list[str]]) -> Reply:
        reply = shown(query)
        if "page" not in query and not created:
            users_there = [each for each in json.loads(reply.body) if each["id"] != real]
            return Reply(200, json.dumps(users_there), reply.headers)
        return reply

    created: list[bool] = []
    task.kratos._list = hide  # type: ignore[method-assign]
    task.kratos.trouble = lambda asked: created.append(True) if asked.method == "PATCH" else None
    result = task.run()
    assert (result["created"], result["conflicts"]) == (3, [recipe().address(3)])


SIGNED: dict[str, Any] = {"signing_key": KEY, "environment": "staging"}
UNKEYED: dict[str, Any] = {}


@pytest.mark.parametrize("options", [SIGNED, UNKEYED], ids=["signed", "without a key"])
@pytest.mark.parametrize("state", ["present", "exact", "absent"])
def test_a_mark_without_proof_is_a_conflict_and_unchanged(task: Task, options: dict[str, Any], state: str) -> None:
    task.run(count=2, **options)
    copied = task.kratos.by_address(recipe().address(1))["metadata_admin"]
    real = {task.kratos.add("real0@example.org", copied)}
    for key in ("1", "2", "4", None, "01", "nobody", ""):
        mark = {"greenroom": {"set": "people", "seed": "1", "key": key, "recipe": "0" * 16}}
        real.add(task.kratos.add(f"people-x{key}@example.org", mark))
    # An address of the set, but not the one that its mark tells.
    real.add(task.kratos.add(recipe().address(3), copied))
    before = {each: json.dumps(task.kratos.identities[each]) for each in real}
    for verified in (1, 0.5):
        for lost in (False, True):
            if lost:
                task.ledger.unlink(missing_ok=True)
            arguments = {"state": state, "count": 5, "verified": verified, **options}
            predicted, result = task.run(check=True, **arguments), task.run(**arguments)
            assert predicted["conflicts"] == result["conflicts"]
            assert (result["failed"], len(result["conflicts"])) == (True, len(real))
            assert "no proof that they are its users, and were left alone" in result["msg"]
            assert {each: json.dumps(task.kratos.identities[each]) for each in real} == before
            assert result["extra"] == 0
    assert result["present"] == (0 if state == "absent" else 4)


def test_a_mark_that_appears_during_a_run_needs_the_same_proof(task: Task) -> None:
    mark = {"set": "people", "seed": "1", "key": "3", "recipe": "0" * 16, "login": recipe().address(3)}

    def forge(asked: Asked) -> None:
        if asked.method == "PATCH" and recipe().address(3) not in task.kratos.addresses():
            task.kratos.add(recipe().address(3), {"greenroom": mark})

    task.kratos.trouble = forge
    result = task.run(state="exact", connections=1, **SIGNED)
    assert (result["created"], result["conflicts"]) == (4, [recipe().address(3)])
    assert task.kratos.by_address(recipe().address(3))["metadata_admin"] == {"greenroom": mark}


def test_a_signature_counts_in_its_environment_only(task: Task) -> None:
    task.run(count=3, **SIGNED)
    task.ledger.unlink()
    changes: list[dict[str, Any]] = [{"environment": "uat"}, {"signing_key": "another key of sixteen bytes"}]
    for change in changes:
        result = task.run(count=3, state="absent", **{**SIGNED, **change})
        assert (result["removed"], len(result["conflicts"]), len(task.kratos.identities)) == (0, 3, 3)
    assert task.run(count=3, state="absent", **SIGNED)["removed"] == 3
    unusable: list[dict[str, Any]] = [{"signing_key": "short", "environment": "a"}, {"signing_key": KEY}]
    for arguments in unusable:
        with pytest.raises(AnsibleActionFail, match="signing_key"):
            task.run(**arguments)


def test_a_new_signing_key_signs_everybody_that_the_ledger_knows(task: Task) -> None:
    task.run(**SIGNED)
    other = {**SIGNED, "signing_key": "another key of sixteen bytes"}
    assert task.run(state="exact", **other)["updated"] == 5
    task.ledger.unlink()
    assert task.run(state="exact", **other)["outdated"] == 0


def old_version(task: Task) -> None:
    """Make the users and the ledger those of the version that did not sign marks."""
    for each in task.kratos.identities.values():
        mark = each["metadata_admin"]["greenroom"]
        each["metadata_admin"]["greenroom"] = {key: mark[key] for key in ("set", "seed", "key", "recipe")}
    if task.ledger.exists():
        with contextlib.closing(sqlite3.connect(task.ledger)) as book, book:
            for column in ("proven", "stamp", "address"):
                book.execute(f"ALTER TABLE people DROP COLUMN {column}")
            book.execute("PRAGMA user_version = 1")


def test_users_of_a_version_that_did_not_sign_marks_are_signed(task: Task) -> None:
    task.run(personas=["admin"], **SIGNED)
    old_version(task)
    # That version's ledger has everybody with a mark.
    real = task.kratos.add("real0@example.org", task.kratos.by_address(recipe().address(1))["metadata_admin"])
    with contextlib.closing(sqlite3.connect(task.ledger)) as book, book:
        book.execute("INSERT INTO people VALUES (?, '1', '1', 'extra')", [real])
    left = task.run(personas=["admin"], **SIGNED)
    assert (left["present"], left["outdated"], left["drifted"], left["conflicts"]) == (
        *(6, 6, 0),
        [f"real0@example.org ({real})"],
    )
    del task.kratos.identities[real]
    done = predict_and_do(task, state="exact", personas=["admin"], **SIGNED)
    assert (done["updated"], done["created"], done["removed"]) == (6, 0, 0)
    task.ledger.unlink()
    assert task.run(state="exact", personas=["admin"], **SIGNED)["present"] == 6
    assert predict_and_do(task, state="exact", personas=["admin"], **SIGNED)["changed"] is False


def test_unsigned_users_are_adopted_once_if_the_ledger_is_lost(task: Task) -> None:
    task.run(personas=["admin"], **SIGNED)
    old_version(task)
    ids = set(task.kratos.identities)
    real = task.kratos.add("real0@example.org", task.kratos.by_address(recipe().address(1))["metadata_admin"])
    task.ledger.unlink()
    lost = task.run(state="exact", personas=["admin"], **SIGNED)
    assert (lost["failed"], len(lost["conflicts"]), lost["updated"], lost["created"]) == (True, 7, 0, 0)
    assert "seed_adopt_unsigned=true" in lost["msg"]
    done = predict_and_do(task, state="exact", personas=["admin"], adopt_unsigned=True, **SIGNED)
    assert (done["updated"], done["conflicts"]) == (6, [f"real0@example.org ({real})"])
    del task.kratos.identities[real]
    assert set(task.kratos.identities) == ids
    assert task.run(state="exact", personas=["admin"], **SIGNED)["changed"] is False


@pytest.mark.parametrize("options", [SIGNED, UNKEYED], ids=["signed", "without a key"])
def test_users_of_a_renamed_set_are_adopted_with_their_ids(task: Task, options: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"state": "exact", "count": 3, "personas": ["admin"], **options}
    task.run(**arguments)
    ids = set(task.kratos.identities)
    renamed = {**arguments, "set": "users", "ledger": str(task.folder / "users.db")}
    assert "the set itself" in task.run(**renamed, adopt=["users"])["msg"]
    # As from a command line.
    done = predict_and_do(task, **renamed, adopt="gone,people")
    assert (done["updated"], done["created"], done["removed"]) == (4, 0, 0)
    assert set(task.kratos.identities) == ids
    assert task.kratos.addresses() == {recipe(set="users").address(key) for key in ("admin", 1, 2, 3)}
    assert task.run(**renamed)["changed"] is False
    assert task.run(**arguments, check=True)["created"] == 4


def test_the_sets_are_listed_with_what_was_changed(task: Task) -> None:
    task.run(count=3, personas=["admin"], **SIGNED)
    task.run(set="users", count=2, ledger=str(task.folder / "users.db"))
    task.kratos.add("real0@example.org", task.kratos.by_address(recipe().address(1))["metadata_admin"])
    task.kratos.add("real1@example.org", 5)
    task.kratos.by_address(recipe().address(2))["state"] = "inactive"
    renamed = task.run(set="persons", count=1, check=True)
    assert renamed["other_sets"] == {"people": 5, "users": 2}
    task.site.asked.clear()
    found = run_module("identity_info", url=task.site.url)
    assert set(task.methods()) == {"GET"}
    common = {"seeds": ["1"], "domains": [DOMAIN]}
    assert found["sets"] == {
        "people": {"users": 4, "personas": 1, "unsigned": 0, "drifted": 1, "unproven": 1, **common},
        "users": {"users": 2, "personas": 0, "unsigned": 2, "drifted": 0, "unproven": 0, **common},
    }
    assert (found["others"], found["total"], found["changed"]) == (1, 8, False)
    assert run_module("identity_info", url=task.site.url, connections=0)["failed"]
    task.kratos.trouble = lambda asked: error(403, "not you")
    assert "not you" in run_module("identity_info", url=task.site.url)["msg"]


# --- changes by hand ---


def by_hand(task: Task, key: str | int, change: str) -> None:
    """Change a user as an admin of Kratos does, and as Kratos records it."""
    address = recipe(personas=["admin", "unverified"]).address(key)
    user = task.kratos.by_address(address)
    changes: dict[str, dict[str, Any]] = {
        "address": {"traits": {**user["traits"], "email": "moved@person.invalid"}},
        "name": {"traits": {**user["traits"], "name": {"first": "Ada"}}},
        "state": {"state": "inactive"},
        "schema": {"schema_id": "staff"},
        "verified": {"verifiable_addresses": [{"value": address, "verified": key == "unverified"}]},
        "metadata": {"metadata_public": {"roles": []}},
        "password": {
            "credentials": {"password": {"identifiers": [address], "config": {"hashed_password": "$2b$10$x"}}}
        },
        "no password": {"credentials": {}},
    }
    user.update(copy.deepcopy(changes[change]))
    if change == "address":
        user["verifiable_addresses"] = [{"value": "moved@person.invalid", "verified": False}]
        user["credentials"]["password"]["identifiers"] = ["moved@person.invalid"]
    user["credentials"] = task.kratos._written(user["credentials"])


def plain(user: dict[str, Any]) -> dict[str, Any]:
    """What an update restores, without what depends on the hash, which is another one of the same password."""
    parts = ("traits", "state", "schema_id", "metadata_public", "metadata_admin")
    found: dict[str, Any] = copy.deepcopy({part: user.get(part) for part in parts})
    for key in ("password", "signature"):
        found["metadata_admin"]["greenroom"].pop(key)
    return {**found, "verified": [each["verified"] for each in user["verifiable_addresses"]]}


CHANGES = [(1, "address"), (2, "name"), (3, "state"), (3, "schema"), (4, "verified"), ("unverified", "verified")]
CHANGES += [("admin", "metadata"), (5, "password"), (1, "no password")]


@pytest.mark.parametrize(("key", "change"), CHANGES)
def test_exact_restores_a_change_by_hand_and_present_reports_it(task: Task, key: str | int, change: str) -> None:
    arguments: dict[str, Any] = {"personas": ["admin", "unverified"], **SIGNED}
    made = task.run(**arguments)
    before = copy.deepcopy(task.kratos.identities)
    by_hand(task, key, change)
    left = task.run(**arguments)
    assert (left["drifted"], left["outdated"], left["present"], left["updated"]) == (1, 1, 7, 0)
    assert ("moved@person.invalid" in task.users.read_text()) == (change == "address")
    done = predict_and_do(task, state="exact", **arguments)
    assert (done["updated"], done["created"], done["conflicts"]) == (1, 0, [])
    assert done["people_hash"] == made["people_hash"]
    for identity, each in task.kratos.identities.items():
        assert plain(each) == plain(before[identity])
        hashed = each["credentials"]["password"]["config"]["hashed_password"]
        assert bcrypt.checkpw(PASSWORD.encode(), hashed.encode())
    again = task.run(state="exact", **arguments)
    assert (again["changed"], again["drifted"], again["requests"]) == (False, 0, 5)


def test_a_new_hash_of_the_same_password_is_no_change(task: Task) -> None:
    task.run(personas=["recovery-only"])
    for key in (1, 2, "recovery-only"):
        user = task.kratos.by_address(recipe(personas=["recovery-only"]).address(key))
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        password = {"identifiers": [user["traits"]["email"]], "config": {"hashed_password": hashed}}
        user["credentials"] = task.kratos._written({"password": password})
    # Somebody gave it a password.
    assert predict_and_do(task, personas=["recovery-only"])["outdated"] == 1
    assert task.run(state="exact", personas=["recovery-only"])["updated"] == 1
    again = task.run(state="exact", personas=["recovery-only"])
    # What was compared once is not compared again.
    assert (again["changed"], len(task.calls), again["requests"]) == (False, 1, 5)


def test_changed_hashes_are_compared_without_showing_them(task: Task) -> None:
    task.run(count=2)
    hashes = []
    for key, password in ((1, PASSWORD), (2, "another horse 8")):
        user = task.kratos.by_address(recipe().address(key))
        hashes.append(bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode())
        changed = {"identifiers": [user["traits"]["email"]], "config": {"hashed_password": hashes[-1]}}
        user["credentials"] = task.kratos._written({"password": changed})
    task.printed = ""
    result = task.run(count=2)
    assert (result["drifted"], len(task.calls)) == (1, 2)
    shown = task.printed + json.dumps(task.calls) + "".join(task.commands) + str(result)
    assert not [hashed for hashed in hashes if hashed in shown]


def test_metadata_of_other_tools_survives_an_update(task: Task) -> None:
    task.run(metadata_public={"tier": "gold"}, metadata_admin={"cost": 1, "old": True})
    for each in task.kratos.identities.values():
        each["metadata_admin"]["crm"] = {"id": 7}
        each["metadata_public"]["theme"] = "dark"
    changed: dict[str, Any] = {"metadata_public": {"tier": "silver"}, "metadata_admin": {"cost": 2}, "state": "exact"}
    assert task.run(metadata_public={"tier": "gold"}, metadata_admin={"cost": 1, "old": True})["drifted"] == 0
    assert task.run(**changed)["updated"] == 5
    for each in task.kratos.identities.values():
        assert each["metadata_public"] == {"tier": "silver", "theme": "dark"}
        assert {**each["metadata_admin"], "greenroom": 0} == {"cost": 2, "crm": {"id": 7}, "greenroom": 0}
    assert task.run(**changed)["changed"] is False


# --- the ledger ---


def test_a_lost_ledger_is_rebuilt(task: Task) -> None:
    task.run()
    content = task.users.read_text()
    task.ledger.unlink()
    assert predict_and_do(task)["changed"] is True
    assert task.users.read_text() == content
    assert task.run()["changed"] is False
    assert (task.ledger.stat().st_mode & 0o777, task.users.stat().st_mode & 0o777) == (0o600, 0o644)


@pytest.mark.parametrize("content", [b"", b"{}", b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_ledger_is_rebuilt(task: Task, content: bytes) -> None:
    task.run()
    task.ledger.write_bytes(content)
    assert predict_and_do(task)["created"] == 0
    assert task.run(state="absent")["removed"] == 5


def test_a_user_with_a_changed_address_is_found_by_the_ledger(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "SMALL", -100)
    task.kratos.add("a@person.invalid")
    task.kratos.add("b@person.invalid")
    for number in range(20):
        task.kratos.add(f"c{number}@person.invalid")
    task.run()
    moved = task.kratos.by_address(recipe().address(3))
    moved["traits"]["email"] = "new@name.invalid"
    moved["credentials"]["password"]["identifiers"] = ["new@name.invalid"]
    moved["verifiable_addresses"] = [{"value": "new@name.invalid", "verified": True}]
    result = task.run()
    assert (result["created"], result["present"], result["drifted"]) == (0, 5, 1)
    assert any("preview_credentials_identifier_similar" in asked.query for asked in task.site.asked)
    assert any("ids" in asked.query for asked in task.site.asked)
    assert task.run(state="absent")["removed"] == 5


def test_the_people_file_has_no_account_at_a_provider_as_an_address(task: Task) -> None:
    task.run(count=1)
    by_hand(task, 1, "address")
    user = task.kratos.by_address("moved@person.invalid")
    account = {"oidc": {"identifiers": [f"google:{recipe().address(1)}"]}}
    user["credentials"] = task.kratos._written({**account, **user["credentials"]})
    assert task.run(count=1)["drifted"] == 1
    assert json.loads(task.users.read_text())["email"] == "moved@person.invalid"


def test_the_people_file_lists_all_users(task: Task) -> None:
    result = task.run()
    lines = [json.loads(line) for line in task.users.read_text().splitlines()]
    assert [line["key"] for line in lines] == ["1", "2", "3", "4", "5"]
    assert {line["id"]: line["email"] for line in lines} == {
        each["id"]: each["traits"]["email"] for each in task.kratos.identities.values()
    }
    assert (result["people_file"], len(result["people_hash"])) == (str(task.users), 64)
    task.users.write_text("else\n")
    assert task.run()["changed"]
    assert len(task.users.read_text().splitlines()) == 5


# --- faults ---


def test_a_batch_with_a_lost_response_is_looked_up_before_a_retry(task: Task) -> None:
    lost: list[bool] = []

    def lose_the_first_answer(asked: Asked) -> Reply | None:
        if asked.method != "PATCH" or lost:
            return None
        lost.append(True)
        task.kratos._create_many([each["create"] for each in json.loads(asked.body)["identities"]][:3])
        return Reply(502, "<html>Bad gateway</html>")

    task.kratos.trouble = lose_the_first_answer
    result = task.run(connections=1)
    assert (result["created"], result["conflicts"], result["problems"]) == (5, [], [])
    assert len(task.kratos.identities) == 5
    sent = [len(json.loads(each.body)["identities"]) for each in task.site.asked if each.method == "PATCH"]
    assert sent == [5, 2]
    assert task.run()["changed"] is False


def test_users_created_concurrently_are_adopted(task: Task) -> None:
    raced: list[bool] = []

    def race(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and not raced:
            raced.append(True)
            task.kratos._create_many([each["create"] for each in json.loads(asked.body)["identities"]][:2])
        return None

    task.kratos.trouble = race
    result = task.run()
    assert (result["present"], result["problems"], len(task.kratos.identities)) == (5, [], 5)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_briefly_busy_server_is_retried(task: Task, status: int) -> None:
    refused: list[str] = []

    def busy(asked: Asked) -> Reply | None:
        kind = f"{asked.method} {asked.path[:8]}"
        if refused.count(kind) >= 2:
            return None
        refused.append(kind)
        return error(status, "busy")

    task.kratos.trouble = busy
    assert task.run()["created"] == 5
    assert task.run(state="absent")["removed"] == 5
    assert len(refused) == 2 * 5


def test_a_retry_after_header_is_respected(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = SimpleNamespace(
        monotonic=lambda: time.monotonic() + sum(slept), sleep=slept.append, time=lambda: time.time() + sum(slept)
    )
    monkeypatch.setattr(client, "time", clock)
    refused: list[bool] = []

    def busy(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and not refused:
            refused.append(True)
            return error(429, "later", [("Retry-After", "1")])
        return None

    task.kratos.trouble = busy
    assert task.run()["created"] == 5
    assert slept == [1.0]


def gets(task: Task) -> int:
    return len([each for each in task.site.asked if each.method == "GET" and each.path == "/admin/identities"])


@pytest.mark.parametrize(("status", "headers", "more"), [(429, [], 0), (503, [("Retry-After", "1")], 0), (500, [], 3)])
def test_a_refused_batch_is_not_looked_up_user_by_user(
    task: Task, status: int, headers: list[tuple[str, str]], more: int
) -> None:
    task.run(count=10, set="quiet")
    quiet = gets(task)
    refused: list[bool] = []

    def busy(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and len(refused) < 3:
            refused.append(True)
            return error(status, "busy", headers)
        return None

    task.kratos.trouble = busy
    assert task.run(count=1500, connections=1)["created"] == 1500
    # One look-up for a batch that the server may have carried out, none for one that it has not.
    assert gets(task) == quiet + more


def test_a_server_that_limits_requests_gets_few_more(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 50)
    monkeypatch.setattr(apply, "LARGE", 100)
    answered = itertools.count(1)

    def limit(asked: Asked) -> Reply | None:
        return error(429, "too many") if asked.method == "PATCH" and next(answered) % 3 == 0 else None

    task.kratos.trouble = limit
    batches = 20
    assert task.run(count=batches * apply.BATCH)["created"] == batches * apply.BATCH
    assert len(task.site.asked) <= 1.2 * batches


def test_users_of_a_batch_that_was_carried_out_are_found_by_one_listing(task: Task) -> None:
    lost: list[bool] = []

    def lose(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and len(lost) < 3:
            lost.append(True)
            task.kratos._create_many([each["create"] for each in json.loads(asked.body)["identities"]])
            return error(504, "slow")
        return None

    task.kratos.trouble = lose
    result = task.run(count=1500, connections=1)
    assert (result["created"], result["problems"], len(task.kratos.identities)) == (1500, [], 1500)
    assert len(task.site.asked) < 30


def test_all_connections_wait_when_a_server_asks_to(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 100)
    refused: list[float] = []
    early: list[float] = []

    def busy(asked: Asked) -> Reply | None:
        now = time.monotonic()
        if refused and now < refused[0] + 0.9:
            early.append(now)
        if asked.method == "PATCH" and not refused:
            # As a date, which has whole seconds.
            refused.append(now)
            later = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
            return error(429, "later", [("Retry-After", later)])
        return None

    task.kratos.trouble = busy
    assert task.run(count=1000, connections=4)["created"] == 1000
    # Those that were under way when the server asked for it.
    assert len(early) <= 3


def test_an_unavailable_server_ends_the_run_and_the_next_run_continues(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "BATCH", 2)
    monkeypatch.setattr(client, "TIMEOUT", 0.3)
    batches: list[bool] = []

    def overload(asked: Asked) -> Reply | None:
        if asked.method == "PATCH":
            batches.append(True)
            return error(503, "overloaded") if len(batches) > 1 else None
        return None

    task.kratos.trouble = overload
    result = task.run(connections=1)
    assert result["msg"] == (
        f"{task.site.url}: status 503: overloaded (2 of 5 users are done; run it again to continue)"
    )
    assert (result["failed"], result["created"], len(task.kratos.identities)) == (True, 2, 2)
    task.kratos.trouble = lambda asked: None
    result = task.run()
    assert (result["created"], result["present"]) == (3, 5)


def test_each_rejected_user_of_a_batch_is_reported(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    make = users.Inventor.identity

    def spoilt(self: Any, key: Any, password_hash: str = "") -> dict[str, Any]:
        body: dict[str, Any] = make(self, key, password_hash)
        if str(key) in ("2", "4"):
            body["traits"]["refuse_me"] = True
        return body

    monkeypatch.setattr(users.Inventor, "identity", spoilt)
    result = task.run()
    assert (result["failed"], result["created"], len(task.kratos.identities)) == (True, 3, 3)
    assert result["problems"] == ["user 2: refuse_me is set", "user 4: refuse_me is set"]
    assert result["msg"] == (
        "2 users could not be created, updated or removed: user 2: refuse_me is set; user 4: refuse_me is set"
    )


def test_a_user_that_breaks_a_batch_is_found_and_the_others_are_created(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = users.Inventor.identity

    def spoilt(self: Any, key: Any, password_hash: str = "") -> dict[str, Any]:
        body: dict[str, Any] = make(self, key, password_hash)
        return {**body, "state": "asleep"} if str(key) == "7" else body

    monkeypatch.setattr(users.Inventor, "identity", spoilt)
    result = task.run(count=9)
    assert (result["created"], result["problems"]) == (8, ["user 7: identity state is not valid"])


def test_a_server_that_rejects_all_users_ends_the_run(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "hash_password", lambda *given: "plain")
    result = task.run(count=400, connections=1)
    assert result["msg"].startswith(
        f"{task.site.url} refuses every user: user 1: The imported password does not match any known hash"
    )
    assert len(task.site.asked) < 100


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(404, "404 page not found"), "does not respond like the admin API of Ory Kratos: status 404: 404 page"),
        (Reply(200, "<html>hello</html>"), "does not respond like the admin API of Ory Kratos: status 200"),
        (Reply(200, '{"version": 3}'), "does not respond like the admin API of Ory Kratos: status 200"),
        (error(401, "who are you?"), "status 401: who are you?"),
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_server_that_is_not_kratos_is_reported(task: Task, reply: Reply, message: str, state: str) -> None:
    task.kratos.trouble = lambda asked: reply
    result = task.run(state=state)
    assert result["failed"]
    assert message in result["msg"]
    assert "\n" not in result["msg"]
    assert len(task.calls) == 1


@pytest.mark.parametrize("body", ["{}", "[1]", '{"identities": []}', '{"identities": null}', "<html>"])
def test_a_batch_with_an_invalid_response_is_looked_up_and_then_an_error(
    task: Task, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    task.kratos.trouble = lambda asked: Reply(200, body) if asked.method == "PATCH" else None
    assert "not a response of Ory Kratos" in task.run()["msg"]


def test_an_unreachable_server_is_reported(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_TIMEOUT", 0.3)
    port = free_port()
    result = task.run(url=f"http://127.0.0.1:{port}")
    assert result["msg"] == f"http://127.0.0.1:{port}: 127.0.0.1 port {port}: Connection refused"
    assert "does not resolve" in task.run(url="http://nobody.invalid:4434")["msg"]
    assert "not an HTTP URL" in task.run(url="kratos:4434")["msg"]
    with misbehave(hang) as port:
        result = task.run(url=f"http://127.0.0.1:{port}", timeout=0.2)
    assert re.search(r"no complete response within \d|not resolved in time", result["msg"])


@pytest.mark.parametrize("silent", ["url", "public_url"])
def test_a_silent_port_is_reported_before_the_timeout_of_a_request(
    task: Task, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    monkeypatch.setattr(client, "SILENCE", 0.2)
    monkeypatch.setattr(client, "FIRST_TIMEOUT", 0.1)
    with misbehave(hang) as port:
        given: dict[str, Any] = {silent: f"http://127.0.0.1:{port}", "timeout": 600}
        result = task.run(**given)
    assert "no complete response within 0." in result["msg"]
    assert client.SILENCE + client.FIRST_TIMEOUT < 30
    # A server that has responded before may take longer.
    task.kratos.trouble = lambda asked: time.sleep(0.4) if asked.query else None
    assert task.run()["created"] == 5


def test_an_unknown_schema_is_reported(task: Task) -> None:
    task.kratos.schemas["customer"] = SCHEMA
    result = task.run(schema_id="nobody")
    assert result["msg"] == "Kratos has no identity schema 'nobody'; it has default, customer"


def test_the_schema_is_read_from_the_public_url(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    away = f"http://127.0.0.1:{free_port()}/schemas"
    admin_only = FakeKratos()
    admin_only.trouble = lambda asked: Reply(307, "", [("Location", away)]) if asked.path == "/schemas" else None
    with serve(admin_only.respond) as admin:
        with monkeypatch.context() as patch:
            patch.setattr(client, "TIMEOUT", 0.3)
            result = task.run(url=admin.url)
        assert "Connection refused; set public_url to the URL of Kratos' public API" in result["msg"]
        assert task.run(url=admin.url, public_url=task.site.url)["created"] == 5
    assert len(admin_only.identities) == 5


def test_an_impossible_trait_is_rejected_before_users_are_created(task: Task) -> None:
    schema = copy.deepcopy(SCHEMA)
    traits = schema["properties"]["traits"]
    traits["properties"]["code"] = {"type": "string", "pattern": "^(?=a)b$"}
    traits["required"] = ["email", "code"]
    task.kratos.schemas["default"] = schema
    for check in (True, False):
        result = task.run(check=check)
        assert result["failed"]
        assert "code: " in result["msg"]
        assert "traits" in result["msg"]
    assert (task.kratos.writes, task.brought) == (0, [])
    assert task.run(traits={"code": {"value": "b"}})["failed"]


# --- concurrent runs ---


def test_a_concurrent_run_is_rejected(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    there, go_on = threading.Event(), threading.Event()

    def wait(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and not there.is_set():
            there.set()
            go_on.wait(60)
        return None

    task.kratos.trouble = wait
    options = users.Recipe.of({"set": "people", "seed": "1", "count": 5, "domain": DOMAIN})
    order = population.Order(
        options,
        "present",
        task.site.url,
        None,
        120,
        240,
        2,
        str(task.ledger),
        str(task.users),
        str(task.folder),
        token="a",
        holder="Ann",
        archive="generator-0.zip",
        hash_of=lambda key: "$2b$10$x",
    )
    (task.folder / "generator-0.zip").touch()
    monkeypatch.setattr(users, "use_generator", lambda path: None)
    done: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: done.append(population.run(order, check=False)))
    thread.start()
    assert there.wait(60)
    second = task.run()
    go_on.set()
    thread.join(120)
    assert second["msg"].startswith("another run is working on these users: Ann (process ")
    assert done[0]["created"] == 5
    assert task.run()["created"] == 0


def test_a_run_keeps_its_lock_between_calls(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_lock, "TIMEOUT", 0.1)
    monkeypatch.setattr(set_lock, "LEASE", 600)
    path = str(task.folder / "a.lock")
    with set_lock.alone(path, "one", "Ann"):
        pass
    with pytest.raises(set_lock.BusyError, match="Ann"), set_lock.alone(path, "two", "Bob") as end:
        end()
    with set_lock.alone(path, "one", "Ann") as end:
        end()
    with set_lock.alone(path, "two", "Bob") as end:
        end()


# --- calls and progress ---


def test_long_work_reports_progress(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 10)
    task.seconds = 0.0
    result = task.run(count=95, connections=1)
    assert (result["created"], len(task.kratos.identities)) == (95, 95)
    assert len(task.calls) > 3
    assert len({call["_operation"]["token"] for call in task.calls}) == 1
    assert task.told[0].startswith("people: 10 of 95, ")
    assert task.told[0].endswith(" left")
    told = len(task.told)
    assert task.run(state="absent")["removed"] == 95
    assert len(task.told) > told


def test_progress_with_conflicts_never_exceeds_the_total(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 10)
    task.seconds = 0.0
    for key in range(1, 31):
        task.kratos.add(recipe(count=95).address(key))
    assert task.run(count=95, connections=1)["created"] == 65
    assert task.told[0].startswith("people: 40 of 95, ")
    numbers = [re.match(r"people: (\d+) of (\d+), ", told) for told in task.told]
    assert all(number and int(number[1]) <= int(number[2]) for number in numbers)


def test_a_call_that_takes_long_shows_its_progress(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 10)
    monkeypatch.setattr(apply, "NOTED", 0)
    task.interval = 0.02
    batches = itertools.count(1)

    def wait(asked: Asked) -> Reply | None:
        until = time.monotonic() + 60
        if asked.method == "PATCH" and next(batches) == 3:
            while not [told for told in task.told if " 20 of 95, " in told] and time.monotonic() < until:
                time.sleep(0.01)
        if asked.path == "/admin/version":
            while not task.told and time.monotonic() < until:
                time.sleep(0.01)
        return None

    task.kratos.trouble = wait
    assert task.run(count=95, connections=1)["created"] == 95
    assert len(task.calls) == 2
    # While a call compares, there is nothing to tell.
    assert task.told[0].startswith("people: no news for ")
    assert any(told.startswith("people: 20 of 95, ") for told in task.told)
    assert not (task.folder / "people.db.progress").exists()


def test_a_deadline_ends_the_run_and_the_next_run_continues(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "BATCH", 10)
    task.seconds = 0.0
    # The deadline passes during the first call.
    task.clock = lambda: 900.0 if task.told else 0.0
    result = task.run(count=95, connections=1, deadline=600)
    assert result["failed"]
    assert "not done within 600 s: people: 10 of 95" in result["msg"]
    made = len(task.kratos.identities)
    assert made < 95
    task.clock = time.monotonic
    assert task.run(count=95)["created"] == 95 - made


# --- newer servers ---


def test_external_ids_are_sent_to_servers_that_support_them(task: Task) -> None:
    task.kratos.external_ids = True
    assert task.run(personas=["admin"])["created"] == 6
    wanted = {f"greenroom-{recipe().local_part(key)}" for key in ("admin", 1, 2, 3, 4, 5)}
    assert {each["external_id"] for each in task.kratos.identities.values()} == wanted
    assert task.run(personas=["admin"])["changed"] is False


def test_a_lost_batch_is_looked_up_by_external_id(task: Task) -> None:
    task.kratos.external_ids = True
    lost: list[bool] = []

    def lose(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and not lost:
            lost.append(True)
            task.kratos._create_many([each["create"] for each in json.loads(asked.body)["identities"]])
            return error(504, "slow")
        return None

    task.kratos.trouble = lose
    assert task.run(personas=["recovery-only"], connections=1)["created"] == 6
    assert len([each for each in task.site.asked if "/by/external/" in each.path]) == 1


@pytest.mark.parametrize("version", ["v1.3.1", "v25.3.0", "master", ""])
def test_the_version_tells_whether_a_server_supports_external_ids(task: Task, version: str) -> None:
    task.kratos.version = version
    task.seconds = 0.0
    assert task.run(count=1200)["created"] == 1200
    assert len(task.calls) > 2
    assert len([asked for asked in task.site.asked if asked.path == "/admin/version"]) == 1
    assert all("external_id" not in each for each in task.kratos.identities.values())


# --- passwords ---


def test_each_user_has_a_password_derived_from_the_key(task: Task) -> None:
    result = task.run(password=None, password_key=KEY, personas=["recovery-only"])
    assert result["created"] == 6
    hashes = {
        each["metadata_admin"]["greenroom"]["key"]: each["credentials"]["password"]["config"]["hashed_password"]
        for each in task.kratos.identities.values()
        if each["credentials"]
    }
    assert hashes == {
        str(key): users.derived_hash(users.person_password(KEY, "people", "1", key)) for key in range(1, 6)
    }
    assert task.run(password=None, password_key=KEY, personas=["recovery-only"])["changed"] is False
    assert KEY not in task.printed
    assert "password_key" not in task.calls[0]


@pytest.mark.parametrize("state", ["present", "exact", "absent"])
def test_an_environment_without_synthetic_users_rejects_them(task: Task, state: str) -> None:
    result = task.run(allowed=False, state=state)
    assert result["failed"]
    assert result["msg"] == "refused: synthetic users are not allowed in this environment"
    assert task.site.asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"password": ""}, "the password is empty"),
        ({"password": None}, "the password is empty"),
        ({"password": "x" * 73}, "has 73 bytes"),
        ({"password": "ä" * 37}, "has 74 bytes; bcrypt accepts at most 72"),
        ({"cost": 4}, "cost must be 10 to 16"),
        ({"cost": "much"}, "invalid literal"),
        ({"password_key": KEY}, "not both"),
        ({"password": None, "password_key": "short"}, "at least 16 bytes"),
    ],
)
def test_an_unusable_password_is_rejected_before_any_request(
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
        ({"set": "A"}, "can't be a set's name"),
        ({"state": "gone"}, "gone"),
        ({"ledger": "/dev/null/x"}, "/dev/null/x"),
        ({"connections": 0}, "connections must be 1 to 32, not 0"),
        ({"verified": 2}, "verified must be from 0 to 1"),
        ({"personas": ["admn"]}, "admn"),
        ({"traits": {"name.first": 3}}, "name.first"),
        ({"locales": ["english"]}, "not a locale"),
    ],
)
def test_invalid_arguments_are_rejected(task: Task, arguments: dict[str, Any], message: str) -> None:
    result = task.run(**arguments)
    assert result["failed"]
    assert message in result["msg"]
    assert task.site.asked == []


def test_an_unknown_provider_is_rejected(task: Task) -> None:
    result = task.run(traits={"name.first": "frist_name"})
    assert result["failed"]
    assert "frist_name" in result["msg"]
    assert task.kratos.writes == 0
    # The same on a host that has the generator, where one call does all.
    task.run()
    before = task.kratos.writes
    result = task.run(state="exact", seed="2", removals=5, traits={"name.first": "frist_name"})
    assert (len(task.calls), task.kratos.writes) == (1, before)
    assert "frist_name" in result["msg"]


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, ["hash"]),
        ({"password": None, "password_key": KEY}, ["set_key"]),
        ({"hashes": "each"}, ["password"]),
    ],
)
def test_secrets_reach_the_module_in_a_file_that_is_gone_afterwards(
    task: Task, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], sent: list[str], pipelining: bool
) -> None:
    monkeypatch.setitem(passwords.SCRYPT, "p", 1)
    task.pipelining = pipelining
    task.seconds = 0.0
    monkeypatch.setattr(apply, "BATCH", 2)
    result = task.run(connections=1, **given)
    assert result["created"] == 5
    assert len(task.secrets) == len(task.calls) >= 4
    assert all([each["mode"], *list(each)[1:]] == [0o600, *sent] for each in task.secrets)
    told = json.dumps(task.calls) + task.printed + str(result) + "".join(task.commands)
    for secret in (PASSWORD, KEY, task.secrets[0][sent[0]]):
        assert secret not in told
    here = {path.name for path in task.folder.iterdir()}
    assert here <= {"local", "python", "people.db", "people.db.lock", "people.jsonl", *task.brought}
    assert KEY not in json.dumps(task.secrets)


def test_a_file_of_secrets_is_removed_if_the_module_does_not_start(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    before = task.run(check=True)
    assert before["created"] == 5

    def refuse(path: str | None) -> dict[str, str]:
        if path:
            raise SystemError("no module")
        return {}

    monkeypatch.setattr(secret_file, "take", refuse)
    with pytest.raises(SystemError):
        task.run()
    assert len(task.secrets) == 1
    assert not [path for path in task.folder.iterdir() if path.name.startswith("tmp.")]


def test_a_server_that_repeats_a_header_gives_nothing_away(task: Task) -> None:
    token = "Bearer token-of-the-admin-api"
    task.kratos.trouble = lambda asked: error(403, f"{asked.headers['Authorization']} is not enough")
    result = task.run(headers={"Authorization": token, "X-Try": "1"})
    assert "is not enough" in result["msg"]
    assert token not in task.printed + str(result)


def test_a_host_that_cannot_keep_secrets_is_reported(task: Task) -> None:
    task.shell = "echo no space >&2; false"
    with pytest.raises(AnsibleActionFail, match="the secrets can't be sent to the host: no space"):
        task.run()
    assert task.kratos.writes == 0


def test_each_user_can_have_a_hash_of_their_own(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(passwords.SCRYPT, "p", 1)
    task.run()
    assert task.run(hashes="each")["outdated"] == 5
    assert task.run(hashes="each", state="exact")["updated"] == 5
    hashes = [each["credentials"]["password"]["config"]["hashed_password"] for each in task.kratos.identities.values()]
    assert len(set(hashes)) == 5
    for hashed in hashes:
        _nothing, kind, cost, salt, raw = hashed.split("$")
        assert (kind, cost) == ("scrypt", "ln=16384,r=8,p=1")
        again = hashlib.scrypt(
            PASSWORD.encode(), salt=base64.b64decode(salt), n=2**14, r=8, p=1, maxmem=2**26, dklen=32
        )
        assert base64.b64decode(raw) == again
    assert task.run(hashes="each", state="exact")["changed"] is False
    with pytest.raises(AnsibleActionFail, match="72"):
        task.run(hashes="each", password="x" * 73)


def test_two_hashes_of_a_password_tell_nothing_about_it() -> None:
    """A salt that is made from the password would be a fast way to guess it."""
    assert hashing.hash_password(PASSWORD, 10) != hashing.hash_password(PASSWORD, 10)


def test_a_hash_that_would_take_hours_is_not_computed() -> None:
    hashed = hashing.hash_password(PASSWORD, 10)
    assert hashing.with_salt(PASSWORD, hashed[:29]) == hashed
    for salt in (hashed[:29].replace("$10$", "$17$"), hashed[:29].replace("$10$", "$31$"), hashed[:20], "plain", ""):
        assert hashing.with_salt(PASSWORD, salt) == ""


@pytest.mark.parametrize("name", ["password", "password_key"])
@pytest.mark.parametrize("value", [["correct horse", "battery staple"], {"a": 1}, 12345678, True, 0.5])
def test_a_password_that_is_not_text_is_refused(task: Task, name: str, value: Any) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} must be text, not a list") as failed:
        task.run(**{"password": None, name: value})
    assert str(value) not in str(failed.value)
    assert task.calls == []
