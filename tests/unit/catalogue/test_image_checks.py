# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How an image may run: its user, capabilities and own tmpfs; and the IDs that its user has on the host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue import container_user
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.image_checks import image_problems
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors


def service(name: str = "shop", **keys: Any) -> dict[str, Any]:
    raw = {"image": "shop", **keys}
    assert structure_errors(raw) == []
    found: dict[str, Any] = normalise(name, raw, f"/services/{name}")
    return found


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"user": "70000"}, "user: 70000 is above 65535"),
        (
            {"user": 33, "userns": False},
            "userns: user 33 may be a program of the host; without a user namespace, set a user from 1000 up",
        ),
        (
            {"user": "1000:33", "userns": False},
            "userns: user 1000:33 may be a program of the host; without a user namespace, set a user from 1000 up",
        ),
        (
            {"user": 0, "capabilities": ["SYS_ADMIN"]},
            "capabilities[0]: SYS_ADMIN is not allowed: it reaches the host, not only the container",
        ),
        (
            {"capabilities": ["CAP_NET_RAW"]},
            "capabilities[0]: CAP_NET_RAW is not allowed: with it, a container takes another one's network address, by "
            "which the firewall knows it",
        ),
        (
            {"capabilities": ["NET_BIND_SERVICES"]},
            'capabilities[0]: unknown capability "NET_BIND_SERVICES"; did you mean "NET_BIND_SERVICE"?',
        ),
        (
            {"capabilities": ["CAP_NET_BIND_SERVICE"]},
            'capabilities[0]: unknown capability "CAP_NET_BIND_SERVICE"; write "NET_BIND_SERVICE"',
        ),
        (
            {"capabilities": ["CHOWN"]},
            "capabilities[0]: CHOWN would count on the host, too; add `userns: true`",
        ),
        ({"writable": {"/app/": "1M"}}, 'writable: write "/app" in place of "/app/"'),
        ({"writable": {"/app/../etc": "1M"}}, 'writable: write "/etc" in place of "/app/../etc"'),
        (
            {"writable": {"/": "1M"}},
            "writable: the root of the file system is read-only; name the folders that the program writes to",
        ),
        ({"writable": {"/dev/shm": "1M"}}, "writable: set the size of /dev/shm with `shm`"),
        ({"writable": {"/proc/x": "1M"}}, 'writable: nothing can be mounted at "/proc/x"'),
        (
            {"writable": {"/etc/shop": "1M"}, "config_path": "/etc/shop"},
            'writable: "/etc/shop" is also `config_path`; choose another path for one of them',
        ),
    ],
)
def test_what_can_not_be_or_reaches_the_host_is_refused(keys: dict[str, Any], line: str) -> None:
    assert list(image_problems(service(**keys))) == [line]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"user": 0, "capabilities": ["CHOWN", "SETUID", "NET_BIND_SERVICE"]},
        {"user": 1000, "userns": True, "capabilities": ["CHOWN"]},
        {"capabilities": ["NET_BIND_SERVICE"]},
        {"writable": {"/app/tmp": "64M", "/process": "1M"}, "shm": "64M", "ulimits": {"nofile": "1:2", "nproc": 5}},
        {"user": "www-data:www-data"},
    ],
)
def test_what_stays_in_the_container_is_allowed(keys: dict[str, Any]) -> None:
    assert list(image_problems(service(**keys))) == []


@pytest.mark.parametrize(
    ("user", "named"),
    [
        (1000, ("1000", "1000")),
        ("1000:2000", ("1000", "2000")),
        (0, ("0", "0")),
        ("33", ("33", "33")),
        ("1000:33", ("1000", "33")),
        (65534, ("65534", "65534")),
        ("www-data", ("www-data", "")),
        ("www-data:0", ("www-data", "0")),
    ],
)
def test_a_user_that_may_be_one_of_the_host_has_a_namespace(user: Any, named: tuple[str, str]) -> None:
    own = service(user=user)
    assert container_user.user_and_group(own) == named
    assert container_user.in_namespace(own) is (user not in (1000, "1000:2000"))


def test_files_belong_to_the_user_on_the_host() -> None:
    assert container_user.owner(service()) == {"owner": "1000", "group": "1000", "mode": "0400"}
    own = service(user="33:4")
    first = container_user.first_id(own)
    assert container_user.owner(own) == {"owner": str(first + 33), "group": str(first + 4), "mode": "0400"}
    assert container_user.groups(own) == []
    # The number of a name is in the image only.
    own = service(user="www-data")
    assert container_user.owner(own) == {"owner": "0", "group": str(first + container_user.READERS), "mode": "0440"}
    assert container_user.groups(own) == [str(container_user.READERS)]


def test_a_service_has_ids_of_its_own_in_both_slots() -> None:
    firsts = {container_user.first_id(service(f"shop{number}", user=0)) for number in range(20)}
    assert len(firsts) > 15
    assert all(first % container_user.IDS == 0 and 0x70000000 <= first < 0x7FFE0000 for first in firsts)
    assert container_user.first_id(service(user=0)) == container_user.first_id(service(user=33))
    assert container_user.first_id(service()) == 0
