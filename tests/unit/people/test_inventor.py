"""Identities from identity schemas."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import jsonschema
import pytest
from ansible.module_utils.greenroom.people import users
from ansible.module_utils.greenroom.people.invent import phones
from ansible.module_utils.greenroom.people.invent.unique_traits import assign_suffixes
from ansible.module_utils.greenroom.people.recipe.recipe import OtherSet
from ansible.module_utils.greenroom.people.users import DEFAULT_PERSONAS, Inventor, Recipe, TraitError, UsersError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_schemas import DEPLOYED, EMAIL, LOGIN, ROOT, WIDE, schema


def recipe(**values: Any) -> Recipe:
    found: Recipe = Recipe.of({"set": "people", "seed": "1", "count": 30, "domain": "people.test", **values})
    return found


def traits(document: dict[str, Any], key: str | int = 1, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = Inventor(recipe(**values), document).identity(key)["traits"]
    return found


def one(node: Any, name: str = "thing", **values: Any) -> list[Any]:
    """The values of a trait for thirty users."""
    inventor = Inventor(recipe(**values), schema({name: node}))
    return [inventor.identity(key)["traits"].get(name) for key in range(1, 31)]


def refusal(document: dict[str, Any], **values: Any) -> str:
    with pytest.raises(UsersError) as caught:
        Inventor(recipe(**values), document)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- whole identities ---


def test_an_identity_is_complete() -> None:
    inventor = Inventor(recipe(metadata_public={"plan": "free"}, metadata_admin={"team": "qa"}), DEPLOYED)
    found = inventor.identity(1, "$2b$12$hash")
    address = recipe().address(1)
    mark = found["metadata_admin"].pop("greenroom")
    assert mark == {
        "set": "people",
        "seed": "1",
        "key": "1",
        "login": address,
        "recipe": recipe(metadata_public={"plan": "free"}, metadata_admin={"team": "qa"}).fingerprint(DEPLOYED),
    }
    assert found == {
        "schema_id": "default",
        "state": "active",
        "traits": {"email": address, "name": {"first": "Jason", "last": "Quinn"}},
        "verifiable_addresses": [{"value": address, "via": "email", "verified": True, "status": "completed"}],
        "credentials": {"password": {"config": {"hashed_password": "$2b$12$hash"}}},
        "metadata_admin": {"team": "qa"},
        "metadata_public": {"plan": "free"},
    }
    assert inventor.login(1) == address


def test_default_personas_match_their_names() -> None:
    inventor = Inventor(recipe(personas=list(DEFAULT_PERSONAS), verified=0), DEPLOYED)
    found = {name: inventor.identity(name, "hash") for name in DEFAULT_PERSONAS}
    verified = {name: each["verifiable_addresses"][0]["verified"] for name, each in found.items()}
    assert verified == {name: name != "unverified" for name in DEFAULT_PERSONAS}
    assert {name: each["state"] for name, each in found.items() if each["state"] != "active"} == {
        "inactive": "inactive"
    }
    assert [name for name, each in found.items() if "credentials" not in each] == ["recovery-only"]
    assert found["admin"]["metadata_public"] == {"roles": ["admin"]}
    longest = found["long-name"]["traits"]["name"]
    assert [len(longest["first"]), len(longest["last"])] == [100, 100]
    assert found["right-to-left"]["traits"]["name"]["last"] == "الخوارزمي"
    assert found["one-letter"]["traits"]["name"] == {"first": "I", "last": "O"}
    assert "🚀" in found["emoji"]["traits"]["name"]["first"]
    assert found["admin"]["traits"]["email"] == "people-admin@people.test"


def test_a_persona_can_have_its_own_traits_and_locale() -> None:
    vip = {"name": "vip", "locale": "ja_JP", "traits": {"tier": {"value": "gold"}}, "metadata_admin": {"why": "orders"}}
    document = schema({"tier": {"enum": ["free", "gold"]}, "locale": {"type": "string"}})
    inventor = Inventor(recipe(personas=[vip, "admin"], traits={"tier": {"value": "free"}}), document)
    found = inventor.identity("vip")
    assert (found["traits"]["tier"], found["traits"]["locale"]) == ("gold", "ja-JP")
    assert found["metadata_admin"]["why"] == "orders"
    assert inventor.identity("admin")["traits"]["locale"] == "en-US"
    assert inventor.identity(1)["traits"]["tier"] == "free"


@pytest.mark.parametrize(("share", "users"), [(0.5, 20), (0.3, 10), (0.25, 100), (0.07, 200), (0.005, 1000)])
def test_a_share_of_the_users_is_verified_exactly(share: float, users: int) -> None:
    inventor = Inventor(recipe(verified=share), DEPLOYED)
    verified = [inventor.identity(key)["verifiable_addresses"][0] for key in range(1, users + 1)]
    assert sum(each["verified"] for each in verified) == round(share * users)
    assert {each["status"] for each in verified if not each["verified"]} == {"pending"}


def test_locales_have_equal_parts_and_one_that_is_listed_twice_has_two() -> None:
    inventor = Inventor(recipe(locales=["de_DE", "fr_FR", "de_DE", "it_IT"]), schema({"locale": {"type": "string"}}))
    found = Counter(inventor.identity(key)["traits"]["locale"][:2] for key in range(1, 201))
    assert found == {"de": 100, "fr": 50, "it": 50}


def test_two_shares_are_independent() -> None:
    traits = {"one": {"share": 0.5, "value": "x"}, "two": {"share": 0.5, "value": "x"}}
    document = schema({"one": {"type": "string"}, "two": {"type": "string"}})
    inventor = Inventor(recipe(traits=traits), document)
    both = sum(len(inventor.identity(key)["traits"].keys() & {"one", "two"}) == 2 for key in range(1, 1001))
    assert 200 < both < 300


def test_users_have_the_locales_of_the_set() -> None:
    document = schema({"locale": {"type": "string"}, "country": {"type": "string", "maxLength": 2}})
    inventor = Inventor(recipe(locales=["de_DE", "fr_FR"]), document)
    found = [inventor.identity(key)["traits"] for key in range(1, 41)]
    assert {(each["locale"], each["country"]) for each in found} == {("de-DE", "DE"), ("fr-FR", "FR")}
    assert "the generator has no locale 'xx_XX'" in refusal(document, locales=["xx_XX"])


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6), st.lists(st.integers(1, 10_000), max_size=6))
def test_a_user_does_not_depend_on_other_users(keys: list[int], others: list[int]) -> None:
    alone, among = Inventor(recipe(count=1), WIDE), Inventor(recipe(count=20_000), WIDE)
    for other in others:
        among.identity(other)
    assert [among.identity(key) for key in keys] == [alone.identity(key) for key in reversed(keys)][::-1]


def test_users_are_the_same_in_every_process() -> None:
    """A host's hash seed, time zone and locale must not matter."""
    code = (
        "import sys, json, hashlib\n"
        "sys.path[:0] = ['tests/unit/people', 'tests/unit', '.']\nimport ansible.module_utils\n"
        "ansible.module_utils.__path__.append('plugins/module_utils')\n"
        "from test_inventor import *\n"
        "made = Inventor(recipe(locales=['en_US', 'de_DE', 'ja_JP'], personas=list(DEFAULT_PERSONAS)), WIDE)\n"
        "print(hashlib.sha256(json.dumps([made.identity(k) for k in range(1, 99)]).encode()).hexdigest())"
    )
    environments = ({"PYTHONHASHSEED": "1", "TZ": "UTC"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"})
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for environment in environments
    }
    assert len(answers) == 1


def test_several_threads_can_generate_users() -> None:
    inventor = Inventor(recipe(locales=["en_US", "de_DE"]), WIDE)
    alone = [inventor.identity(key) for key in range(1, 201)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(inventor.identity, range(1, 201))) == alone


def test_a_new_trait_does_not_change_the_others() -> None:
    before = {"first_name": {"type": "string"}, "plan": {"enum": list("abcdef")}, "age": {"type": "integer"}}
    added = {"score": {"type": "number"}, **before, "city": {"type": "string"}}
    for key in (1, 2, 3):
        found = traits(schema(added), key)
        assert {name: found[name] for name in ("email", *before)} == traits(schema(before), key)


# --- a schema with everything ---


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "ja_JP", "ar_AA", "pt_BR"])
def test_every_trait_is_generated_and_valid(locale: str) -> None:
    # Not the library that the product validates with. It supports neither \p nor times with a zone.
    document = json.loads(json.dumps(WIDE).replace("\\\\p{L}", "\\\\w").replace('"format": "time"', '"format": ""'))
    oracle = jsonschema.Draft7Validator(document, format_checker=jsonschema.FormatChecker())
    inventor = Inventor(recipe(locales=[locale]), WIDE)
    for key in range(1, 31):
        found = inventor.identity(key)["traits"]
        oracle.validate({"traits": found})
        assert set(found) == set(document["properties"]["traits"]["properties"])
        assert found["node"] == {"label": found["node"]["label"], "more": []}
        assert len({found["email"], found["work_email"], *found["emails"]}) == 4


