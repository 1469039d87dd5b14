# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hosts with another operating system than the supported one are named."""

from __future__ import annotations

from ansible.module_utils.greenroom.controller.hosts.systems import unsupported

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
BOOKWORM = "PRETTY_NAME='Debian GNU/Linux 12 (bookworm)'\nVERSION_ID='12'\nID=debian\n"


def test_each_host_with_another_system_is_named() -> None:
    texts = {"app1": TRIXIE + '{\n "slot": "blue"\n}\n', "app2": BOOKWORM, "data1": UBUNTU, "ops1": "?\n", "edge1": ""}
    assert unsupported(texts) == [
        "app2 runs Debian GNU/Linux 12 (bookworm)",
        "data1 runs Ubuntu 24.04.1 LTS",
        "ops1 runs an unknown system",
    ]


def test_what_follows_the_file_does_not_count() -> None:
    assert unsupported({"app1": TRIXIE + '{"x":\n"ID=ubuntu\\n"}\nID=ubuntu\n'}) == []
    assert unsupported({"app1": TRIXIE.replace("\n", "\r\n")}) == []
