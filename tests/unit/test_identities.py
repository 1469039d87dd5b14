# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Synthetic people: exactly who is missing is made, and nobody else is touched."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from ansible.module_utils.greenroom import hashing, identities, people
from ansible.module_utils.greenroom.identities import Kratos, Outcome, People, SeedError
from fake_kratos import FakeKratos, error
from hypothesis import given
from hypothesis import strategies as st
from webserver import Asked, Reply, Site, misbehave, serve

HASH = "$2b$12$" + "a" * 53
SET = People("people", "1", 5, "people.staging.invalid")
NAMES = {index: {"first": "A", "last": str(index)} for index in range(1, 3000)}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "PAUSES", (0.0, 0.0))


@pytest.fixture
def kratos() -> FakeKratos:
    return FakeKratos()


@pytest.fixture
def site(kratos: FakeKratos) -> Iterator[Site]:
    with serve(kratos.respond) as running:
        yield running


def present(site: Site, wanted: People = SET, ledger: dict[str, Any] | None = None, look: bool = False) -> Outcome:
    return identities.present(Kratos(site.url, 5), wanted, ledger or {}, None if look else NAMES, HASH)


def marked(index: Any, people_set: str = "people", seed: str = "1") -> dict[str, Any]:
    return {"greenroom": {"set": people_set, "seed": seed, "index": index}}


# --- who people are ---


def test_addresses_are_the_same_on_any_host_and_in_any_run() -> None:
    assert SET.address(1) == "people-1-993dd09b@people.staging.invalid"
    assert People("people", "1", 99, "people.staging.invalid").address(1) == SET.address(1)
    assert People("people", "2", 5, "people.staging.invalid").address(1) != SET.address(1)


@given(st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(1, 999)), max_size=50))
def test_addresses_are_unique(wanted: set[tuple[str, int, int]]) -> None:
    addresses = {People(name, str(seed), 1, "a.invalid").address(index) for name, seed, index in wanted}
    assert len(addresses) == len(wanted)
    assert all(re.fullmatch(r"[ab]-\d+-[0-9a-f]{8}@a\.invalid", address) for address in addresses)


@pytest.mark.parametrize(
    "domain", ["a.invalid", "invalid", "x.test", "b.example", "example.com", "c.example.org", "localhost"]
)
def test_a_domain_that_receives_no_mail_is_taken(domain: str) -> None:
    assert People("a", "1", 1, domain).address(1).endswith(f"@{domain}")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"domain": "gmail.com"}, "'gmail.com' could receive mail"),
        ({"domain": "invalid.org"}, "could receive mail"),
        ({"domain": "notexample.com"}, "could receive mail"),
        ({"domain": "A.invalid"}, "not a domain"),
        ({"domain": "a b.invalid"}, "not a domain"),
        ({"domain": "a.invalid\n"}, "not a domain"),
        ({"domain": ""}, "not a domain"),
        ({"set": "Two Words"}, "no name for a set"),
        ({"set": ""}, "no name for a set"),
        ({"set": "-a"}, "no name for a set"),
        ({"set": "a" * 33}, "no name for a set"),
        ({"set": "a%"}, "no name for a set"),
        ({"count": -1}, "count must be 0 or more, not -1"),
    ],
)
def test_what_could_name_a_real_person_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=message):
        People(**{"set": "people", "seed": "1", "count": 1, "domain": "a.invalid", **keys})


def test_names_depend_on_the_person_only() -> None:
    all_of_them = people.names("people", "1", range(1, 20))
    assert all_of_them[7] == people.names("people", "1", [7])[7]
    assert all_of_them == people.names("people", "1", range(1, 20))
    assert all_of_them != people.names("people", "2", range(1, 20))
    assert len({tuple(name.values()) for name in all_of_them.values()}) > 10
    assert set(all_of_them[1]) == {"first", "last"}


def test_names_are_pinned() -> None:
    """A newer Faker that invents others would create each person anew under the same address."""
    assert people.names("people", "1", [1]) == {1: {"first": "Tiffany", "last": "Daniel"}}


def test_the_hash_is_a_true_one_and_always_the_same() -> None:
    made = hashing.hash_password("correct horse", 10, "people")
    assert made == hashing.hash_password("correct horse", 10, "people")
    assert made.startswith("$2b$10$")
    assert bcrypt.checkpw(b"correct horse", made.encode())
    assert hashing.hash_password("correct horse", 10, "others") != made
    assert hashing.hash_password("correct horsf", 10, "people")[:29] != made[:29]


@given(st.text(min_size=1, max_size=18).filter(lambda text: "\0" not in text))
def test_any_password_that_fits_is_taken(password: str) -> None:
    hashing.validate(password, 12)


