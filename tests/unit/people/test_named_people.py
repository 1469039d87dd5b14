"""Named people from CSV and JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.people.named import NamedPeopleError, named_people, problems
from ansible.module_utils.greenroom.people.users import Inventor, Recipe, TraitError, UsersError
from identity_schemas import schema

SCHEMA = schema(
    {
        "name": {"type": "object", "properties": {"first": {"type": "string"}, "last": {"type": "string"}}},
        "zip": {"type": "string"},
        "points": {"type": "integer", "minimum": 0},
        "vip": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "tier": {"type": "string", "enum": ["silver", "gold"]},
    }
)
CSV = """key,state,verified,gender,traits.name.first,traits.zip,traits.points,traits.vip,traits.tags,traits.tier
grace,,true,female,Grace,01234,7,true,"[""a"", ""b""]",gold

linus,inactive,false,,"Linus, Jr.",,0,false,,
"""


def write(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def identity(personas: list[dict[str, Any]], key: str) -> dict[str, Any]:
    recipe = Recipe.of({"set": "people", "seed": "1", "count": 1, "domain": "people.test", "personas": personas})
    found: dict[str, Any] = Inventor(recipe, SCHEMA).identity(key)
    return found


def test_a_table_becomes_people_with_traits_of_the_schemas_types(tmp_path: Path) -> None:
    people = named_people(write(tmp_path, "people.csv", CSV))
    assert [each.get("gender") for each in people] == ["female", None]
    grace, linus = (identity(people, key) for key in ("grace", "linus"))
    assert grace["metadata_admin"]["greenroom"]["key"] == "grace"
    assert grace["traits"]["email"] == "people-grace@people.test"
    assert grace["traits"]["name"]["first"] == "Grace"
    assert [grace["traits"][name] for name in ("zip", "points", "vip", "tags", "tier")] == [
        *("01234", 7, True, ["a", "b"], "gold")
    ]
    assert grace["verifiable_addresses"][0]["verified"]
    assert (linus["state"], linus["verifiable_addresses"][0]["verified"]) == ("inactive", False)
    assert (linus["traits"]["name"]["first"], linus["traits"]["points"]) == ("Linus, Jr.", 0)
    # What the file leaves open is generated.
    assert linus["traits"]["zip"]
    assert linus["traits"]["tier"] in ("silver", "gold")


def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes("\ufeffkey;traits.name.first\r\ngrace;Gräce, PhD\r\n".encode())
    assert named_people(str(path)) == [{"name": "grace", "traits": {"name.first": {"text": "Gräce, PhD"}}}]


def test_a_list_has_values_as_in_kratos(tmp_path: Path) -> None:
    traits = {"name": {"first": "Ada"}, "tags": ["x"], "points": 3, "vip": None}
    given = [{"key": "ada", "like": "admin", "metadata_admin": {"ticket": 12}, "traits": traits}, {"key": "bob"}]
    people = named_people(write(tmp_path, "people.json", given))
    ada = identity(people, "ada")
    assert ada["metadata_public"] == {"roles": ["admin"]}
    assert ada["metadata_admin"]["ticket"] == 12
    assert (ada["traits"]["name"]["first"], ada["traits"]["tags"], ada["traits"]["points"]) == ("Ada", ["x"], 3)
    assert "vip" not in ada["traits"]
    assert ada["traits"]["name"]["last"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "line 1: the column key is missing"),
        ("a.csv", "key,stat\nx,", "line 1: unknown column 'stat'; did you mean \"state\"?"),
        ("a.csv", "key,city\nx,", "line 1: unknown column 'city'; write a trait as traits.city"),
        ("a.csv", "key,key\nx,y", "line 1: the column key is there twice"),
        ("a.csv", "key,state\nx", "line 2: 1 values for 2 columns"),
        ("a.csv", "key\n7", "line 2: '7' can't be a persona's name"),
        ("a.csv", "key\nx\n\nx", "line 4: x is also line 2"),
        ("a.csv", "key,verified\nx,yes", "line 2: verified must be true or false, not 'yes'"),
        ("a.csv", "key,state\nx,sleepy", "line 2: persona x: state must be one of active, inactive"),
        ("a.json", "{}", "expected a list of people"),
        ("a.json", "[", "Expecting value"),
        ("a.json", [{"key": "a"}, {"name": "b"}], "person 2: expected a mapping with a key"),
        ("a.json", [{"key": "a", "traits": []}], "person 1: traits must be a mapping"),
        ("a.json", [{"key": "a", "stat": "x"}], "person 1: persona a: unknown key 'stat'"),
        ("a.txt", "key\nx", "must end with .csv or .json"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, name: str, content: Any, said: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(NamedPeopleError) as caught:
        named_people(path)
    assert str(caught.value).startswith(path)
    assert said in str(caught.value)
    assert [*problems(path)] == [f"seed_named_people: {caught.value}"]


def test_a_missing_file_is_named_and_no_file_has_no_people(tmp_path: Path) -> None:
    with pytest.raises(NamedPeopleError, match="No such file"):
        named_people(str(tmp_path / "people.csv"))
    assert named_people("") == []
    assert [*problems(None)] == []


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("points", "many", "persona x: points: 'many' is not a value of the type integer"),
        ("points", "true", "persona x: points: 'true' is not a value of the type integer"),
        ("vip", "yes", "persona x: vip: 'yes' is not a value of the type boolean"),
        ("points", "-1", "persona x: points: can't generate a value: it must be bigger than or equal to 0"),
        ("tier", "bronze", "persona x: tier: can't generate a value"),
        ("height", "1", "height: the identity schema has no such trait"),
        ("email", "me@example.com", "email: can't be set, it is unique for each user"),
    ],
)
def test_a_value_that_does_not_fit_the_schema_is_refused(tmp_path: Path, column: str, text: str, said: str) -> None:
    people = named_people(write(tmp_path, "people.csv", f"key,traits.{column}\nx,{text}\n"))
    with pytest.raises(TraitError) as caught:
        identity(people, "x")
    assert str(caught.value).startswith(said)


def test_a_trait_has_one_source() -> None:
    for given in ({"text": "1", "value": 1}, {"text": 1}):
        with pytest.raises(UsersError):
            identity([{"name": "x", "traits": {"zip": given}}], "x")
