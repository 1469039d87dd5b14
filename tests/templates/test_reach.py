# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who reaches the containers of a slot, with the rendered firewall of an app host, its SSH server and the kernel."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.common.container_mac import mac_address
from on_host import carried_out
from rendering import render

NOBODY, ROOT = 65534, 0
KRATOS = "10.89.10.3"
ADMIN, PUBLIC = 4434, 4433
# Its address is not one of Greenroom's.
STRANGER = "02:00:00:00:00:99"
CONTAINERS = {
    name: {"mac": mac_address(name), "address": f"10.89.10.{number}", "ports": ports}
    for number, (name, ports) in enumerate(
        {
            "portal-blue": [8080],
            "kratos-blue": [PUBLIC, ADMIN],
            "kratos-courier-blue": [1],
            "portal-blue-trial": [1],
            "portal-seed": [1],
        }.items(),
        start=2,
    )
} | {"stranger": {"mac": STRANGER, "address": "10.89.10.99", "ports": [99]}}
# A port that only root's processes reach, and one that accounts may forward to.
PUBLISHED, FORWARDED = 14434, 9999
TRIES: dict[str, tuple[Any, tuple[str, int], bool]] = {
    "a service reaches what it calls": ("portal-blue", (KRATOS, ADMIN), True),
    "each port counts": ("portal-blue", (KRATOS, PUBLIC), True),
    "a trial start calls as its service does": ("portal-blue-trial", (KRATOS, PUBLIC), True),
    "a command calls as its service does": ("portal-seed", (KRATOS, ADMIN), True),
    "a service that calls nobody": ("kratos-courier-blue", (KRATOS, ADMIN), False),
    "a port that nobody calls": ("kratos-courier-blue", (KRATOS, PUBLIC), False),
    "the way back": ("kratos-blue", ("10.89.10.2", 8080), False),
    "IPv6 of the kernel": ("kratos-courier-blue", ("link-local kratos-blue", ADMIN), False),
    "another container of the host": ("stranger", (KRATOS, ADMIN), False),
    "a container that is none of Greenroom's": ("portal-blue", ("10.89.10.99", 99), False),
    "root, at the published port": (ROOT, ("127.0.0.1", PUBLISHED), True),
    "root, at the container": (ROOT, (KRATOS, ADMIN), True),
    "an account, at the published port": (NOBODY, ("127.0.0.1", PUBLISHED), False),
    "an account, at the container": (NOBODY, (KRATOS, ADMIN), False),
    "an account, at another program": (NOBODY, ("127.0.0.1", FORWARDED), True),
    "a developer forwards a named port": ("ssh a-developer", ("127.0.0.1", FORWARDED), True),
    "a developer forwards another name of it": ("ssh a-developer", ("localhost", FORWARDED), False),
    "a developer forwards a published port": ("ssh a-developer", ("127.0.0.1", PUBLISHED), False),
    "a developer forwards a container's port": ("ssh a-developer", (KRATOS, ADMIN), False),
    "an operator forwards a published port": ("ssh a-operator", ("127.0.0.1", PUBLISHED), False),
}
# Without a table, what it closes is open.
BRIDGE, INET = "bridge greenroom", "inet greenroom"
CONTROLS: dict[str, tuple[Any, tuple[str, int], list[str]]] = {
    "container": ("kratos-courier-blue", (KRATOS, ADMIN), [BRIDGE]),
    "container that is none of Greenroom's": ("portal-blue", ("10.89.10.99", 99), [BRIDGE]),
    # Some kernels show the other table what passes a bridge, too.
    "IPv6 of the kernel": ("kratos-courier-blue", ("link-local kratos-blue", ADMIN), [BRIDGE, INET]),
    "account": (NOBODY, ("127.0.0.1", PUBLISHED), [INET]),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    forward_to = [f"127.0.0.1:{FORWARDED}"]
    folder = tmp_path_factory.mktemp("reach")
    app = render("staging", folder, roles=("base", "firewall"), hosts="app1", base_forward_to=forward_to)
    names = [*TRIES, *(f"without {name}" for name in CONTROLS)]
    tries = [{"by": by, "to": to} for by, to, _ in TRIES.values()]
    tries += [{"by": by, "to": to, "without": tables} for by, to, tables in CONTROLS.values()]
    given = {
        "containers": CONTAINERS,
        "published": {PUBLISHED: [KRATOS, ADMIN]},
        "local": [FORWARDED],
        "tries": tries,
    }
    return dict(zip(names, carried_out("reach.py", app.folder / "app1", given), strict=True))


@pytest.mark.parametrize("name", TRIES)
def test_only_who_should_reaches_a_port(outcomes: dict[str, bool], name: str) -> None:
    assert outcomes[name] is TRIES[name][2]


@pytest.mark.parametrize("name", CONTROLS)
def test_without_the_firewall_it_is_reached(outcomes: dict[str, bool], name: str) -> None:
    assert outcomes[f"without {name}"]