def test_verifiable_addresses_are_listed() -> None:
    found = Inventor(recipe(), WIDE).identity(1)
    listed = {(each["value"], each["via"]) for each in found["verifiable_addresses"]}
    made = found["traits"]
    assert listed == {(made["phone"], "sms"), *((each, "email") for each in (made["email"], *made["emails"]))}


# --- names and formats ---


def test_traits_of_a_user_are_consistent() -> None:
    names = {name: {"type": "string"} for name in ("first_name", "lastName", "name", "nickname", "initials")}
    found = traits(schema({**names, "given": {"type": "string"}}))
    first, last = found["first_name"], found["lastName"]
    assert found["name"] == f"{first} {last}"
    assert found["given"] == found["nickname"] == first
    assert found["initials"] == first[0] + last[0]
    assert traits(schema(names), locales=["zh_CN"])["name"].endswith(
        traits(schema(names), locales=["zh_CN"])["first_name"]
    )


@pytest.mark.parametrize(
    ("name", "node", "pattern"),
    [
        ("phone", {"type": "string"}, r"\+1\d{3}55501\d\d"),
        ("mobile", {"type": "string", "pattern": r"^\d{11}$"}, r"1\d{3}55501\d\d"),
        ("postal_code", {"type": "string"}, r"\d{5}"),
        ("country", {"type": "string", "pattern": "^[A-Z]{2}$"}, "US"),
        ("country", {"type": "string"}, "United States"),
        ("country_code", {"enum": ["us", "de"]}, "us"),
        ("language", {"type": "string"}, "en"),
        ("lang", {"enum": ["en_US", "de_DE"]}, "en_US"),
        ("gender", {"enum": ["Female", "Male"]}, "Female|Male"),
        ("birthDate", {"type": "string", "format": "date"}, r"(19[4-9]\d|200[0-7])-\d\d-\d\d"),
        ("dob", {"type": "string"}, r"(19[4-9]\d|200[0-7])-\d\d-\d\d"),
        ("joined", {"type": "string", "format": "date"}, r"20[012]\d-\d\d-\d\d"),
        ("avatar", {"type": "string", "format": "uri"}, r"https://people\.test/people-\d+-\w{8}\.png"),
        ("web-site", {"type": "string", "format": "uri"}, r"https://people\.test/people-\d+-\w{8}"),
        ("login", {"type": "string"}, r"people-\d+-\w{8}"),
        ("contact", {"type": "string", "format": "email"}, r"people-\d+-\w{8}\.contact@people\.test"),
        ("accepted_tos", {"type": "boolean"}, "True"),
        ("iban", {"type": "string", "pattern": "^XX[0-9]{4}$"}, r"XX\d{4}"),
        ("city", {"type": "string", "maxLength": 3}, r".{1,3}"),
        ("bio", {"type": "string", "minLength": 300, "maxLength": 310}, r".{300,310}"),
        ("x", {"type": "string", "maxLength": 0}, ""),
        ("wish", {"type": "string", "format": "no-validate"}, r"\w.*"),
    ],
)
def test_names_and_formats_determine_values(name: str, node: dict[str, Any], pattern: str) -> None:
    for value in one(node, name):
        assert re.fullmatch(pattern, str(value)), value


