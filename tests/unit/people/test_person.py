"""People who make sense: the traits of one user don't contradict each other."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ansible.module_utils.greenroom.people.invent.locales import TODAY
from ansible.module_utils.greenroom.people.invent.places import CURRENCIES, country_of, places_of
from ansible.module_utils.greenroom.people.invent.trait_kinds import fact_of
from ansible.module_utils.greenroom.people.users import DEFAULT_PERSONAS, Inventor, Recipe
from faker.config import AVAILABLE_LOCALES
from faker.factory import Factory
from faker.providers.date_time import Provider
from identity_schemas import schema

LOCALES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL", "pt_BR", "ja_JP", "ar_SA"]
NAMES = (
    *("first_name", "last_name", "full_name", "gender", "title", "birth_date", "street", "house_number"),
    *("street_address", "city", "state", "state_code", "postal_code", "country", "country_code", "timezone"),
    *("currency", "locale", "phone", "company", "work_phone", "work_address"),
)
DOCUMENT = schema(
    {
        **{name: {"type": "string"} for name in NAMES},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "joined": {"type": "string", "format": "date"},
        "seen": {"type": "string", "format": "date-time"},
        "employer": {
            "type": "object",
            "properties": {each: {"type": "string"} for each in ("name", "street", "city", "state", "phone")},
        },
    }
)
# Locale → titles of women and men, currency, what a phone number and a postal code look like.
FACTS = {
    "en_US": ("Ms.", "Mr.", "USD", r"\+1\d{3}55501\d\d", r"\d{5}"),
    "en_GB": ("Ms.", "Mr.", "GBP", r"\+44[12]\d{9}", r"[A-Z]{1,2}\d \d[A-Z]{2}"),
    "de_DE": ("Frau", "Herr", "EUR", r"\+49\d{9,10}", r"\d{5}"),
    "fr_FR": ("Mme", "M.", "EUR", r"\+33[1-5]\d{8}", r"\d{5}"),
    "es_ES": ("Sra.", "Sr.", "EUR", r"\+8880\d{10}", r"\d{5}"),
    "it_IT": ("Sig.ra", "Sig.", "EUR", r"\+8880\d{10}", r"\d{5}"),
    "pl_PL": ("Pani", "Pan", "PLN", r"\+8880\d{10}", r"\d\d-\d{3}"),
    "pt_BR": ("Sra.", "Sr.", "BRL", r"\+8880\d{10}", r"\d{5}-\d{3}"),
    "ja_JP": ("様", "様", "JPY", r"\+8880\d{10}", r"\d{3}-\d{4}"),
    "ar_SA": ("السيدة", "السيد", "SAR", r"\+8880\d{10}", r"\d{5}"),
}


def made(locales: list[str], count: int = 1000, document: dict[str, Any] = DOCUMENT, **more: Any) -> list[Any]:
    values = {"set": "people", "seed": "1", "count": count, "domain": "people.test", "locales": locales, **more}
    inventor = Inventor(Recipe.of(values), document)
    return [inventor.identity(key)["traits"] for key in range(1, count + 1)]


@cache
def people() -> dict[str, list[dict[str, Any]]]:
    """A thousand people, a hundred of each locale."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in made(LOCALES):
        found.setdefault(each["locale"].replace("-", "_"), []).append(each)
    assert {locale: len(each) for locale, each in found.items()} == dict.fromkeys(LOCALES, 100)
    return found


@cache
def first_names(locale: str) -> dict[str, set[str]]:
    provider = next(
        each for each in Factory.create(locale).get_providers() if each.__provider__ == "faker.providers.person"
    )
    return {gender: set(getattr(provider, f"first_names_{gender}")) for gender in ("female", "male")}


def contradictions(check: Any) -> int:
    """How many of the thousand people a check refuses."""
    return sum(not check(locale, each) for locale, everybody in people().items() for each in everybody)


def test_first_names_fit_the_gender() -> None:
    assert contradictions(lambda locale, each: each["first_name"] in first_names(locale)[each["gender"]]) == 0
    genders = Counter(each["gender"] for everybody in people().values() for each in everybody)
    assert genders.keys() == {"female", "male"}
    assert min(genders.values()) > 400


