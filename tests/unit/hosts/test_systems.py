# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hosts with another operating system than the supported one are named."""

from __future__ import annotations

import pytest
from ansible.module_utils.greenroom.controller.hosts.systems import (
    known,
    packages,
    postgres_version,
    unsupported,
    untested,
)

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n'
NOBLE = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
RESOLUTE = NOBLE.replace("24.04.1", "26.04").replace("24.04", "26.04")
BOOKWORM = "PRETTY_NAME='Debian GNU/Linux 12 (bookworm)'\nVERSION_ID='12'\nID=debian\n"


def test_each_host_with_another_system_is_named_with_the_reason() -> None:
    texts = {"app1": TRIXIE + '{\n "slot": "blue"\n}\n', "app2": BOOKWORM, "data1": NOBLE, "ops1": "?\n", "edge1": ""}
    assert unsupported(texts) == [
        "app2 runs Debian GNU/Linux 12 (bookworm) (it has Podman 4.3; services need Podman 5.3 and HAProxy 3.0)",
        "data1 runs Ubuntu 24.04.1 LTS (it has Podman 4.9 and HAProxy 2.8; services need Podman 5.3 and HAProxy 3.0)",
        "ops1 runs an unknown system",
    ]


def test_what_follows_the_file_does_not_count() -> None:
    assert unsupported({"app1": TRIXIE + '{"x":\n"ID=ubuntu\\n"}\nID=ubuntu\n'}) == []
    assert unsupported({"app1": TRIXIE.replace("\n", "\r\n")}) == []


def test_a_system_without_tests_is_named_and_gets_its_own_packages() -> None:
    texts = {"app1": TRIXIE, "data1": RESOLUTE, "ops1": ""}
    assert unsupported(texts) == []
    assert untested(texts) == ["data1 runs Ubuntu 26.04 LTS"]
    systems = known(texts)
    assert systems == {"app1": "debian 13", "data1": "ubuntu 26.04"}
    assert [postgres_version(systems, host) for host in texts] == [17, 18, 17]


@pytest.mark.parametrize(("version", "names"), [(17, ["postgresql-17", "postgresql-client-17", "postgresql-17-hll"])])
def test_packages_have_the_names_of_the_system(version: int, names: list[str]) -> None:
    others = ["podman", "postgresql-client", "postgresql-175"]
    assert packages([*names, *others], version) == [*names, *others]
    assert packages([*names, *others], 18) == [name.replace("17", "18", 1) for name in names] + others
