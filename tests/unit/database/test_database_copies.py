# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a restore into a copy asks before it starts, and what a promotion that was killed leaves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.module_utils.greenroom.database import copies, promotion
from ansible.module_utils.greenroom.database.calls import ClusterError

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