@pytest.mark.parametrize(
    ("password", "cost", "message"),
    [
        ("", 12, "empty or holds a NUL"),
        ("a\0b", 12, "empty or holds a NUL"),
        ("ä" * 37, 12, "has 74 bytes, and bcrypt takes 72"),
        ("good", 9, "cost must be 10 to 16, not 9"),
        ("good", 17, "cost must be 10 to 16, not 17"),
    ],
)
def test_a_password_that_bcrypt_would_cut_off_is_refused(password: str, cost: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hashing.validate(password, cost)


# --- who is created ---


def test_people_are_created_in_one_request_and_looked_up_in_one(kratos: FakeKratos, site: Site) -> None:
    outcome = present(site)
    assert (outcome.created, outcome.missing, outcome.failed) == (5, [], [])
    assert [asked.method for asked in site.asked] == ["GET", "PATCH"]
    assert kratos.addresses() == {SET.address(index) for index in range(1, 6)}
    created = json.loads(site.asked[1].body)["identities"][1]["create"]
    assert created == {
        "schema_id": "default",
        "state": "active",
        "traits": {"email": SET.address(2), "name": {"first": "A", "last": "2"}},
        "verifiable_addresses": [{"value": SET.address(2), "via": "email", "verified": True, "status": "completed"}],
        "credentials": {"password": {"config": {"hashed_password": HASH}}},
        "metadata_admin": {"greenroom": {"set": "people", "seed": "1", "index": 2}},
    }
    again = present(site)
    assert (again.created, again.missing, again.found.ours) == (0, [], outcome.found.ours)
    assert [asked.method for asked in site.asked[2:]] == ["GET"]


def test_only_who_is_missing_is_created(kratos: FakeKratos, site: Site) -> None:
    present(site)
    del kratos.identities[next(iter(kratos.identities))]
    outcome = present(site)
    assert outcome.created == 1
    assert len(json.loads(site.asked[-1].body)["identities"]) == 1
    assert len(kratos.identities) == 5


def test_somebody_who_was_removed_between_looking_and_creating_is_reported(kratos: FakeKratos, site: Site) -> None:
    outcome = identities.present(Kratos(site.url, 5), SET, {}, {1: NAMES[1]}, HASH)
    assert (outcome.created, outcome.missing) == (1, [2, 3, 4, 5])
    assert outcome.failed[0] == "person 2: was there just now"


def test_looking_creates_nobody(kratos: FakeKratos, site: Site) -> None:
    outcome = present(site, look=True)
    assert (outcome.missing, outcome.created, kratos.writes) == ([1, 2, 3, 4, 5], 0, 0)


def test_nobody_is_wanted(kratos: FakeKratos, site: Site) -> None:
    assert present(site, People("people", "1", 0, "a.invalid")).missing == []
    assert kratos.writes == 0


def test_many_people_take_few_requests(kratos: FakeKratos, site: Site) -> None:
    many = People("people", "1", 1200, "a.invalid")
    assert present(site, many).created == 1200
    assert [asked.method for asked in site.asked] == ["GET", "PATCH", "PATCH", "PATCH"]
    site.asked.clear()
    outcome = present(site, many, ledger=identities.ledger_of(many, present(site, many).found))
    assert outcome.missing == []
    assert len(site.asked) == 2 * 3


def test_a_larger_count_adds_and_a_smaller_one_leaves_people_be(kratos: FakeKratos, site: Site) -> None:
    present(site)
    assert present(site, People("people", "1", 7, SET.domain)).created == 2
    fewer = present(site, People("people", "1", 3, SET.domain))
    assert (fewer.created, len(fewer.found.ours), len(fewer.found.extra)) == (0, 3, 4)
    assert len(kratos.identities) == 7


def test_another_seed_is_other_people(kratos: FakeKratos, site: Site) -> None:
    present(site)
    outcome = present(site, People("people", "2", 5, SET.domain))
    assert (outcome.created, len(outcome.found.extra), len(kratos.identities)) == (5, 5, 10)


def test_sets_do_not_mix_even_when_one_name_begins_with_the_other(kratos: FakeKratos, site: Site) -> None:
    longer = People("people-1", "1", 3, SET.domain)
    present(site, longer)
    outcome = present(site)
    assert (outcome.created, outcome.found.extra, outcome.found.taken) == (5, [], set())
    assert identities.absent(Kratos(site.url, 5), SET, {}, write=True).removed == 5
    assert kratos.addresses() == {longer.address(index) for index in (1, 2, 3)}


# --- who is not ours ---


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize(
    "metadata", [None, {}, "text", {"greenroom": None}, {"greenroom": []}, {"other": {"set": "people"}}]
)
def test_somebody_without_the_mark_is_a_conflict_and_left_alone(
    kratos: FakeKratos, site: Site, metadata: Any, login: bool
) -> None:
    real = kratos.add(SET.address(2), metadata, login)
    before = json.dumps(kratos.identities[real])
    outcome = present(site)
    assert (outcome.created, outcome.found.taken, outcome.missing) == (4, {2}, [])
    identities.absent(Kratos(site.url, 5), SET, {}, write=True)
    assert json.dumps(kratos.identities[real]) == before
    assert list(kratos.identities) == [real]


def test_a_conflict_that_no_listing_shows_is_reported(kratos: FakeKratos, site: Site) -> None:
    real = kratos.add(SET.address(2))
    kratos.identities[real]["credentials"] = {"password": {"identifiers": ["someone@else.invalid"]}}
    outcome = present(site)
    assert (outcome.created, outcome.missing) == (4, [2])
    assert outcome.failed == ["person 2: This identity conflicts with another identity that already exists."]


def test_a_mark_with_another_index_is_extra(kratos: FakeKratos, site: Site) -> None:
    for index in ("1", None, 99, 0):
        kratos.add(f"people-x{index}@a.invalid", marked(index))
    outcome = present(site)
    assert (outcome.created, len(outcome.found.extra)) == (5, 4)


def test_two_with_the_same_mark_are_one_and_an_extra(kratos: FakeKratos, site: Site) -> None:
    kratos.add(SET.address(1), marked(1))
    kratos.add("people-moved@a.invalid", marked(1))
    outcome = present(site)
    assert (outcome.created, len(outcome.found.ours), len(outcome.found.extra)) == (4, 5, 1)


def test_somebody_who_changed_the_address_is_known_by_the_ledger(kratos: FakeKratos, site: Site) -> None:
    ledger = identities.ledger_of(SET, present(site).found)
    moved = kratos.identities[ledger["people"]["3"]]
    moved["credentials"]["password"]["identifiers"] = ["new@name.invalid"]
    outcome = present(site, ledger=ledger)
    assert (outcome.created, outcome.found.ours[3]) == (0, moved["id"])
    assert identities.absent(Kratos(site.url, 5), SET, ledger, write=True).removed == 5
    assert kratos.identities == {}


def test_ids_of_a_ledger_from_another_server_are_no_harm(kratos: FakeKratos, site: Site) -> None:
    stranger = kratos.add("real@person.invalid")
    outcome = present(site, ledger={"people": {"1": stranger, "2": "00000000-0000-0000-0000-0000000000ff"}})
    assert outcome.created == 5
    assert stranger in kratos.identities
    identities.absent(Kratos(site.url, 5), SET, {"people": {"1": stranger}}, write=True)
    assert list(kratos.identities) == [stranger]


# --- removing ---


def test_removing_removes_the_whole_set_whatever_the_seed(kratos: FakeKratos, site: Site) -> None:
    present(site)
    present(site, People("people", "2", 2, SET.domain))
    real = kratos.add("real@person.invalid")
    admin = Kratos(site.url, 5)
    assert identities.absent(admin, SET, {}, write=False).removed == 7
    assert len(kratos.identities) == 8
    assert identities.absent(admin, SET, {}, write=True).removed == 7
    assert list(kratos.identities) == [real]
    assert identities.absent(admin, SET, {}, write=True).removed == 0


def test_somebody_who_is_gone_meanwhile_is_removed(kratos: FakeKratos, site: Site) -> None:
    present(site)
    kratos.trouble = lambda asked: error(404, "gone") if asked.method == "DELETE" else None
    assert identities.absent(Kratos(site.url, 5), SET, {}, write=True).removed == 5


def test_a_removal_that_is_refused_is_an_error(kratos: FakeKratos, site: Site) -> None:
    present(site)
    kratos.trouble = lambda asked: error(403, "not you") if asked.method == "DELETE" else None
    with pytest.raises(SeedError, match=r"did not remove .*: status 403: not you"):
        identities.absent(Kratos(site.url, 5), SET, {}, write=True)


# --- trouble on the way ---


def test_a_batch_whose_answer_was_lost_is_looked_up_not_repeated_blindly(kratos: FakeKratos, site: Site) -> None:
    lost: list[bool] = []

    def lose_the_first_answer(asked: Asked) -> Reply | None:
        if asked.method != "PATCH" or lost:
            return None
        lost.append(True)
        kratos._create(json.loads(asked.body)["identities"][:3])
        return Reply(502, "<html>Bad gateway</html>")

    kratos.trouble = lose_the_first_answer
    outcome = present(site)
    assert (outcome.created, outcome.missing, outcome.failed) == (5, [], [])
    assert len(kratos.identities) == 5
    assert [len(json.loads(asked.body)["identities"]) for asked in site.asked if asked.method == "PATCH"] == [5, 2]


def test_people_whom_another_run_made_meanwhile_are_ours(kratos: FakeKratos, site: Site) -> None:
    raced: list[bool] = []

    def race(asked: Asked) -> Reply | None:
        if asked.method == "PATCH" and not raced:
            raced.append(True)
            kratos._create(json.loads(asked.body)["identities"][:2])
        return None

    kratos.trouble = race
    outcome = present(site)
    assert (outcome.missing, outcome.failed, len(kratos.identities)) == ([], [], 5)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_for_a_moment_is_waited_for(kratos: FakeKratos, site: Site, status: int) -> None:
    refused: list[str] = []

    def busy(asked: Asked) -> Reply | None:
        if asked.method in refused:
            return None
        refused.append(asked.method)
        return error(status, "busy")

    kratos.trouble = busy
    assert present(site).created == 5
    assert identities.absent(Kratos(site.url, 5), SET, {}, write=True).removed == 5
    assert refused == ["GET", "PATCH", "DELETE"]


def test_a_server_that_stays_busy_is_an_error_that_says_so(kratos: FakeKratos, site: Site) -> None:
    kratos.trouble = lambda asked: error(503, "overloaded") if asked.method == "PATCH" else None
    outcome = present(site)
    assert (outcome.created, outcome.missing) == (0, [1, 2, 3, 4, 5])
    assert outcome.failed == [f"{site.url}: status 503: overloaded"]
    kratos.trouble = lambda asked: error(503, "overloaded")
    with pytest.raises(SeedError, match="status 503: overloaded"):
        present(site)


def test_a_person_whom_the_server_refuses_is_named_with_the_reason(kratos: FakeKratos, site: Site) -> None:
    outcome = present(site, People("people", "1", 2, SET.domain, schema_id="nobody"))
    assert outcome.failed == ["person 1: unknown schema", "person 2: unknown schema"]
    assert outcome.missing == [1, 2]
    assert [asked.method for asked in site.asked] == ["GET", "PATCH"]


def test_an_error_without_a_reason() -> None:
    assert identities._said({}) == "no reason given"


def test_a_batch_that_is_refused_as_a_whole_is_an_error(site: Site) -> None:
    with pytest.raises(SeedError, match="refused the people: status 400: The imported password does not match"):
        identities.present(Kratos(site.url, 5), SET, {}, NAMES, "plain")


@pytest.mark.parametrize("body", ["{}", "[1]", '{"identities": []}', '{"identities": null}', "<html>"])
def test_a_batch_with_a_strange_answer_is_an_error(kratos: FakeKratos, site: Site, body: str) -> None:
    kratos.trouble = lambda asked: Reply(200, body) if asked.method == "PATCH" else None
    with pytest.raises(SeedError, match="refused the people: status 200"):
        present(site)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(404, "404 page not found"), "does not answer as Kratos does: status 404: 404 page not found"),
        (Reply(200, "<html>hello</html>"), "does not answer as Kratos does: status 200"),
        (Reply(200, "{}"), "does not answer as Kratos does: status 200"),
        (error(401, "who are you?"), "status 401: who are you?"),
    ],
)
def test_a_server_that_is_not_kratos_is_said_to_be_none(
    kratos: FakeKratos, site: Site, reply: Reply, message: str
) -> None:
    kratos.trouble = lambda asked: reply
    with pytest.raises(SeedError, match=re.escape(message)):
        present(site)


