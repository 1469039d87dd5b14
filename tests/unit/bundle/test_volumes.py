# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Folders, mounts and copies of volumes, and the one instance of a singleton."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle import (
    activation,
    checks,
    description_schema,
    edge_routes,
    volumes,
)
from ansible.module_utils.greenroom.controller.bundle.description import describe, description_of
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.volumes import mounts
from ansible.module_utils.greenroom.controller.slots import health

ROOT = Path(__file__).resolve().parents[3]
GROUPS = {"app": ["app1", "app2"]}
MEMBERS = {"app": {"app1": "198.18.10.21", "app2": "198.18.10.22"}}
FOLDER = "/var/lib/greenroom/volumes"
CALENDAR = {
    "activation": "singleton",
    "ports": {"web": {"container": 5232, "from": ["edge"]}},
    "health": {"port": "web", "path": "/"},
    "routes": [{"path": "/"}],
    "volumes": {"files": {"path": "/data"}},
}


def catalogue(**services: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: normalise(name, {"image": name, **keys}, f"/srv/{name}") for name, keys in services.items()}


def described(services: dict[str, dict[str, Any]], slot: str) -> dict[str, Any]:
    release = {"name": "1", "id": "x", "images": dict.fromkeys(services, "r/i@sha256:0")}
    found: dict[str, Any] = describe(services, slot, release, MEMBERS)
    return found


def test_a_description_with_volumes_is_valid() -> None:
    found = described(catalogue(calendar=CALENDAR), "blue")
    assert description_schema.problem(found) == ""
    found["services"]["calendar"]["volumes"]["files"]["path"] = "data"
    assert description_schema.problem(found) == "services.calendar.volumes.files.path is not valid"


def test_slots_share_a_volume_or_have_their_own() -> None:
    shop = catalogue(
        shop={"volumes": {"a": {"path": "/a"}, "b": {"path": "/b", "shared": "per_slot", "read_only": True}}}
    )
    assert mounts(shop["shop"], "green") == [
        f"{FOLDER}/shop/a:/a:rw,nodev,nosuid",
        f"{FOLDER}/shop/b.green:/b:ro,nodev,nosuid",
    ]
    assert volumes.folders(shop.values(), {}, "app1", GROUPS, {"shop/a": "nfs:/a"}) == [
        {"path": FOLDER, "mode": "0700"},
        *(
            {"path": f"{FOLDER}/shop/b.{slot}", "owner": "1000", "group": "1000", "mode": "0700"}
            for slot in ("blue", "green")
        ),
    ]


def test_a_folder_stays_as_long_as_a_slot_has_it() -> None:
    live = described(catalogue(shop={"volumes": {"a": {"path": "/a"}}}), "blue")
    paths = [item["path"] for item in volumes.folders([], {"blue": live}, "app1", GROUPS, {})]
    assert paths == [FOLDER, f"{FOLDER}/shop/a"]
    assert volumes.wanted({}, {"blue": live})


def test_a_bundle_of_an_earlier_version_has_no_volumes() -> None:
    live = described(catalogue(shop={}), "blue")
    del live["services"]["shop"]["volumes"]
    services = catalogue(shop={"volumes": {"a": {"path": "/a", "shared": "per_slot"}}})
    assert description_schema.problem(live) == ""
    assert volumes.copies(services.values(), "green", live) == []
    assert volumes.objections(services, live, GROUPS, {}) == []
    assert not volumes.wanted({}, {"blue": live})


@pytest.mark.parametrize(
    ("before", "now", "copied"),
    [
        ("per_slot", "per_slot", [f"{FOLDER}/shop/a.blue", f"{FOLDER}/shop/a.green", "1000", "replace"]),
        ("slots", "per_slot", [f"{FOLDER}/shop/a", f"{FOLDER}/shop/a.green", "1000", "replace"]),
        ("per_slot", "slots", [f"{FOLDER}/shop/a.blue", f"{FOLDER}/shop/a", "1000", "keep"]),
        ("slots", "slots", None),
    ],
)
def test_a_deploy_copies_what_the_slots_do_not_share(before: str, now: str, copied: list[str] | None) -> None:
    old, new = (catalogue(shop={"volumes": {"a": {"path": "/a", "shared": shared}}}) for shared in (before, now))
    assert volumes.copies(new.values(), "green", described(old, "blue")) == ([copied] if copied else [])