# --- unique traits ---


def test_users_can_log_in_with_a_name_or_a_number() -> None:
    for node, pattern in (
        ({"type": "string", "pattern": "^[a-z0-9-]+$", "ory.sh/kratos": LOGIN}, r"people-1-\w{8}"),
        ({"type": "string", "format": "tel", "ory.sh/kratos": LOGIN}, r"\+\d+"),
        ({"type": "string", "ory.sh/kratos": {"credentials": {"code": {"identifier": True, "via": "sms"}}}}, r"\+\d+"),
    ):
        document = schema({})
        document["properties"]["traits"].update(properties={"login": node}, required=["login"])
        inventor = Inventor(recipe(count=2000, personas=list(DEFAULT_PERSONAS)), document)
        assert re.fullmatch(pattern, inventor.login(1))
        assert inventor.identity(1)["traits"] == {"login": inventor.login(1)}
        everybody = recipe(count=2000, personas=list(DEFAULT_PERSONAS)).keys()
        assert len(set(map(inventor.login, everybody))) == 2000 + len(DEFAULT_PERSONAS)


PHONE = schema({"phone": {"type": "string", "format": "tel", "ory.sh/kratos": {"verification": {"via": "sms"}}}})


def test_no_two_sets_share_a_phone_number() -> None:
    numbers: list[str] = []
    for name in ("people", "people-2", "load", "vip", "demo", "a", "b", "c", "d", "e"):
        inventor = Inventor(recipe(set=name, count=1_000_000, personas=list(DEFAULT_PERSONAS)), PHONE)
        keys = [*DEFAULT_PERSONAS, *range(1, 100), 5_000, 999_999, 1_000_000]
        numbers += [inventor.identity(key)["traits"]["phone"] for key in keys]
    assert len(set(numbers)) == len(numbers)
    # The numbers of a set are one block of a million.
    assert all(re.fullmatch(r"\+888[1-9]\d{10}", number) for number in numbers)
    assert len({number[:9] for number in numbers if number[4] < "8"}) == 10


