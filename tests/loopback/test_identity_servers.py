# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Synthetic users in identity servers other than Ory Kratos. With --proof, also in the real Keycloak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import identity_servers
import pytest
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.people import compare, ownership, population, users
from ansible.module_utils.greenroom.people.client import ServerError
from ansible.module_utils.greenroom.people.removals import Removals
from ansible.module_utils.greenroom.people.servers import SERVERS
from identity_servers import KeycloakPlace, Place

DOMAIN = "people.staging.invalid"
KEY = "a key of at least sixteen bytes"
COUNT = 30
TIMEOUTS = {"scim": 300, "keycloak": 1200}
"""Seconds for a test, with the start of the server. Keycloak compiles itself first."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Start each server once. Keycloak needs minutes and a download."""
    if "place" in metafunc.fixturenames:
        kinds = ["scim", "keycloak"] if metafunc.config.getoption("--proof") else ["scim"]
        metafunc.parametrize(
            "place",
            [pytest.param(kind, marks=pytest.mark.timeout(TIMEOUTS[kind])) for kind in kinds],
            indirect=True,
            scope="module",
        )


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A separate server."""
    with getattr(identity_servers, request.param)(tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator's archive."""
    return Path(users.generator_archive(tmp_path_factory.mktemp("generator"), ["en_US"]))


class Seeder:
    """Seeds the set `people`."""

    def __init__(self, place: Place, folder: Path, generator: Path) -> None:
        self.place, self.folder, self.generator, self.calls = place, folder, generator, 0

    def run(self, count: int = COUNT, state: str = "exact", password: str = "correct horse", **keys: Any) -> Any:
        """Seed; `password` also changes the recipe."""
        self.calls += 1
        given = {"password": password} if self.place.kind == "scim" else {"hash": users.pbkdf2_hash(password)}
        recipe = {"set": "people", "seed": "1", "count": count, "domain": DOMAIN, "password": password, **keys}
        order = population.Order(
            recipe=users.Recipe.of(recipe),
            kind=SERVERS[self.place.kind],
            access=self.place.access,
            state=state,
            url=self.place.url,
            public_url=None,
            timeout=60,
            deadline=250,
            connections=2,
            ledger=str(self.folder / "people.db"),
            people_file=str(self.folder / "people.jsonl"),
            generators=str(self.generator.parent),
            archive=self.generator.name,
            owner=compare.Owner(ownership.Seal("people", ownership.signing_key(KEY, "staging", "people"))),
            removals=Removals(allowed=count),
            token=str(self.calls),
            seconds=200,
            hash_of=users.hasher(given, self.place.kind),
        )
        return population.run(order, check=False)


@pytest.fixture
def seeder(place: Place, tmp_path: Path, generator: Path) -> Iterator[Seeder]:
    """The set `people`, which has its users once, and is gone after the test."""
    seeder = Seeder(place, tmp_path, generator)
    assert seeder.run()["created"] == COUNT
    yield seeder
    seeder.run(state="absent")


def own(place: Place) -> dict[str, dict[str, Any]]:
    """The users that are not those of the server itself, by login."""
    return {each.get("userName") or each["username"]: each for each in place.users()}


def test_each_user_exists_once_with_traits_and_a_second_run_changes_nothing(seeder: Seeder) -> None:
    lines = [json.loads(line) for line in (seeder.folder / "people.jsonl").read_text().splitlines()]
    there = own(seeder.place)
    assert {line["email"]: line["id"] for line in lines} == {
        name: there[name]["id"] for name in there if DOMAIN in name
    }
    assert len({seeder.place.first_name(there[line["email"]]) for line in lines}) > COUNT // 3
    again = seeder.run()
    assert (again["changed"], again["present"], again["drifted"]) == (False, COUNT, 0)
    # A listing, and not a request for each user.
    assert again["requests"] < 8


def test_a_change_by_hand_is_restored(seeder: Seeder) -> None:
    user = next(each for name, each in own(seeder.place).items() if DOMAIN in name)
    before = seeder.place.first_name(user)
    seeder.place.rename(user, "Hand")
    found = seeder.run()
    assert (found["updated"], found["drifted"]) == (1, 1)
    restored = own(seeder.place)[user.get("userName") or user["username"]]
    assert (restored["id"], seeder.place.first_name(restored)) == (user["id"], before)


def test_a_copied_mark_makes_no_user(seeder: Seeder) -> None:
    user = next(each for name, each in own(seeder.place).items() if DOMAIN in name)
    seeder.place.copy_mark(user, "real@example.org")
    found = seeder.run()
    assert "real@example.org" in found["msg"]
    seeder.run(state="absent")
    seeder.place.remove(own(seeder.place)["real@example.org"])


def test_a_lost_ledger_is_found_again(seeder: Seeder) -> None:
    for file in seeder.folder.glob("people.db*"):
        file.unlink()
    found = seeder.run()
    assert (found["created"], found["present"], found["conflicts"]) == (0, COUNT, [])


def test_a_new_password_reaches_each_user(seeder: Seeder) -> None:
    found = seeder.run(password="battery staple")
    assert found["updated"] == COUNT
    if isinstance(seeder.place, KeycloakPlace):
        name = found["first"]
        assert (seeder.place.logs_in(name, "battery staple"), seeder.place.logs_in(name, "correct horse")) == (
            True,
            False,
        )


def test_fewer_users_are_wanted(seeder: Seeder) -> None:
    found = seeder.run(count=COUNT - 3)
    assert (found["removed"], found["present"]) == (3, COUNT - 3)
    assert sum(DOMAIN in name for name in own(seeder.place)) == COUNT - 3


def test_what_a_server_lacks_is_said_before_anything_is_asked(place: Place, tmp_path: Path, generator: Path) -> None:
    with pytest.raises(ServerError, match=r"persona tester: totp: .*leave it out"):
        Seeder(place, tmp_path, generator).run(personas=[{"name": "tester", "totp": True}])


def test_another_program_is_recognized(place: Place) -> None:
    server = SERVERS[place.kind](f"{place.url}/nowhere", 30, web.Deadline(60), None, place.access)
    with pytest.raises(ServerError, match=r"status 404"):
        server.ask_version()
