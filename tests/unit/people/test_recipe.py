"""The recipe of synthetic users: keys, addresses, personas, passwords, fingerprints."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.people import users
from ansible.module_utils.greenroom.people.users import DEFAULT_PERSONAS, Persona, Recipe, UsersError
from hypothesis import given
from hypothesis import strategies as st

from plugins.filter.people import FilterModule, person_address, person_password, personas_wanted

ROOT = Path(__file__).resolve().parents[3]
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,22}[a-z0-9])?", fullmatch=True).filter(lambda name: "--" not in name)
SECRET = "a key of thirty-two characters!!"


def recipe(**values: Any) -> Recipe:
    found: Recipe = Recipe.of({"set": "people", "seed": "1", "count": 3, "domain": "people.invalid", **values})
    return found


def test_keys_are_persona_names_and_then_numbers() -> None:
    everybody = recipe(personas=["admin", {"name": "vip"}])
    assert list(everybody.keys()) == ["admin", "vip", "1", "2", "3"]
    assert everybody.size == 5
    assert "admin" in everybody
    assert "3" in everybody
    assert 3 in everybody
    assert not [key for key in ("4", "0", "01", "-1", "", "nobody", "³") if key in everybody]


def test_addresses_depend_only_on_set_seed_and_key() -> None:
    assert recipe().address(1) == "people-1-993dd09b@people.invalid"
    assert recipe(count=0).address("1") == recipe().address(1)
    assert recipe(personas=["admin"]).address("admin") == "people-admin@people.invalid"
    assert recipe(seed="2").address(1) != recipe().address(1)
    assert all(recipe().address(key).startswith(recipe().prefix) for key in (1, 2, "admin"))


@given(st.lists(NAMES, unique=True, max_size=20), st.text(max_size=8))
def test_addresses_are_unique(names: list[str], seed: str) -> None:
    everybody = recipe(seed=seed, count=50, personas=[{"name": name} for name in names])
    addresses = list(map(everybody.address, everybody.keys()))
    assert len(set(addresses)) == len(addresses)
    assert all(address == address.lower() and len(address.split("@")[0]) <= 64 for address in addresses)


PARTS = st.sampled_from(["people", "vip", "admin", "1", "2", "7", "x", "abcdef01", "993dd09b"])
SETS = st.lists(PARTS, min_size=1, max_size=3).map("-".join)
KEYS = st.one_of(st.lists(PARTS, min_size=1, max_size=4).map("-".join).filter(users.is_key), st.integers(1, 9).map(str))


def test_two_sets_never_have_the_same_address() -> None:
    assert recipe(set="people-vip").address("admin") == "people-vip--admin@people.invalid"
    assert recipe().address("vip-admin") == "people-vip-admin@people.invalid"


@given(SETS, KEYS, SETS, KEYS)
def test_an_address_tells_set_and_key(one: str, key: str, other: str, another: str) -> None:
    addresses = [recipe(set=name, count=9).address(of) for name, of in ((one, key), (other, another))]
    assert (addresses[0] == addresses[1]) == ((one, key) == (other, another))


@given(SETS, KEYS, SETS)
def test_the_key_at_an_address_is_found_in_its_set_only(one: str, key: str, other: str) -> None:
    def of(name: str) -> Recipe:
        return recipe(set=name, count=9, personas=[] if key.isdecimal() else [{"name": key}])

    assert of(one).key_at(of(one).address(key)) == key
    if one != other:
        assert of(other).key_at(of(one).address(key)) is None
    assert of(one).key_at(of(one).address(key).replace("invalid", "test")) is None


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"set": "People"}, "'People' can't be a set's name"),
        ({"set": "a--b"}, "'a--b' can't be a set's name: use up to 32 lowercase letters, digits, single dashes"),
        ({"personas": [{"name": "a--b"}]}, "'a--b' can't be a persona's name"),
        ({"personas": [{"name": "x", "gender": "f"}]}, "persona x: gender must be female or male, not 'f'"),
        ({"count": -1}, "count must be 0 or more, not -1"),
        ({"domain": "example.org.uk"}, "'example.org.uk' could receive mail"),
        ({"domain": "PEOPLE.test"}, "'PEOPLE.test' is not a domain"),
        ({"locales": ["german"]}, "'german' is not a locale"),
        ({"locales": []}, "'' is not a locale"),
        ({"verified": 1.5}, "verified must be from 0 to 1, not 1.5"),
        ({"metadata_admin": {"greenroom": 1}}, "metadata_admin can't contain 'greenroom'"),
        ({"personas": [{"name": "x", "metadata_admin": {"greenroom": 1}}]}, "metadata_admin can't contain 'greenroom'"),
        ({"colour": 1}, "unknown recipe key 'colour'"),
        ({"traits": {"a": 3}}, "a: write the name of a provider"),
        ({"traits": {"a": {"provder": "x"}}}, "a: unknown key 'provder'; did you mean \"provider\"?"),
        ({"traits": {"a": {"share": True}}}, "a: share must be a number from 0 to 1, not True"),
        ({"traits": {"a": {"share": 2}}}, "a: share must be a number from 0 to 1, not 2"),
        ({"traits": {"a": {"value": 1, "provider": "x"}}}, "a: set either provider or value"),
        ({"traits": {"a": {"value": 1, "args": []}}}, "a: args must be a list or a mapping, and need a provider"),
        ({"traits": {"a": {"provider": "x", "args": "y"}}}, "a: args must be a list or a mapping, and need a provider"),
        ({"personas": ["amdin"]}, "unknown persona 'amdin'; did you mean \"admin\"?"),
        ({"personas": ["admin", "admin"]}, "persona admin: listed twice"),
        ({"personas": [7]}, "a persona is a name or a mapping with a name, not 7"),
        ({"personas": [{"name": "1st"}]}, "'1st' can't be a persona's name"),
        ({"personas": [{"name": "x" * 25}]}, "can't be a persona's name"),
        ({"personas": [{"name": "x", "like": "admn"}]}, "persona x: like: unknown persona 'admn'"),
        (
            {"personas": [{"name": "x", "stat": "inactive"}]},
            "persona x: unknown key 'stat'; did you mean \"state\"?",
        ),
        ({"personas": [{"name": "x", "state": "gone"}]}, "persona x: state must be one of active, inactive"),
        ({"personas": [{"name": "x", "verified": "no"}]}, "persona x: verified can't be 'no'"),
        ({"personas": [{"name": "x", "traits": []}]}, "persona x: traits can't be []"),
        ({"personas": [{"name": "x", "needs": {"realese": ">=1"}}]}, "persona x: 'realese' can't be needed"),
        ({"personas": [{"name": "x", "needs": {"release": "1.1"}}]}, "persona x: '1.1' is not a release"),
        ({"personas": [{"name": "x", "needs": {"feature": 1}}]}, "persona x: '1' is not a feature"),
    ],
)
def test_an_invalid_recipe_is_rejected_in_one_line(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(UsersError) as caught:
        recipe(**wrong)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_survives_serialization() -> None:
    sent = recipe(
        personas=["admin", {"name": "vip", "like": "admin", "traits": {"a": {"value": 1}}}],
        locales=["de_DE"],
        traits={"b": "first_name"},
        verified=0.5,
    )
    assert Recipe.of(sent.plain()) == sent
    assert recipe(personas=None, verified=None) == recipe()


# --- personas ---


def test_a_persona_can_extend_a_default_one() -> None:
    found = users.personas_of(["inactive", {"name": "admin", "state": "inactive"}, {"name": "vip", "like": "admin"}])
    assert found[0] == DEFAULT_PERSONAS["inactive"]
    assert found[1] == replace(DEFAULT_PERSONAS["admin"], state="inactive")
    assert found[2] == replace(DEFAULT_PERSONAS["admin"], name="vip")
    assert users.personas_of([{"name": "new", "locale": None}]) == (Persona("new"),)


def test_only_the_recovery_persona_has_no_password() -> None:
    everybody = recipe(personas=list(DEFAULT_PERSONAS))
    assert {key: everybody.has_password(key) for key in DEFAULT_PERSONAS} == {
        key: key != "recovery-only" for key in DEFAULT_PERSONAS
    }
    assert everybody.has_password(1)


def test_personas_are_wanted_only_where_their_needs_are_met() -> None:
    listed = [
        "admin",
        {"name": "new", "needs": {"release": ">=1.1"}},
        {"name": "old", "needs": {"release": "<1.1"}},
        {"name": "notes", "needs": {"feature": "notes"}},
        {"name": "both", "needs": {"feature": "notes", "release": "!=1.2"}},
    ]

    def wanted(*given: Any) -> list[str]:
        found = users.personas_wanted(listed, *given)
        return [each if isinstance(each, str) else each["name"] for each in found]

    assert wanted("1.0") == ["admin", "old"]
    assert wanted("1.10", ["notes"]) == ["admin", "new", "notes", "both"]
    assert wanted("1.1.0") == ["admin", "new"]
    assert wanted("1.2", ["notes"]) == ["admin", "new", "notes"]
    assert personas_wanted(["admin"], "main") == ["admin"]
    with pytest.raises(AnsibleFilterError, match="persona new needs a release number, and 'main' is not one"):
        personas_wanted(listed, "main")


@pytest.mark.parametrize(
    ("needs", "kept"), [(">1.0", True), ("<=1.1", True), ("==1.1", True), ("< 1.1", False), (">1.1", False)]
)
def test_a_release_is_compared_by_number(needs: str, kept: bool) -> None:
    assert Persona("x", needs={"release": needs}).wanted("1.1", []) == kept


# --- fingerprints ---


def test_a_fingerprint_changes_with_everything_that_changes_a_user() -> None:
    schema: dict[str, Any] = {"properties": {}}
    before = recipe(personas=["admin", "inactive"])
    first = before.fingerprint(schema)
    for other in (
        *({"seed": "2"}, {"domain": "x.test"}, {"locales": ["de_DE"]}, {"traits": {"a": {"value": 1}}}),
        *({"verified": 0.5}, {"metadata_public": {"a": 1}}, {"password": "derived"}, {"generator": "faker 2"}),
    ):
        assert recipe(**other).fingerprint(schema) != first
    assert before.fingerprint({"properties": {"a": {}}}) != first
    assert recipe(count=9).fingerprint(schema) == first == before.fingerprint(schema, 2)
    assert len(first) == 16


def test_a_changed_persona_does_not_affect_other_users() -> None:
    before, after = (
        recipe(personas=["admin", "inactive"]),
        recipe(personas=[{"name": "admin", "first": "A"}, "inactive"]),
    )
    one, other = before.fingerprints({}), after.fingerprints({})
    assert one.of("admin") != other.of("admin")
    assert one.of("inactive") == other.of("inactive") != one.of("1")
    assert one.of("1") == other.of(2)
    # `needs` does not affect the identity of a persona.
    needed = recipe(personas=[{"name": "admin", "needs": {"feature": "x"}}])
    assert needed.fingerprint({}, "admin") == one.of("admin")


# --- passwords ---


def test_a_derived_password_is_long_and_unique() -> None:
    password = users.person_password(SECRET, "people", "1", 1)
    assert password == person_password("1", SECRET, "people", 1)
    assert len(password) == 29
    assert set(password) <= set("abcdefghijklmnopqrstuvwxyz234567-")
    others = {
        users.person_password(SECRET, *rest) for rest in (("people", "1", "2"), ("people", "2", "1"), ("p", "1", "1"))
    }
    assert len(others | {password, users.person_password(SECRET + "!", "people", "1", "1")}) == 5


def test_a_short_key_is_rejected() -> None:
    with pytest.raises(AnsibleFilterError, match="at least 16 bytes"):
        person_password(1, "short", "people", "1")


def test_the_hash_of_a_derived_password_is_pbkdf2_as_kratos_reads_it() -> None:
    password = users.person_password(SECRET, "people", "1", 1)
    found = users.derived_hash(password)
    _, kind, options, salt, digest = found.split("$")
    rounds = int(options.removeprefix("i=").removesuffix(",l=32"))
    raw = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt + "=="), rounds)
    assert (kind, base64.b64decode(digest + "=")) == ("pbkdf2-sha256", raw)
    assert users.derived_hash(password) == found != users.derived_hash(password + "x")


# --- filters ---


def test_filters_and_module_agree_on_addresses() -> None:
    assert person_address(1, "people", 1, "people.invalid") == recipe().address(1)
    assert person_address("admin", "people", "1", "people.invalid") == "people-admin@people.invalid"
    assert set(FilterModule().filters()) == {"person_address", "person_password", "personas_wanted", "totp_code"}


@pytest.mark.parametrize("key", [0, -1, "", "Admin", "1x", None])
def test_a_filter_rejects_an_invalid_key(key: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="neither a user's number nor a persona's name"):
        person_address(key, "people", "1", "people.invalid")


def test_a_filter_rejects_a_domain_that_receives_mail() -> None:
    with pytest.raises(AnsibleFilterError, match="could receive mail"):
        person_address(1, "people", "1", "company.com")


def test_a_recipe_does_not_load_the_generator() -> None:
    code = (
        "import sys, ansible.module_utils\n"
        "ansible.module_utils.__path__.append('plugins/module_utils')\n"
        "import ansible.module_utils.greenroom.people.users\n"
        "print(sorted({'faker', 'fastjsonschema', 'bcrypt'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=800
    )
    assert answer.stdout == "[]\n"


def test_a_persona_with_another_schema_depends_on_that_one() -> None:
    both = recipe(personas=[{"name": "staff", "schema_id": "staff"}, "admin"], traits={"nickname": "user_name"})
    before = both.fingerprints({"title": "set"}, {"staff": {"title": "staff"}})
    after = both.fingerprints({"title": "set"}, {"staff": {"title": "changed"}})
    assert {key: before.of(key) == after.of(key) for key in (1, "admin", "staff")} == {
        1: True,
        "admin": True,
        "staff": False,
    }
    assert both.schema_ids == ["default", "staff"]
    staff = both.under("staff")
    # The set's traits are those of its own schema.
    assert (list(staff.keys()), staff.schema_id, staff.traits) == (["staff"], "staff", {})
    assert [persona.name for persona in both.under("default").personas] == ["admin"]