def test_services_start_again_after_their_files_were_replaced() -> None:
    index = {"path": "/a", "shared": "per_slot"}
    services = catalogue(
        shop={"volumes": {"a": index}},
        search={"volumes": {"a": {**index, "of": "shop"}}},
        wiki={"volumes": {"b": {"path": "/b"}}},
    )
    live = described(services, "blue")
    assert volumes.copy_users(services.values(), "green", live) == ["shop-green.service", "search-green.service"]
    assert volumes.copy_users(services.values(), "green", None) == []


@pytest.mark.parametrize(
    ("before", "now", "groups", "line"),
    [
        (
            {},
            {"user": 1001},
            GROUPS,
            "calendar: volumes.files belongs to user 1000, and the live slot still writes there",
        ),
        ({}, {}, {"app": ["app2", "app1"]}, "calendar: volumes.files is on app2, but the service would run on app1"),
        ({"activation": "always"}, {}, GROUPS, "calendar: the live slot has it as `always`, so two instances"),
        ({}, {}, GROUPS, None),
    ],
)
def test_what_would_lose_files_or_run_twice_is_refused(
    before: dict[str, Any], now: dict[str, Any], groups: dict[str, list[str]], line: str | None
) -> None:
    live = described(catalogue(calendar={**CALENDAR, **before}), "blue")
    if groups != GROUPS:
        # The slot was deployed before app1 came.
        live["hosts"]["app"] = live["hosts"]["app"][1:]
        groups = GROUPS
    found = volumes.objections(catalogue(calendar={**CALENDAR, **now}), live, groups, {})
    assert [item.startswith(line or "-") for item in found] == ([True] if line else [])


def test_requests_reach_the_one_instance_in_either_slot() -> None:
    services = catalogue(calendar=CALENDAR)
    blue, green = described(services, "blue"), described(services, "green")
    [found] = edge_routes.edge_backends(green, "shop.test", blue, GROUPS)
    assert [(place["name"], place["host"]["address"], place["port"]) for place in found["moves"]] == [
        ("app1:green", "198.18.10.21", 25232),
        ("app1:blue", "198.18.10.21", 15232),
    ]
    [alone] = edge_routes.edge_backends(green, "shop.test", None, GROUPS)
    assert [place["name"] for place in alone["moves"]] == ["app1:green"]
    before = described(catalogue(calendar={**CALENDAR, "activation": "always"}), "blue")
    [first] = edge_routes.edge_backends(green, "shop.test", before, GROUPS)
    assert [place["name"] for place in first["moves"]] == ["app1:green"]


def test_a_singleton_that_the_live_slot_lacks_is_checked_in_the_candidate() -> None:
    services = catalogue(calendar=CALENDAR, courier={"activation": "singleton"})
    green, nothing = described(services, "green"), described({}, "blue")
    blue = described(services, "blue")

    def started(live: dict[str, Any] | None, host: str = "app1") -> list[str]:
        found = activation.startable(list(services.values()), green, live, host, GROUPS)
        return [service["name"] for service in found if service["activation"] == "always"]

    assert started(nothing) == ["calendar"]
    assert started(nothing, "app2") == []
    assert started(blue) == []
    # Without a live slot, the activation starts them.
    assert started(None) == []
    units = {unit["name"]: unit["state"] for unit in activation.live_only_units(nothing, green, "app1", GROUPS)}
    assert units == {"courier-green.service": "stopped", "calendar-green.service": "started"}
    units = {unit["name"]: unit["state"] for unit in activation.live_only_units(blue, green, "app1", GROUPS)}
    assert units["calendar-green.service"] == "stopped"
    assert units["calendar-blue.service"] == "started"