def same(make: Callable[[str], Any]) -> tuple[str, str]:
    """Two names for which `make` returns the same."""
    seen: dict[Any, str] = {}
    for number in count(1):
        name = f"x{number}"
        if (other := seen.setdefault(make(name), name)) != name:
            return other, name
    raise AssertionError


def test_sets_that_would_share_phone_numbers_are_refused() -> None:
    known, named = same(lambda name: phones.block(name, "1"))
    with pytest.raises(TraitError, match=f"phone: user 1 would have the same phone number as .* the set {known} "):
        Inventor(recipe(set=named), PHONE, beside=lambda: [OtherSet(known, "1")])
    Inventor(
        recipe(set=named), PHONE, beside=lambda: [OtherSet(known, "2"), OtherSet(named, "1"), OtherSet("people", "1")]
    )
    # Without unique phone numbers, other sets don't matter.
    Inventor(recipe(set=named), DEPLOYED, beside=lambda: [OtherSet(known, "1")])
    # Another seed of the set has other numbers; its personas are the same people.
    old, new = same(lambda seed: phones.block("people", seed))
    with pytest.raises(TraitError, match=f"of the set people .seed {old}.; choose another name or seed"):
        Inventor(recipe(seed=new), PHONE, beside=lambda: [OtherSet("people", old)])


def test_personas_that_would_share_a_phone_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "_PERSONAS", range(80_000_000_000, 80_000_000_100))
    one, other = same(lambda name: phones.personal("people", name))
    text = refusal(PHONE, personas=[{"name": one}, {"name": other}])
    assert text == f"phone: the personas {one} and {other} get the same phone number; rename one"
    mine = phones.personal("people", one)
    theirs = next(f"y{number}" for number in count(1) if phones.personal("other", f"y{number}") == mine)
    with pytest.raises(TraitError, match=f"phone: the persona {one} would have the same phone number as .* set other"):
        Inventor(recipe(personas=[{"name": one}]), PHONE, beside=lambda: [OtherSet("other", "1", ("admin", theirs))])


def test_too_many_phone_numbers_are_refused() -> None:
    assert "phone: a set has only 1000000 phone numbers" in refusal(PHONE, count=1_000_001)


