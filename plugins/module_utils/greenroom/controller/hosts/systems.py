# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The operating systems of hosts: which ones a run refuses, and how their packages are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

DEFAULT = "debian 13"
POSTGRES = {DEFAULT: 17, "ubuntu 25.04": 17, "ubuntu 25.10": 17, "ubuntu 26.04": 18}
"""The version of PostgreSQL that each system has. It is named by ID and VERSION_ID of its os-release."""
TESTED = {DEFAULT}
NEEDED = "Podman 5.3 and HAProxy 3.0"
TOO_OLD = {
    "debian 11": "it has Podman 3.0",
    "debian 12": "it has Podman 4.3",
    "ubuntu 22.04": "it has Podman 3.4",
    "ubuntu 24.04": "it has Podman 4.9 and HAProxy 2.8",
    "ubuntu 24.10": "it has Podman 5.0",
}
"""Systems that people ask for, and why they can't be hosts."""
_LINE = re.compile(r"^([A-Z_]+)=[\"']?(.*?)[\"']?$", re.M)


def _release(text: str) -> tuple[str, str]:
    """Return the system and its full name from /etc/os-release, which other text may follow."""
    found = dict(_LINE.findall(text.partition("{")[0].replace("\r", "")))
    return f"{found.get('ID', '')} {found.get('VERSION_ID', '')}", found.get("PRETTY_NAME") or "an unknown system"


def unsupported(texts: Mapping[str, str]) -> list[str]:
    """Return the hosts that can't be set up, as `<host> runs <name>`, with the reason if it is known.

    `texts` = {host: its /etc/os-release}. Other text may follow the file. A host without text was not asked.
    """
    found = []
    for host, text in texts.items():
        system, name = _release(text)
        if text and system not in POSTGRES:
            reason = f" ({TOO_OLD[system]}; services need {NEEDED})" if system in TOO_OLD else ""
            found.append(f"{host} runs {name}{reason}")
    return found


def untested(texts: Mapping[str, str]) -> list[str]:
    """Return the hosts whose system no test of Greenroom runs on, as `<host> runs <name>`."""
    systems = {host: _release(text) for host, text in texts.items() if text}
    return [f"{host} runs {name}" for host, (system, name) in systems.items() if system in POSTGRES.keys() - TESTED]


def known(texts: Mapping[str, str]) -> dict[str, str]:
    """Return {host: its system} of the hosts that can be set up and were asked."""
    systems = {host: _release(text)[0] for host, text in texts.items()}
    return {host: system for host, system in systems.items() if system in POSTGRES}


def postgres_version(systems: Mapping[str, str], host: str) -> int:
    """Return the version of PostgreSQL that a host's system has, Debian's if it was not asked."""
    return POSTGRES[systems.get(host, DEFAULT)]


def packages(names: Sequence[str], postgres: int) -> list[str]:
    """Return packages by the names that they have on a system with this version of PostgreSQL."""
    ours = rf"^(postgresql(?:-client)?)-{POSTGRES[DEFAULT]}\b"
    return [re.sub(ours, rf"\g<1>-{postgres}", name) for name in names]
