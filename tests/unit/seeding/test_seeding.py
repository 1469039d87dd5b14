"""The records of seeded data, and the environment of a service's seeding command."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.seeding import seeding

WANTED = {"people": "abc", "set": "people", "seed": "1", "volume": 1.0, "until": "2026-11-01"}
SERVICES: list[dict[str, Any]] = [
    {"name": "shop", "database": "shop_data", "heads": "SELECT 1", "migrate": ["migrate"]},
    {"name": "forum", "database": "", "heads": "", "migrate": []},
]


def content(heads: Any = None, **changes: Any) -> dict[str, str]:
    return {item["dest"]: item["content"] for item in seeding.records(SERVICES, WANTED | changes, heads or {})}


def test_each_service_has_its_own_record() -> None:
    found = content({"shop_data": [{"version_num": "0001"}]})
    texts = WANTED | {"volume": "1"}
    assert json.loads(found["/var/lib/greenroom/seed/data-shop.json"]) == texts | {"heads": [{"version_num": "0001"}]}
    assert json.loads(found["/var/lib/greenroom/seed/data-forum.json"]) == texts | {"heads": None}


@pytest.mark.parametrize("change", [{key: "2"} for key in WANTED])
def test_every_dependency_of_the_data_changes_the_record(change: dict[str, Any]) -> None:
    assert content(**change) != content()


@pytest.mark.parametrize("volume", [1, "1", "1.0", 1.0])
def test_equal_volumes_have_the_same_record(volume: Any) -> None:
    assert content(volume=volume) == content()


def test_a_migration_changes_only_the_record_of_its_service() -> None:
    before, after = ({"shop_data": [{"version_num": head}]} for head in ("0001", "0002"))
    changed = {dest for dest, text in content(after).items() if text != content(before)[dest]}
    assert changed == {"/var/lib/greenroom/seed/data-shop.json"}


def test_results_from_other_databases_are_ignored() -> None:
    assert content({"": [{"version_num": "0001"}]}) == content()


def test_each_schema_is_asked_for_with_its_own_query() -> None:
    assert seeding.questions(SERVICES) == {"shop_data": "SELECT 1"}


def test_a_schema_that_a_start_may_migrate_is_not_settled() -> None:
    alone = {"name": "wiki", "database": "wiki", "heads": "SELECT 2", "migrate": []}
    heads = {"shop_data": [{"version_num": "0001"}], "wiki": [{"version": 7}]}
    assert seeding.settled([*SERVICES, alone], heads) == {"shop_data": [{"version_num": "0001"}]}
    assert seeding.settled(SERVICES, {}) == {}


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_command_gets_its_environment(state: str) -> None:
    assert seeding.environment(WANTED, state) == {
        "GREENROOM_SEED_SET": "people",
        "GREENROOM_SEED_SEED": "1",
        "GREENROOM_SEED_VOLUME": "1",
        "GREENROOM_SEED_UNTIL": "2026-11-01",
        "GREENROOM_SEED_STATE": state,
    }


def test_the_people_file_is_mounted_if_there_is_one() -> None:
    assert seeding.volumes("/var/lib/x.jsonl") == ["/var/lib/x.jsonl:/run/people.jsonl:ro"]
    assert seeding.volumes(None) == seeding.volumes("") == []