def test_the_place_where_a_singleton_does_not_run_is_no_fault() -> None:
    down = {"calendar_web_blue": {"healthy": True, "down": ["app1:green"]}}
    assert health.servers({"edge1": {"health": {"blue": down}}}, "blue") == []
    down["calendar_web_blue"]["healthy"] = False
    assert health.servers({"edge1": {"health": {"blue": down}}}, "blue") == [
        "calendar_web_blue on app1:green fails its health check (seen by edge1)"
    ]


def test_a_new_singleton_is_not_started_in_a_slot_that_was_never_deployed() -> None:
    new = catalogue(calendar=CALENDAR)
    live = described(catalogue(shop={}), "blue")
    empty = description_of({"blue": live}, "green", new)
    assert activation.live_only_units(live, empty, "app1", GROUPS) == []


def test_a_run_waits_for_the_one_instance_on_its_host() -> None:
    live = described(catalogue(calendar=CALENDAR, consumer={"activation": "singleton"}), "green")
    [found] = checks.singleton_checks(live, "app1", GROUPS, "shop.test")
    assert (found["name"], found["port"]) == ("calendar-green", 25232)
    assert checks.singleton_checks(live, "app2", GROUPS, "shop.test") == []


def test_the_backup_reads_each_volume_where_it_is() -> None:
    services = catalogue(
        calendar=CALENDAR,
        shop={"volumes": {"a": {"path": "/a", "per_host": True}, "b": {"path": "/b"}, "c": {"path": "/c", "of": "x"}}},
    )
    assert volumes.backed_up(services, GROUPS, MEMBERS["app"], {"shop/b": "nfs:/b"}) == [
        "calendar/files@app1=198.18.10.21",
        "shop/a@app1=198.18.10.21",
        "shop/a@app2=198.18.10.22",
        "shop/b@app1=198.18.10.21",
    ]


def test_a_restore_finds_the_singletons_that_have_a_folder_open() -> None:
    services = catalogue(calendar=CALENDAR, shop={"volumes": {"a": {"path": "/a"}}})
    assert volumes.singletons(services, "calendar/files") == ["calendar-blue.service", "calendar-green.service"]
    assert volumes.singletons(services, "calendar/files.restored") == []
    assert volumes.singletons(services, "shop/a") == []


def test_a_name_with_a_dash_is_escaped_for_systemd() -> None:
    places = {f"{FOLDER}/my-shop/a": "nfs:/a"}
    unit = r"var-lib-greenroom-volumes-my\x2dshop-a.mount"
    [file] = volumes.mount_files(places, "rw")
    assert file["dest"] == f"/etc/systemd/system/{unit}"
    assert f"Where={FOLDER}/my-shop/a\n" in file["content"]
    assert [item["name"] for item in volumes.mount_units(places)] == [unit]


