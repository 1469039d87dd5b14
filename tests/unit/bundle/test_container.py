# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The options of a service's containers."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.greenroom.controller.bundle.container import container, fit_options
from ansible.module_utils.greenroom.controller.bundle.environment_file import environment_lines
from ansible.module_utils.greenroom.controller.bundle.files import trees
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.container_user import first_id, owner
from ansible.module_utils.greenroom.controller.catalogue.image_schema import size_errors
from ansible.module_utils.greenroom.controller.validate.settings import size_problems


def service(**keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise("shop", {"image": "shop", **keys}, "/services/shop")
    return found


def test_a_plain_service_has_the_defaults() -> None:
    plain = {"user": "1000", "group": "1000", "memory": "256M", "cpu_percent": 0}
    empty = {"entrypoint": "", "shm": "", "cpus": "", "tmpfs": {}}
    empty |= {key: [] for key in ("ids", "groups", "arguments", "capabilities", "ulimits")}
    assert container(service()) == plain | empty


def test_every_key_becomes_an_option() -> None:
    own = service(
        user="www-data",
        entrypoint=["/bin/sh", "-c"],
        capabilities=["CHOWN"],
        writable={"/app/tmp": "64M"},
        shm="1G",
        ulimits={"nofile": 1024, "nproc": "5:6"},
        cpus=1.5,
    )
    assert container(own) == {
        "user": "www-data",
        "group": "",
        "ids": [f"0:{first_id(own)}:65536"],
        "groups": ["59999"],
        "entrypoint": "/bin/sh",
        "arguments": ["-c"],
        "capabilities": ["CHOWN"],
        "tmpfs": {"/app/tmp": "size=64m,mode=0700,U"},
        "shm": "1g",
        "ulimits": ["nofile=1024:1024", "nproc=5:6"],
        "memory": "256M",
        "cpus": "1.5",
        "cpu_percent": 150,
    }


def test_an_environment_has_sizes_of_its_own() -> None:
    sizes = {"shop": {"memory": "1G", "cpus": 0.25}, "other": {"memory": "9G"}}
    assert [container(service(cpus=2), sizes)[key] for key in ("memory", "cpus", "cpu_percent")] == ["1G", "0.25", 25]
    assert [container(service(cpus=2), {"shop": {}})[key] for key in ("memory", "cpus")] == ["256M", "2"]


def test_wrong_sizes_are_reported_with_their_place() -> None:
    assert size_errors({"memory": "1G", "cpus": 2}) == []
    given = {"shop": {"memory": "lots", "cpu": 1}, "shp": {}, "x": 5}
    assert sorted(size_problems(given, {"shop": {}, "x": {}})) == [
        'environment_sizes.shop.cpu: unknown key; did you mean "cpus"?',
        'environment_sizes.shop.memory: "lots" is not a size like 256M or 1G',
        'environment_sizes.shp: unknown service; did you mean "shop"?',
        "environment_sizes.x: expected a mapping, got 5",
    ]


def test_variables_have_the_names_and_texts_that_programs_want() -> None:
    values = {"http_proxy": "x", "spring.datasource.url": "y", "A-b": 1.5, "ON": True, "OFF": False, "N": 5}
    assert environment_lines(values).splitlines() == sorted(
        ["http_proxy=x", "spring.datasource.url=y", "A-b=1.5", "ON=true", "OFF=false", "N=5"]
    )


def test_the_fit_is_asked_about_what_the_service_says() -> None:
    own = service(user=33, writable={"/b": "1M"}, config_path="/a", ports={"web": {"container": 80, "from": []}})
    assert fit_options([own, service(command=["x"])], {"shop": "r/shop@sha256:0"}) == [
        {
            **{"name": "shop", "image": "r/shop@sha256:0", "user": "33", "user_given": True, "starts": False},
            **{"ports": [80], "mounted": ["/a", "/b"]},
        },
        {
            **{"name": "shop", "image": "r/shop@sha256:0", "user": "1000", "user_given": False, "starts": True},
            **{"ports": [], "mounted": []},
        },
    ]


def test_configuration_belongs_to_the_containers_user() -> None:
    own = service(user=33, config_path="/etc/shop") | {"has_config": True}
    [tree] = trees([own], "/slots/blue", "blue", {"shop": own})
    assert {key: tree[key] for key in ("owner", "group", "mode")} == owner(own)
    assert tree["owner"] == str(first_id(own) + 33)
