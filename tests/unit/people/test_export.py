"""The list of synthetic users for testers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from fake_kratos import FakeKratos
from modules import run_module
from webserver import serve


def person(kratos: FakeKratos, key: str, traits: dict[str, Any], mark: str = "people") -> dict[str, str]:
    """Put a user into the server; returns its line of the people file."""
    address = f"people-{key}@people.invalid"
    identity = kratos.add(address, {"greenroom": {"set": mark, "seed": "1", "key": key}})
    kratos.identities[identity]["traits"] = {"email": address, **traits}
    return {"key": key, "id": identity, "email": address}


def export(folder: Path, kratos: FakeKratos, lines: list[Any], **options: Any) -> dict[str, Any]:
    path = folder / "people.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with serve(kratos.respond) as site:
        result = run_module("identity_export", url=site.url, set="people", people_file=str(path), **options)
        assert {each.method for each in site.asked} <= {"GET"}
    return result


def test_the_list_has_the_traits_that_the_server_has(tmp_path: Path) -> None:
    kratos = FakeKratos()
    lines = [
        person(kratos, "admin", {"name": {"first": "Ada, Lady", "last": "=1+1"}, "tags": ["a", "b"]}),
        person(kratos, "1", {"name": {"first": "عبد"}, "phone": "+15550100", "vip": False, "age": None}),
    ]
    kratos.identities[lines[1]["id"]]["state"] = "inactive"
    kratos.identities[lines[1]["id"]]["verifiable_addresses"][0]["verified"] = False
    result = export(tmp_path, kratos, lines)
    assert (result["changed"], result["users"]) == (False, 2)
    assert list(csv.DictReader(io.StringIO(result["content"]))) == [
        {
            **{"key": "admin", "login": "people-admin@people.invalid", "id": lines[0]["id"], "state": "active"},
            **{"verified": "true", "traits.email": "people-admin@people.invalid", "traits.name.first": "Ada, Lady"},
            **{"traits.name.last": "'=1+1", "traits.phone": "", "traits.tags": '["a", "b"]', "traits.vip": ""},
        },
        {
            **{"key": "1", "login": "people-1@people.invalid", "id": lines[1]["id"], "state": "inactive"},
            **{"verified": "false", "traits.email": "people-1@people.invalid", "traits.name.first": "عبد"},
            **{"traits.name.last": "", "traits.phone": "+15550100", "traits.tags": "", "traits.vip": "false"},
        },
    ]


def test_a_spreadsheet_calculates_nothing(tmp_path: Path) -> None:
    kratos = FakeKratos()
    harmless = ["+49 (30) 1234-5", "-3.5", "+888100000000017", "a=1", ""]
    formulas = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+cmd|' /C calc'!A0", "\t=1", "+A1"]
    lines = [person(kratos, str(number), {"x": text}) for number, text in enumerate([*harmless, *formulas], 1)]
    lines.append({**person(kratos, "99", {}), "email": "=1+1@person.invalid"})
    rows = list(csv.DictReader(io.StringIO(export(tmp_path, kratos, lines)["content"])))
    assert [row["traits.x"] for row in rows] == [*harmless, *(f"'{each}" for each in formulas), ""]
    assert rows[-1]["login"] == "'=1+1@person.invalid"


def test_the_list_has_all_personas_and_the_first_users(tmp_path: Path) -> None:
    kratos = FakeKratos()
    lines = [person(kratos, key, {}) for key in ("admin", "long-name", *map(str, range(1, 251)))]
    for limit, count in ((0, 2), (150, 152), (1000, 252)):
        assert export(tmp_path, kratos, lines, limit=limit)["users"] == count


def test_strangers_and_users_who_are_gone_are_left_out(tmp_path: Path) -> None:
    kratos = FakeKratos()
    lines = [person(kratos, "1", {}), person(kratos, "2", {}, mark="others"), {"key": "3", "id": "3", "email": "x"}]
    kratos.identities[lines[0]["id"]]["metadata_admin"]["other"] = 1
    result = export(tmp_path, kratos, lines)
    assert [row["key"] for row in csv.DictReader(io.StringIO(result["content"]))] == ["1"]


def test_without_users_the_list_is_empty_and_a_broken_file_is_named(tmp_path: Path) -> None:
    assert export(tmp_path, FakeKratos(), [])["content"] == "key,login,id,state,verified\n"
    assert "people.jsonl: not a people file" in export(tmp_path, FakeKratos(), [1])["msg"]