def test_a_server_that_cuts_the_connection_is_an_error() -> None:
    def cut(client: socket.socket, over: threading.Event) -> None:
        client.recv(10)

    with misbehave(cut) as port, pytest.raises(SeedError, match=f"http://127.0.0.1:{port}: "):
        identities.absent(Kratos(f"http://127.0.0.1:{port}/", 1), SET, {}, write=True)


# --- the ledger ---


def test_the_ledger_is_for_root_only_and_goes_with_the_people(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "seed" / "people.json"
    ledger = identities.ledger_of(SET, present(site).found)
    identities.write_ledger(str(path), ledger)
    assert path.stat().st_mode & 0o777 == 0o600
    assert identities.read_ledger(str(path)) == ledger
    assert sorted(ledger["people"]) == ["1", "2", "3", "4", "5"]
    identities.write_ledger(str(path), identities.ledger_of(SET, identities.Found()))
    assert not path.exists()
    assert identities.read_ledger(str(path)) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"people": []}', "{}"])
def test_a_damaged_ledger_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "people.json"
    path.write_text(content)
    assert identities.read_ledger(str(path)) == {}


def test_a_ledger_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match="Is a directory"):
        identities.read_ledger(str(tmp_path))
    with pytest.raises(SeedError, match=r"/dev/null/people\.json"):
        identities.write_ledger("/dev/null/people.json", {"people": {}})
