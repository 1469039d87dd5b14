# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is in maintenance on an edge host: on disk and in all of HAProxy's workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.switch import haproxy, maintenance
from fake_haproxy import FakeHaproxy, FakeWorker


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FakeHaproxy]:
    proxy = FakeHaproxy(tmp_path, str(tmp_path / "maintenance.map"))
    with proxy.running():
        yield proxy


def maps(proxy: FakeHaproxy) -> maintenance.Maps:
    return maintenance.Maps(proxy.map_file, proxy.runtime_socket, proxy.master_socket)


def test_all_workers_and_the_next_one_have_it(proxy: FakeHaproxy) -> None:
    proxy.workers["90"] = FakeWorker(old=True)
    assert maintenance.apply(maps(proxy), {"shop": "60"})
    assert proxy.values("shop") == {"100": "60", "90": "60"}
    proxy.reload("101")
    assert proxy.values("shop") == {"101": "60", "100": "60", "90": "60"}
    assert not maintenance.apply(maps(proxy), {"shop": "60"})
    assert maintenance.apply(maps(proxy), {})
    assert set(proxy.values("shop").values()) == {maintenance.OFF}
    assert maintenance.read(proxy.map_file) == {}
    assert not maintenance.apply(maps(proxy), {})


def test_a_worker_that_missed_it_is_repaired(proxy: FakeHaproxy) -> None:
    Path(proxy.map_file).write_text("* 120\n")
    assert maintenance.apply(maps(proxy), {"*": "120"})
    assert proxy.values("*") == {"100": "120"}


def test_check_mode_changes_nothing(proxy: FakeHaproxy) -> None:
    assert maintenance.apply(maps(proxy), {"*": "120"}, check=True)
    assert (proxy.values("*"), Path(proxy.map_file).exists()) == ({"100": None}, False)


def test_old_workers_from_before_the_map_are_left_alone(proxy: FakeHaproxy) -> None:
    proxy.workers["90"] = FakeWorker(entries=None, old=True)
    assert maintenance.apply(maps(proxy), {"*": "120"})
    proxy.workers["100"].entries = None
    with pytest.raises(haproxy.UnknownMapError):
        maintenance.apply(maps(proxy), {"*": "60"})


def test_the_end_for_everything_is_that_of_each_service() -> None:
    one = maintenance.wanted({}, "shop", True, 60)
    both = maintenance.wanted(one, maintenance.EVERYTHING, True, 120)
    assert both == {"shop": "60", "*": "120"}
    assert maintenance.wanted(both, "shop", False, 120) == {"*": "120"}
    assert maintenance.wanted(both, maintenance.EVERYTHING, False, 120) == {}