def test_several_addresses_of_a_user_are_distinct() -> None:
    found = traits(schema({part: {"properties": {"email": EMAIL}} for part in ("work", "home", "other")}))
    addresses = [found["email"], *(found[part]["email"] for part in ("work", "home", "other"))]
    assert [each.split("@")[0].split(".")[1:] for each in addresses] == [[], ["email"], ["email2"], ["email3"]]
    assert assign_suffixes([]) is None


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ({"type": "integer", "ory.sh/kratos": LOGIN}, "thing: can't generate unique values of the type integer"),
        (
            {"type": "string", "enum": ["a"], "ory.sh/kratos": LOGIN},
            "thing: can't generate unique values of the type string",
        ),
        ({"type": "string", "maxLength": 5, "ory.sh/kratos": LOGIN}, "thing: can't generate a value"),
        ({"type": "string", "format": "email", "pattern": "@company[.]com$"}, "thing: can't generate a value"),
    ],
)
def test_a_trait_that_can_not_be_unique_is_rejected(node: dict[str, Any], text: str) -> None:
    assert text in refusal(schema({"thing": node}))


def test_a_schema_without_a_login_is_rejected() -> None:
    document = schema({})
    document["properties"]["traits"]["properties"] = {"email": {"type": "string", "format": "email"}}
    assert "has no trait that users log in with" in refusal(document)


# --- overrides ---


def test_traits_can_use_any_provider() -> None:
    document = schema({"a": {"type": "string"}, "b": {}, "c": {"type": "array", "items": {"type": "string"}}, "d": {}})
    asked = {
        "a": {"provider": "random_int", "args": {"min": 5, "max": 5}},
        "b": {"provider": "pydecimal", "args": [2, 1]},
        "c": {"provider": "words", "args": {"nb": 2}},
        "d": {"provider": "random_element", "args": [["x"]]},
    }
    found = traits(document, traits=asked)
    assert (found["a"], found["d"], len(found["c"])) == ("5", "x", 2)
    assert isinstance(found["b"], float)


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ({"provider": "date_time"}, r"\d{4}-\d\d-\d\dT.*Z"),
        ({"provider": "date_object"}, r"\d{4}-\d\d-\d\d"),
        ({"provider": "past_date", "args": {"start_date": "-1d"}}, "2025-12-31"),
        ({"provider": "date_this_year", "args": {"before_today": False, "after_today": True}}, r"2026-\d\d-\d\d"),
        ({"provider": "uuid4", "args": {"cast_to": None}}, "[0-9a-f-]{36}"),
        ({"provider": "pydecimal", "args": {"right_digits": 0}}, r"-?\d+"),
        ({"provider": "pyset", "args": [2]}, r"\[.*\]"),
        ({"provider": "simple_profile"}, r"\{.*\}"),
        ("passport_gender", "[FMX]"),
        ("first_name", r"\w+"),
        ({"value": {"a": [1]}}, re.escape("{'a': [1]}")),
    ],
)
def test_provider_values_become_json_and_are_reproducible(given: Any, pattern: str) -> None:
    found = one({}, traits={"thing": given})
    assert all(re.fullmatch(pattern, str(value)) for value in found)
    assert found == one({}, traits={"thing": given})
    json.dumps(found)


def test_a_share_of_the_users_has_a_trait() -> None:
    some = one({"type": "string"}, "city", traits={"city": {"share": 0.5}})
    everybody = one({"type": "string"}, "city")
    assert some.count(None) == len(some) / 2
    assert all(value in (None, other) for value, other in zip(some, everybody, strict=True))
    assert set(one({"type": "string"}, traits={"thing": {"share": 0}})) == {None}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"thng": "first_name"}, 'thng: the identity schema has no such trait; did you mean "thing"?'),
        ({"thing": "frist_name"}, "thing: Faker has no provider 'frist_name' for en_US; did you mean \"first_name\"?"),
        ({"thing": "__class__"}, "thing: Faker has no provider '__class__' for en_US"),
        ({"thing": {"provider": "random_int", "args": {"mni": 1}}}, "thing: the provider random_int failed: "),
        ({"thing": "time_delta"}, "thing: the provider time_delta returns a value that is not JSON: timedelta"),
        ({"thing": {"value": "x" * 99}}, "thing: can't generate a value: it must be shorter than or equal to 50"),
        ({"email": "email"}, "email: can't be set, it is unique for each user and made from set, seed and number"),
        ({"email": {"share": 0}}, "traits: can't generate a value: it must contain ['email'] properties"),
    ],
)
def test_invalid_trait_overrides_are_rejected(given: dict[str, Any], text: str) -> None:
    assert text in refusal(schema({"thing": {"type": "string", "maxLength": 50}}), traits=given)


