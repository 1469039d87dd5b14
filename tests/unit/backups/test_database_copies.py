# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a restore into a copy asks before it starts, and what a promotion that was killed leaves."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.greenroom.backups import copies, promotion
from ansible.module_utils.greenroom.backups.calls import ClusterError

GIB = 1024**3


@pytest.mark.parametrize(("size", "free", "fits"), [(GIB, 3 * GIB, True), (GIB, GIB, False), ("", 0, True)])
def test_a_restore_leaves_disk_for_the_databases_in_use(
    monkeypatch: pytest.MonkeyPatch, size: object, free: int, fits: bool
) -> None:
    monkeypatch.setattr(copies, "sql", lambda _statement: str(size))
    monkeypatch.setattr(copies.shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    if fits:
        copies.require_disk("shop")
    else:
        with pytest.raises(ClusterError, match=r"has 1\.0 GiB free, and the restore of shop needs about 2\.0 GiB"):
            copies.require_disk("shop")


@pytest.mark.parametrize("point", ["", "2026-01-05T02:30:00Z"], ids=["now", "a point in time"])
def test_only_a_restore_to_a_point_may_find_a_place_without_the_archive(
    monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    done: list[str] = []

    def fail(*_command: object, what: str = "") -> str:
        raise ClusterError(f"{what} failed")

    def restored(*_given: object) -> contextlib.AbstractContextManager[None]:
        done.append("restored")
        return contextlib.nullcontext()

    for name, value in {
        "repository": lambda _stanza: {"backup": [{"label": "1F", "timestamp": {"stop": 0}}]},
        **{"objects_in": lambda _database: -1, "require_disk": lambda _database: None, "remove_scratch": lambda: None},
        **{"sql": lambda _statement: "", "call": fail, "scratch_cluster": restored, "fill": lambda *_given: None},
    }.items():
        monkeypatch.setattr(copies, name, value)
    if point:
        assert copies.copy("staging", "shop", "shop_restored", point, check=False).endswith(
            "restored into shop_restored"
        )
        assert done == ["restored"]
    else:
        with pytest.raises(ClusterError, match="archiving failed"):
            copies.copy("staging", "shop", "shop_restored", point, check=False)
        assert done == []


def test_a_database_that_a_killed_promotion_closed_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def sql(statement: str) -> str:
        said.append(statement)
        return "1" if "NOT datallowconn" in statement and "'shop'" in statement else ""

    monkeypatch.setattr(promotion, "sql", sql)
    monkeypatch.setattr(promotion, "objects_in", lambda _name: -1)
    with pytest.raises(ClusterError, match="there is no copy shop_restored"):
        promotion.promote("shop", "shop_restored", "shop_before", check=False)
    assert [text for text in said if "ALTER" in text] == ['ALTER DATABASE "shop" ALLOW_CONNECTIONS true']


@pytest.mark.parametrize(
    ("said", "damaged"),
    [
        ("LOG:  redo done", False),
        ("WARNING:  page 0 of relation base/16397/17660 is uninitialized", False),
        ("WARNING:  WAL contains references to invalid pages", False),
        ("WARNING:  page 0 of relation base/1640/17660 is uninitialized", False),
        ("WARNING:  page 0 of relation base/16400/17660 is uninitialized", True),
        ("WARNING:  page 7 of relation base/16400/17660_vm does not exist", True),
        ("WARNING:  page 7 of relation global/1262 does not exist", True),
    ],
)
def test_only_missing_pages_of_the_wanted_database_are_a_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, damaged: bool
) -> None:
    """The files of other databases are empty in a copy, so the recovery never finds their pages."""
    monkeypatch.setattr(copies, "SOCKETS", tmp_path)
    monkeypatch.setattr(copies, "sql", lambda *_arguments: "16400")
    (tmp_path / "log").write_text(f"LOG:  starting\n2026-12-01 16:18:18.496 UTC [11642] {said}\n")
    if damaged:
        with pytest.raises(ClusterError, match=r"The backup of shop is damaged, so nothing was restored: .*WARNING"):
            copies._check_pages("shop")
    else:
        copies._check_pages("shop")