def test_last_names_fit_the_gender_where_they_have_one() -> None:
    wrong = {"female": re.compile("[oe]wski$"), "male": re.compile("[oe]wska$")}
    assert not [each for each in people()["pl_PL"] if wrong[each["gender"]].search(each["last_name"])]


def test_titles_fit_gender_and_language() -> None:
    assert contradictions(lambda locale, each: each["title"] == FACTS[locale][each["gender"] == "male"]) == 0


def test_places_belong_together() -> None:
    def fits(locale: str, each: dict[str, Any]) -> bool:
        return any(
            (each["state"], each["state_code"], each["city"], each["timezone"])
            == (place.region, place.code or place.region, place.city, place.timezone)
            and re.fullmatch(re.sub(r"\?", "[A-Z]", place.postal_code.replace("#", r"\d")), each["postal_code"])
            for place in places_of(locale)
        )

    assert contradictions(fits) == 0
    assert contradictions(lambda locale, each: re.fullmatch(FACTS[locale][4], each["postal_code"])) == 0
    assert contradictions(lambda locale, each: each["country_code"] == locale[3:]) == 0
    assert contradictions(lambda locale, each: each["currency"] == FACTS[locale][2]) == 0
    assert {each["country"] for each in people()["de_DE"]} == {"Germany"}
    assert len({each["city"] for each in people()["en_US"]}) > 30
    house = [{each["street"], each["house_number"]} for each in people()["de_DE"]]
    assert all(
        all(part in each["street_address"] for part in parts)
        for parts, each in zip(house, people()["de_DE"], strict=True)
    )


def test_phone_numbers_are_of_the_place_and_nobody_has_them() -> None:
    assert contradictions(lambda locale, each: re.fullmatch(FACTS[locale][3], each["phone"])) == 0
    for locale, skipped in (("en_US", 2), ("en_GB", 3), ("de_DE", 3), ("fr_FR", 3)):
        areas = {(place.region, place.city): place.areas.split("/") for place in places_of(locale)}
        for each in people()[locale]:
            assert each["phone"][skipped:].startswith(tuple(areas[each["state"], each["city"]])), each


def test_the_age_follows_from_the_birth_date() -> None:
    def fits(_locale: str, each: dict[str, Any]) -> bool:
        born = datetime.date.fromisoformat(each["birth_date"])
        birthday = born.replace(year=born.year + each["age"], day=min(born.day, 28))
        return int(each["age"]) in range(18, 86) and datetime.timedelta(
            0
        ) <= TODAY.date() - birthday < datetime.timedelta(370)

    assert contradictions(fits) == 0


def test_nobody_joined_as_a_child() -> None:
    def years(each: dict[str, Any], name: str) -> int:
        return int(each[name][:4]) - int(each["birth_date"][:4])

    assert contradictions(lambda _, each: min(years(each, "joined"), years(each, "seen")) >= 18) == 0


def test_the_employer_is_in_the_same_city_and_elsewhere() -> None:
    def fits(_locale: str, each: dict[str, Any]) -> bool:
        employer, names = each["employer"], ("company", "city", "state", "work_phone")
        same = [employer[name] for name in ("name", "city", "state", "phone")] == [each[name] for name in names]
        return same and str(employer["street"]) in each["work_address"]

    assert contradictions(fits) == 0
    assert contradictions(lambda _, each: each["work_address"] != each["street_address"]) < 10


@pytest.mark.parametrize(
    ("node", "low", "high"),
    [
        ({"type": "integer", "minimum": 21}, 21, 85),
        ({"type": "integer", "exclusiveMaximum": 18}, 0, 17),
        ({"type": "number", "minimum": 90}, 90, 120),
        ({"type": "integer", "maximum": 30, "minimum": 30}, 30, 30),
    ],
)
def test_birth_dates_follow_the_ages_that_a_schema_allows(node: dict[str, Any], low: int, high: int) -> None:
    found = made(["en_US"], 100, schema({"age": node, "birthdate": {"type": "string", "format": "date"}}))
    assert all(low <= each["age"] <= high for each in found)
    assert {2025 - int(each["birthdate"][:4]) - each["age"] for each in found} <= {-1, 0}


