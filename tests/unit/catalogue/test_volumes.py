# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with volumes, found before a run touches a host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle.container import container
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.container_user import first_id
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors
from ansible.module_utils.greenroom.controller.catalogue.volume_checks import (
    host_problems,
    nfs_problems,
    volume_problems,
)

GROUPS = {"app": ["app1", "app2"], "one": ["app1"]}
MEDIA = {"media": {"path": "/data"}}


def service(name: str, **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise(name, {"image": name, **keys}, f"/srv/services/{name}")
    return found


def lines(*services: dict[str, Any]) -> list[str]:
    catalogue = {item["name"]: item for item in services}
    return [f"{name}: {line}" for name, item in catalogue.items() for line in volume_problems(item, catalogue)]


def test_a_volume_has_defaults() -> None:
    assert service("shop", volumes=MEDIA)["volumes"] == {
        "media": {
            "path": "/data",
            "shared": "slots",
            "owner": "shop",
            "read_only": False,
            "per_host": False,
            "user": 1000,
        }
    }


@pytest.mark.parametrize(
    ("volumes", "line"),
    [
        ({"media": {}}, "volumes.media.path: missing"),
        ({"media": {"path": "data"}}, "volumes.media.path: "),
        ({"Media": {"path": "/data"}}, 'volumes: "Media" is not a name'),
        ({"media": {"path": "/data", "shared": "all"}}, "volumes.media.shared: "),
        ({"media": {"path": "/data", "pth": 1}}, "volumes.media.pth: unknown key"),
    ],
)
def test_the_schema_names_the_key(volumes: dict[str, Any], line: str) -> None:
    [found] = structure_errors({"image": "shop", "volumes": volumes})
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"volumes": {"a": {"path": "/data/"}}}, 'volumes.a.path: write "/data" instead of "/data/"'),
        ({"volumes": {"a": {"path": "/x/../etc"}}}, 'volumes.a.path: write "/etc" instead of "/x/../etc"'),
        ({"volumes": {"a": {"path": "/usr"}}}, 'volumes.a.path: "/usr" belongs to the container itself'),
        ({"volumes": {"a": {"path": "/proc/x"}}}, 'volumes.a.path: "/proc/x" belongs to the container itself'),
        ({"volumes": {"a": {"path": "/d"}, "b": {"path": "/d"}}}, 'volumes.b.path: "/d" is the path of a'),
        (
            {"config_path": "/etc/shop", "volumes": {"a": {"path": "/etc/shop/data"}}},
            "volumes.a.path: `config_path` (/etc/shop) is read-only",
        ),
        (
            {"volumes": {"a": {"path": "/d", "of": "galery"}}},
            'volumes.a.of: unknown service "galery"; did you mean "gallery"?',
        ),
        (
            {"volumes": {"meda": {"path": "/d", "of": "gallery"}}},
            'volumes.meda.of: gallery has no volume "meda"; did you',
        ),
        (
            {"volumes": {"media": {"path": "/d", "of": "gallery", "shared": "per_slot"}}},
            "volumes.media.shared: per_slot, but slots at gallery, which it belongs to",
        ),
        (
            {"user": 1001, "volumes": {"media": {"path": "/d", "of": "gallery"}}},
            "user: 1001, but the files of gallery/media belong to user 1000",
        ),
        (
            {"activation": "singleton", "volumes": {"media": {"path": "/d", "of": "gallery"}}},
            "volumes.media.of: only one process may use the files of a singleton",
        ),
        (
            {"activation": "singleton", "migrate": ["up"], "volumes": MEDIA},
            "migrate: would run next to the live instance",
        ),
        (
            {"activation": "singleton", "schedule": {"tidy": {"command": ["t"], "at": "daily"}}, "volumes": MEDIA},
            "schedule: would run next to the live instance, but only one process may use a singleton's files; if its "
            "commands may, set `commands: true` at volumes.media",
        ),
        ({"activation": "singleton", "hooks": {"after_deploy": ["h"]}, "volumes": MEDIA}, "hooks: would run next to"),
        ({"activation": "singleton", "console": ["c"], "volumes": MEDIA}, "console: would run next to"),
        ({"volumes": {"a": {"path": "/d", "commands": True}}}, "volumes.a.commands: only for a singleton"),
    ],
)
def test_a_volume_that_cannot_work_is_refused(keys: dict[str, Any], line: str) -> None:
    [found] = lines(service("gallery", volumes=MEDIA), service("shop", **keys))
    assert found.startswith(f"shop: {line}")


def test_commands_may_use_a_singletons_files_if_the_service_says_so() -> None:
    keys = {"activation": "singleton", "console": ["c"], "hooks": {"after_deploy": ["h"]}}
    assert lines(service("shop", volumes={"media": {"path": "/d", "commands": True}}, **keys)) == []
    assert lines(service("shop", volumes={"media": {"path": "/d", "read_only": True}}, **keys)) == []


def test_two_services_share_a_volume() -> None:
    worker = service(
        "worker", activation="live_only", volumes={"media": {"path": "/m", "of": "gallery", "read_only": True}}
    )
    gallery = service("gallery", group="one", volumes=MEDIA)
    assert lines(gallery, worker) == []
    both = {"gallery": gallery, "worker": worker}
    assert list(host_problems(both, GROUPS)) == [("worker", "volumes.media.of: app2 has no files of gallery")]
    assert list(host_problems(both, GROUPS, {"gallery/media": "nfs:/x"})) == []


@pytest.mark.parametrize(
    ("keys", "nfs"),
    [
        ({"group": "one"}, {}),
        ({"activation": "singleton"}, {}),
        ({"volumes": {"media": {"path": "/data", "per_host": True}}}, {}),
        ({}, {"shop/media": "nfs.test:/media"}),
    ],
)
def test_several_hosts_need_a_decision(keys: dict[str, Any], nfs: dict[str, str]) -> None:
    [(name, line)] = host_problems({"shop": service("shop", volumes=MEDIA)}, GROUPS)
    assert (name, line.partition(";")[0]) == ("shop", "volumes.media: app1, app2 would each have files of their own")
    assert list(host_problems({"shop": service("shop", **{"volumes": MEDIA, **keys})}, GROUPS, nfs)) == []


def test_names_and_places_on_nfs_are_checked() -> None:
    catalogue = {"shop": service("shop", volumes={**MEDIA, "index": {"path": "/i", "shared": "per_slot"}})}
    given = {"shop/meda": "nfs:/m", "shop/index": "nfs:/i", "shop/media": "/m"}
    assert [line.partition(";")[0] for line in nfs_problems(catalogue, given)] == [
        "volumes_nfs.shop/meda: no service has this volume",
        "volumes_nfs.shop/index: each slot has its own copy, which a deploy makes",
        "volumes_nfs.shop/media: expected <server>:<path>, such as nfs.example.com:/export/media",
    ]


@pytest.mark.parametrize("keys", [{"user": 991}, {"user": 1000, "userns": True}])
def test_services_in_user_namespaces_share_files_as_the_same_user(keys: dict[str, Any]) -> None:
    gallery = service("gallery", volumes=MEDIA, **keys)
    resizer = service("resizer", volumes={"media": {"path": "/x", "of": "gallery"}}, **keys)
    assert lines(gallery, resizer) == []
    assert container(resizer)["ids"] == container(gallery)["ids"] != container(service("shop", **keys))["ids"]
    assert resizer["volumes"]["media"]["user"] == first_id(resizer) + keys["user"]
