"""The portal's generated orders, and its seeding command; demo/portal/tests also covers the database."""

from __future__ import annotations

import collections
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from portal import invent, seed
from portal.invent import COLUMNS, History, Person
from portal.settings import SettingsError
from portal.tables import metadata

UNTIL = date(2026, 11, 1)
SETTINGS = {"SET": "people", "SEED": "1", "VOLUME": "1", "UNTIL": "2026-11-01", "STATE": "present"}
# The first order of user 1: neither another Python nor a code change may alter the rows of a seed.
KNOWN = {
    "id": "206683df-0620-59a9-bc48-97dff9cdeac4",
    "owner": "identity-1",
    "address_id": "a5a14069-7612-5f97-9c6a-056b6b982c6f",
    "item": "Work light",
    "quantity": "5",
    "total_cents": "19500",
    "state": "delivered",
    "created_at": "2026-08-05 13:39:45+00:00",
    "seed_set": "people",
    "note": "None",
}


def rows(table: str, users: int = 1000, **changes: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"set": "people", "seed": "1", "volume": 1.0, "until": UNTIL} | changes
    history = History(**given)
    position = list(COLUMNS).index(table)
    return [
        dict(zip(COLUMNS[table], row, strict=True))
        for number in range(1, users + 1)
        for row in history.of(Person(str(number), f"identity-{number}"))[position]
    ]


def test_columns_match_the_tables() -> None:
    assert {name: set(columns) for name, columns in COLUMNS.items()} == {
        # Invented payments were never at a provider.
        name: {column.name for column in table.columns} - {"intent", "notified_at"}
        for name, table in metadata.tables.items()
        if name not in ("jobs", "receipts")  # Jobs in hand and what came of them are never invented.
    }


def test_a_users_history_does_not_depend_on_other_users() -> None:
    assert rows("orders", 50) == rows("orders", 100)[: len(rows("orders", 50))]
    assert rows("orders", 50, set="others") != rows("orders", 50) != rows("orders", 50, seed="2")


def test_sets_and_seeds_have_different_row_ids() -> None:
    ids = [{row["id"] for row in rows("orders", 50, **changes)} for changes in ({}, {"set": "others"}, {"seed": "2"})]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]


def test_rows_are_reproducible() -> None:
    assert {key: str(value) for key, value in rows("orders", 1)[0].items()} == KNOWN


def test_a_larger_volume_keeps_existing_orders() -> None:
    once, thrice = ({row["id"]: row for row in rows("orders", 300, volume=volume)} for volume in (1.0, 3.0))
    assert {key: thrice[key] for key in once} == once
    assert 2.5 * len(once) < len(thrice) < 3.5 * len(once)
    assert rows("orders", 300, volume=0.0) == []
    assert len(rows("addresses", 300, volume=0.0)) >= 300


def test_payments_match_their_orders() -> None:
    orders = {row["id"]: row for row in rows("orders")}
    paid = collections.defaultdict(list)
    for payment in rows("payments"):
        order = orders[payment["order_id"]]
        assert payment["amount_cents"] == order["total_cents"]
        assert order["created_at"] <= payment["created_at"] <= datetime(2026, 11, 1, tzinfo=UTC)
        paid[order["id"]].append(payment["state"])
    assert {order["state"] for order in orders.values()} == {
        *("placed", "paid", "packed", "shipped", "delivered", "cancelled", "returned")
    }
    for identifier, order in orders.items():
        counts = collections.Counter(paid[identifier])
        on_its_way = order["state"] in ("paid", "packed", "shipped", "delivered")
        assert counts["captured"] == int(on_its_way)
        assert counts["refunded"] <= int(order["state"] in ("cancelled", "returned"))
        assert order["state"] != "returned" or counts["refunded"] == 1


def test_orders_use_addresses_of_their_user() -> None:
    owners = {row["id"]: row for row in rows("addresses")}
    for order in rows("orders"):
        address = owners[order["address_id"]]
        assert address["owner"] == order["owner"]
        assert address["since"] <= order["created_at"].date()


def test_a_few_users_order_most_and_many_order_nothing() -> None:
    counts = sorted(collections.Counter(row["owner"] for row in rows("orders")).values())
    assert 600 < len(counts) < 800
    assert sum(counts[-len(counts) // 10 :]) > sum(counts) / 3
    assert counts[-1] <= invent.MOST + 1


def test_orders_follow_seasons_and_time_of_day() -> None:
    orders = rows("orders", 2000)
    months = collections.Counter(row["created_at"].month for row in orders)
    assert min(months[10], months[11]) > 1.4 * max(months[7], months[8])
    hours = collections.Counter(row["created_at"].hour for row in orders)
    assert hours[10] > 5 * hours[3]
    week = collections.Counter(row["created_at"].weekday() for row in orders)
    assert min(week[day] for day in range(5)) > max(week[5], week[6])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VOLUME", "-1", "GREENROOM_SEED_VOLUME is not a number from 0 to 10000"),
        ("VOLUME", "nan", "GREENROOM_SEED_VOLUME is not a number"),
        ("VOLUME", "", "GREENROOM_SEED_VOLUME is not a number"),
        ("UNTIL", "soon", "GREENROOM_SEED_UNTIL is not a date"),
        ("STATE", "exact", "GREENROOM_SEED_STATE is not present or absent"),
        ("SET", "", "GREENROOM_SEED_SET is not the name of a set"),
        ("SEED", "", "GREENROOM_SEED_SEED is not a seed"),
    ],
)
def test_an_invalid_setting_is_reported(name: str, value: str, words: str) -> None:
    told = {f"GREENROOM_SEED_{key}": setting for key, setting in (SETTINGS | {name: value}).items()}
    with pytest.raises(SettingsError, match=words):
        seed.Task.from_environment(told)


def test_users_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text('{"key": "1", "id": "a", "email": "x"}\n{"key": "admin", "id": "b"}\n')
    assert list(seed.read_users(file)) == [Person("1", "a"), Person("admin", "b")]
    for content, line in (("[]\n", 1), ('{"key": "1", "id": "a"}\nnonsense\n', 2), ('{"key": "1"}\n', 1)):
        file.write_text(content)
        with pytest.raises(seed.UsersError, match=f"line {line}: not a user with key and id"):
            list(seed.read_users(file))
    with pytest.raises(seed.UsersError, match="No such file"):
        list(seed.read_users(tmp_path / "nothing"))