def test_an_age_in_a_list_has_its_own_bounds() -> None:
    children = {"type": "array", "minItems": 1, "items": {"properties": {"age": {"type": "integer", "maximum": 17}}}}
    found = made(["en_US"], 50, schema({"age": {"type": "integer"}, "children": children}))
    assert all(each["age"] >= 18 > max(child["age"] for child in each["children"]) for each in found)
    assert all(each["age"] == 5000 for each in made(["en_US"], 3, schema({"age": {"enum": [5000]}})))
    old = schema({"age": {"type": "integer", "minimum": 5000}})
    assert all(each["age"] >= 5000 for each in made(["en_US"], 3, old))


def test_spellings_follow_the_schema() -> None:
    document = schema(
        {
            "gender": {"enum": ["F", "M", "X"]},
            "salutation": {"enum": ["Dr", "Mr", "Mrs"]},
            "state": {"type": "string", "maxLength": 2},
            "province": {"enum": [place.code for place in places_of("en_US")]},
            "country": {"type": "string", "pattern": "^[A-Z]{3}$"},
        }
    )
    for each in made(["en_US"], 50, document):
        assert (each["gender"], each["salutation"]) in (("F", "Mrs"), ("M", "Mr"))
        assert each["state"] == each["province"]
        assert each["country"] == "USA"


def test_a_personas_gender_is_that_of_its_first_name() -> None:
    personas = [
        {"name": "ada", "first": "Mary"},
        {"name": "max", "first": "Robert Lee"},
        {"name": "kim", "first": "Mary", "gender": "male"},
        *DEFAULT_PERSONAS,
    ]
    document = schema({"gender": {"type": "string"}, "title": {"type": "string"}})
    recipe = Recipe.of({"set": "people", "seed": "1", "count": 0, "domain": "people.test", "personas": personas})
    inventor = Inventor(recipe, document)
    found = {key: inventor.identity(key)["traits"] for key in sorted(recipe.keys())}
    names = ("ada", "max", "kim", "long-name", "right-to-left", "emoji", "one-letter")
    assert [found[key]["gender"] for key in names] == ["female", "male", "male", "female", "male", "female", "male"]
    assert {each["title"] == "Ms." for each in found.values() if each["gender"] == "female"} == {True}


def test_every_locale_has_a_country_with_currency_and_time_zones() -> None:
    known = {each.alpha_2_code for each in Provider.countries}
    for locale in AVAILABLE_LOCALES:
        if "_" in locale:
            assert country_of(locale) in known & CURRENCIES.keys(), locale
            assert all(ZoneInfo(place.timezone) for place in places_of(locale))
            assert all("" not in place[:3] for place in places_of(locale))


def test_a_locale_without_places_lives_in_its_capital() -> None:
    document = schema({name: {"type": "string", "minLength": 1} for name in NAMES})
    found = made(["ka_GE", "ar_AA", "ne_NP", "en_MS"], 20, document)
    assert {each["locale"]: (each["country_code"], each["timezone"], each["currency"]) for each in found} == {
        "ka-GE": ("GE", "Asia/Tbilisi", "GEL"),
        "ar-AA": ("SA", "Asia/Riyadh", "SAR"),
        "ne-NP": ("NP", "Asia/Kathmandu", "NPR"),
        "en-MS": ("MY", "Asia/Kuala_Lumpur", "MYR"),
    }
    assert {(each["state"], each["city"]) for each in found if each["locale"] == "ka-GE"} == {("Tbilisi", "Tbilisi")}


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        (["home_phone"], "phone"),
        (["billing_city"], "city"),
        (["work", "phone"], "work_phone"),
        (["officeAddress"], "work_street_address"),
        (["employer", "address", "zip"], "work_postal_code"),
        (["company", "name"], "company"),
        (["employer", "name"], "company"),
        (["company_name"], "company"),
        (["job", "title"], "job"),
        (["title"], "salutation"),
        (["work_email"], "address"),
        (["networking", "city"], "city"),
        (["home"], ""),
    ],
)
def test_names_tell_home_from_work(path: list[str], fact: str) -> None:
    assert fact_of(path) == fact
    if fact == "work_phone":
        assert fact_of(path, "tel") == fact
