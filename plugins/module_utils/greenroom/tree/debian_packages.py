# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Find missing Debian packages in dpkg's status file, because apt takes a second for that."""

from __future__ import annotations

import re
from collections.abc import Iterable

STATUS = "/var/lib/dpkg/status"
INSTALLED = re.compile(r"^Status: \S+ ok installed$", re.M)
NAMES = re.compile(r"^(?:Package|Provides): (.*)$", re.M)


def installed(path: str = STATUS) -> set[str]:
    """Return the names of all installed packages and of the packages that they provide; an empty set without dpkg."""
    try:
        with open(path, encoding="utf-8") as stream:
            entries = stream.read().split("\n\n")
    except FileNotFoundError:
        return set()
    return {
        name.split()[0]
        for entry in entries
        if INSTALLED.search(entry)
        for line in NAMES.findall(entry)
        for name in line.split(",")
        if name.strip()
    }


def missing(wanted: Iterable[str], path: str = STATUS) -> list[str]:
    """Return the packages in `wanted` that aren't installed. Names with a version or architecture count as missing."""
    return sorted(set(wanted) - installed(path))