class Program:
    """greenroom-volumes on a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "volumes"
        self.root.mkdir()

    def call(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        program = ROOT / "roles/volumes/templates/programs/greenroom-volumes.j2"
        return subprocess.run(
            ["sh", str(program), *words],
            input=given,
            capture_output=True,
            check=False,
            env={
                **os.environ,
                "GREENROOM_VOLUMES": str(self.root),
                "PATH": f"{self.root.parent}/bin:{os.environ['PATH']}",
            },
        )

    def file(self, name: str, text: str = "x") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_an_archive_has_all_files_and_is_the_same_for_the_same_files(program: Program) -> None:
    program.file("shop/media/a b/c", "content").chmod(0o640)
    first, second = (program.call("remote", "send shop/media") for _ in range(2))
    assert (first.returncode, first.stderr) == (0, b"")
    assert first.stdout == second.stdout
    done = program.call("remote", "receive shop/media.restored", given=first.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    restored = program.root / "shop/media.restored/a b/c"
    assert (restored.read_text(), restored.stat().st_mode & 0o777) == ("content", 0o640)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("send shop/../etc", "is not a volume"),
        ("send /etc", "is not a volume"),
        ("send shop/other", "there is no folder"),
        ("receive shop/media", "is not empty"),
        ("copy a b", "only send and receive"),
        ("", "only send and receive"),
    ],
)
def test_the_backup_reaches_volumes_only(program: Program, words: str, says: str) -> None:
    program.file("shop/media/file")
    done = program.call("remote", words)
    assert done.returncode != 0
    assert says in done.stderr.decode()
    assert (program.root / "shop/media/file").read_text() == "x"


def test_half_an_archive_leaves_the_folder_empty(program: Program) -> None:
    program.file("shop/media/file", os.urandom(50000).hex())
    archive = program.call("send", "shop/media").stdout
    done = program.call("receive", "shop/new", given=archive[: len(archive) // 2])
    assert done.returncode != 0
    assert list((program.root / "shop/new").iterdir()) == []


def test_a_copy_replaces_a_folder_that_stays_open_until_the_slot_has_started(program: Program) -> None:
    program.file("shop/index.blue/new")
    opened = program.file("shop/index.green/old")
    user = str(os.getuid())
    source, target = f"{program.root}/shop/index.blue", f"{program.root}/shop/index.green"
    for _ in range(2):
        done = program.call("copy", source, target, user, "replace")
        assert (done.returncode, done.stdout.decode()) == (0, f"copied {source} to {target}\n")
        assert [path.name for path in Path(target).iterdir()] == ["new"]
    program.file("shop/media/kept")
    assert program.call("tidy").returncode == 0
    assert sorted(path.name for path in (program.root / "shop").iterdir()) == ["index.blue", "index.green", "media"]
    assert not opened.exists()


def test_a_shared_folder_begins_as_the_live_slots_and_what_was_there_is_kept(program: Program) -> None:
    program.file("shop/a.blue/new")
    program.file("shop/a/of an earlier deploy")
    for name in ("a", "b"):
        target = program.root / "shop" / name
        done = program.call("copy", f"{program.root}/shop/a.blue", str(target), str(os.getuid()), "keep")
        assert done.returncode == 0
        assert [path.name for path in target.iterdir()] == ["new"]
    assert program.call("tidy").returncode == 0
    [kept] = program.root.glob("shop/*.kept-*")
    assert kept.name.startswith("a.")
    assert [path.name for path in kept.iterdir()] == ["of an earlier deploy"]


def test_a_shared_folder_on_nfs_begins_as_the_live_slots_unless_the_server_has_files(program: Program) -> None:
    mountpoint = program.root.parent / "bin/mountpoint"
    mountpoint.parent.mkdir()
    mountpoint.write_text("#!/bin/sh\ncase $2 in */shop/nfs*) exit 0 ;; esac\nexit 1\n")
    mountpoint.chmod(0o755)
    source = program.file("shop/a.blue/new", "text").parent
    (program.root / "shop/nfs").mkdir()
    program.file("shop/nfs2/of an earlier deploy")
    # A copy that was interrupted.
    program.file("shop/nfs3/.greenroom-copy")
    program.file("shop/nfs3/new", "te")
    said = []
    for name in ("nfs", "nfs2", "nfs3"):
        done = program.call("copy", str(source), f"{program.root}/shop/{name}", str(os.getuid()), "keep")
        assert (done.returncode, done.stderr) == (0, b"")
        said.append(done.stdout.decode().split()[0])
    assert said == ["copied", f"{program.root}/shop/nfs2", "copied"]
    found = {path.parent.name: path.name for path in program.root.glob("shop/nfs*/*")}
    assert found == {"nfs": "new", "nfs2": "of an earlier deploy", "nfs3": "new"}
    assert (program.root / "shop/nfs3/new").read_text() == "text"