# --- impossible traits ---


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (False, "thing: can't generate a value that the schema does not allow; set it in traits"),
        ({"type": "colour"}, "thing: can't generate the type colour; set it in traits"),
        ({"type": "string", "pattern": "^(a)\\1$"}, "thing: can't generate a value: the pattern ^(a)\\1$"),
        (
            {"type": "string", "pattern": "^a{9}$", "maxLength": 3},
            "thing: can't generate a value: found no text of 0 to 3",
        ),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "thing: can't generate a string of 3 to 2 characters"),
        (
            {"type": "string", "format": "uuid", "maxLength": 3},
            "thing: can't generate a uuid within these bounds",
        ),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "thing: can't generate a number from 3 to 2"),
        (
            {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
            "can't generate a number from 3 to 4",
        ),
        ({"enum": []}, "thing: can't generate a value, its enum is empty"),
        ({"enum": ["abc"], "minLength": 9}, "thing: can't generate a value: it must be longer than or equal to 9"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "thing: can't generate 3 to 2 items"),
        ({"type": "array", "minItems": 3, "uniqueItems": True, "items": {"enum": [1, 2]}}, "3 different items"),
        ({"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/loop"}}, "a trait that contains itself"),
        ({"$ref": "#/definitions/loop"}, "thing.next: can't generate a trait that contains itself"),
        ({"$ref": "#/definitions/lost"}, "thing: the schema has no #/definitions/lost"),
        ({"$ref": "#/properties/traits/required/0"}, "thing: the schema has no #/properties/traits/required/0"),
        ({"$ref": "https://other.test/a.json"}, "another document describes (https://other.test/a.json)"),
        ({"oneOf": [{"type": "colour"}]}, "thing: can't generate the type colour"),
        (
            {"required": ["x"], "additionalProperties": False},
            "thing.x: can't generate a value that the schema does not",
        ),
        ({"type": "string", "not": {"minLength": 0}}, "thing: can't generate a value: it must NOT match"),
    ],
)
def test_a_trait_that_can_not_be_generated_is_reported(node: Any, text: str) -> None:
    loop = {"properties": {"next": {"$ref": "#/definitions/loop"}}, "required": ["next"]}
    assert text in refusal(schema({"thing": node}, required=("thing",), definitions={"loop": loop}))


def test_a_free_trait_is_a_word_and_a_forbidden_one_is_omitted() -> None:
    found = one({"properties": {"any": True, "never": False}})[0]
    assert list(found) == ["any"]
    assert isinstance(found["any"], str)


def test_a_difficult_pattern_can_use_a_fact_or_a_given_value() -> None:
    unknown = {"type": "string", "pattern": "^([A-Z])\\w*(?<!\\1x)$"}
    assert "thing: can't generate" in refusal(schema({"thing": unknown}))
    assert set(one(unknown, traits={"thing": {"value": "Abc"}})) == {"Abc"}
    assert set(one({"$ref": "https://other.test/a.json"}, traits={"thing": {"value": 1}})) == {1}
    assert one({"type": "string", "pattern": "^(US|(DE))(?:\\2)?$"}, "country_code")[0] == "US"


