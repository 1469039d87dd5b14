# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which containers of a slot may connect to which other ones."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.greenroom.common.container_mac import mac_address
from ansible.module_utils.greenroom.controller.bundle.calls import calls


def catalogue(number: int, called: list[str]) -> dict[str, Any]:
    return {
        "portal": {"ports": {}, "calls": called},
        "kratos": {"ports": {"admin": {"container": number}, "public": {"container": 4433}}, "calls": []},
    }


def connections(*given: Any) -> set[tuple[str, str, int]]:
    return {(each["caller"], each["called"], each["port"]) for each in calls(*given)}


def test_all_containers_of_a_service_may_call() -> None:
    assert connections(catalogue(4434, ["kratos.admin"]), {}) == {
        (f"portal-{part}", f"kratos-{slot}", 4434)
        for slot in ("blue", "green")
        for part in (slot, f"{slot}-trial", "migrate", "prepare", "seed", "run", "console")
    }


def test_a_service_that_names_nobody_calls_nobody() -> None:
    assert calls(catalogue(4434, []), {}) == []


def test_a_slot_keeps_the_calls_of_its_bundle() -> None:
    old = {"green": {"services": catalogue(5000, ["kratos.admin", "kratos.public"])}}
    found = connections(catalogue(4434, ["kratos.admin"]), old)
    assert {(called, port) for caller, called, port in found if caller == "portal-seed"} == {
        ("kratos-blue", 4434), ("kratos-green", 4433), ("kratos-green", 4434), ("kratos-green", 5000),
    }  # fmt: skip


def test_a_bundle_of_an_earlier_version_names_no_calls() -> None:
    old = catalogue(4434, [])
    del old["portal"]["calls"], old["kratos"]["calls"]
    assert calls(catalogue(4434, []), {"blue": {"services": old}}) == []


def test_addresses_follow_from_names_and_can_be_given_to_containers() -> None:
    found = calls(catalogue(4434, ["kratos.admin"]), {})
    assert {(each["caller"], each["saddr"]) for each in found} == {
        (each["caller"], mac_address(each["caller"])) for each in found
    }
    octets = [int(octet, 16) for octet in mac_address("kratos-blue").split(":")]
    assert len(octets) == 6
    # Locally administered, and of one card only.
    assert octets[0] & 0b11 == 0b10
    assert len({mac_address(f"shop-{number}") for number in range(1000)}) == 1000
