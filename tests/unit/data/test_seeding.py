"""What a record of seeded data depends on, and what a service's command is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.data import seeding

WANTED = {"people": "abc", "set": "people", "seed": "1", "volume": 1.0, "until": "2026-11-01"}
SERVICES: list[dict[str, Any]] = [
    {"name": "shop", "database": "shop_data", "heads": "SELECT 1"},
    {"name": "forum", "database": "", "heads": ""},
]


def content(heads: Any = None, **changes: Any) -> dict[str, str]:
    return {item["dest"]: item["content"] for item in seeding.records(SERVICES, WANTED | changes, heads or {})}


def test_each_service_has_a_record_of_its_own() -> None:
    found = content({"shop_data": [{"version_num": "0001"}]})
    texts = WANTED | {"volume": "1"}
    assert json.loads(found["/var/lib/greenroom/seed/data-shop.json"]) == texts | {"heads": [{"version_num": "0001"}]}
    assert json.loads(found["/var/lib/greenroom/seed/data-forum.json"]) == texts | {"heads": None}


@pytest.mark.parametrize("change", [{key: "2"} for key in WANTED])
def test_whatever_the_data_depends_on_makes_another_record(change: dict[str, Any]) -> None:
    assert content(**change) != content()


@pytest.mark.parametrize("volume", [1, "1", "1.0", 1.0])
def test_a_volume_is_the_same_however_it_is_written(volume: Any) -> None:
    assert content(volume=volume) == content()


def test_a_migration_makes_another_record_of_its_service_only() -> None:
    before, after = ({"shop_data": [{"version_num": head}]} for head in ("0001", "0002"))
    changed = {dest for dest, text in content(after).items() if text != content(before)[dest]}
    assert changed == {"/var/lib/greenroom/seed/data-shop.json"}


def test_what_another_database_answers_says_nothing() -> None:
    assert content({"": [{"version_num": "0001"}]}) == content()


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_command_is_told_what_to_do(state: str) -> None:
    assert seeding.environment(WANTED, state) == {
        "GREENROOM_SEED_SET": "people",
        "GREENROOM_SEED_SEED": "1",
        "GREENROOM_SEED_VOLUME": "1",
        "GREENROOM_SEED_UNTIL": "2026-11-01",
        "GREENROOM_SEED_STATE": state,
    }


def test_people_are_mounted_where_there_are_any() -> None:
    assert seeding.volumes("/var/lib/x.jsonl") == ["/var/lib/x.jsonl:/run/people.jsonl:ro"]
    assert seeding.volumes(None) == seeding.volumes("") == []