def test_an_impossible_alternative_is_ignored() -> None:
    hopeless = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a)\\1$"}}, "required": ["x"]}
    fine = [{"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]} for name in "abc"]
    for several in ([hopeless, *fine], [*fine, hopeless], [fine[0], hopeless, *fine[1:]]):
        found = one({"oneOf": several})
        assert {name for value in found for name in value} == {"a", "b", "c"}
    assert "thing.x: can't generate" in refusal(schema({"thing": {"oneOf": [hopeless]}}))


def test_alternatives_can_share_an_address() -> None:
    document = schema({})
    node = document["properties"]["traits"]
    named = {
        name: {"properties": {"email": EMAIL, name: {"type": "string"}}, "required": [name]} for name in ("a", "b")
    }
    node.update(properties={}, anyOf=list(named.values()))
    del node["additionalProperties"]
    inventor = Inventor(recipe(), document)
    assert [inventor.identity(key)["traits"]["email"] for key in (1, 2, 3)] == [
        recipe().address(key) for key in (1, 2, 3)
    ]


@pytest.mark.parametrize("document", [{}, {"properties": {"name": {}}}, {"properties": {"traits": True}}])
def test_an_invalid_identity_schema_is_rejected(document: dict[str, Any]) -> None:
    assert refusal(document) == "traits: the identity schema describes no traits"


def test_conditions_are_met_by_retries() -> None:
    document = schema({"a": {"type": "boolean"}, "b": {"type": "integer", "minimum": 0, "maximum": 3}})
    document["properties"]["traits"].update(
        {"if": {"properties": {"a": {"const": True}}}, "then": {"properties": {"b": {"maximum": 1}}}}
    )
    inventor = Inventor(recipe(), document)
    found = [inventor.identity(key)["traits"] for key in range(1, 61)]
    assert {each["b"] for each in found if each["a"]} == {0, 1}
    assert {each["b"] for each in found if not each["a"]} == {0, 1, 2, 3}


def test_an_exhausted_pattern_is_an_error_of_its_trait(monkeypatch: pytest.MonkeyPatch) -> None:
    inventor = Inventor(recipe(count=0), schema({"thing": {"type": "string", "pattern": "^[a-z]$"}}))
    monkeypatch.setattr("ansible.module_utils.greenroom.people.invent.patterns.Pattern.fits", lambda self, text: False)
    with pytest.raises(TraitError, match="thing: can't generate a value: found no text for the pattern"):
        inventor.identity(1)


def test_a_missing_generator_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faker.factory", None)
    with pytest.raises(UsersError, match="the generator is missing"):
        users.Inventor(recipe(), DEPLOYED)


# --- any schema ---

NUMBERS = st.builds(
    lambda kind, low, width, more: {"type": kind, "minimum": low, "maximum": low + width, **more},
    st.sampled_from(["integer", "number"]),
    st.integers(-1000, 1000),
    st.integers(30, 5000),
    st.sampled_from(
        [{}, {"multipleOf": 3}, {"multipleOf": 0.5}, {"exclusiveMinimum": -2000}, {"exclusiveMaximum": 9000}]
    ),
)
STRINGS = st.builds(
    lambda low, width, more: {"type": "string", "minLength": low, "maxLength": low + width, **more},
    st.integers(0, 30),
    st.integers(0, 30),
    st.sampled_from([{}, {"pattern": "^[a-z]*$"}, {"pattern": "[0-9a-z]?"}]),
)
PLAIN = st.one_of(
    NUMBERS,
    STRINGS,
    st.just({"type": "boolean"}),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(max_size=5), min_size=1, max_size=4)),
    st.sampled_from([{"type": "string", "format": each} for each in ("date", "date-time", "uri", "ipv4", "email")]),
)
NAMES = st.sampled_from(["first", "city", "thing", "tags", "country", "value", "phone", "x"])
NODES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.builds(
            lambda named: {"type": "object", "properties": named, "required": sorted(named)},
            st.dictionaries(NAMES, inner, max_size=3),
        ),
        st.builds(
            lambda item, low: {"type": "array", "items": item, "minItems": low, "maxItems": low + 2},
            inner,
            st.integers(0, 2),
        ),
        st.builds(lambda several: {"anyOf": several}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"allOf": [one, {"title": "x"}]}, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, NODES, max_size=4), st.integers(1, 10**6))
def test_traits_fit_any_schema(properties: dict[str, Any], key: int) -> None:
    document = schema(properties, required=tuple(sorted(properties)))
    found = Inventor(recipe(), document).identity(key)
    jsonschema.Draft7Validator(document).validate({"traits": found["traits"]})
    assert found == Inventor(recipe(), document).identity(key)
