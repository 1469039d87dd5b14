# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which Debian packages a host lacks, from dpkg's own list: to ask apt takes a second."""

from __future__ import annotations

import re
from collections.abc import Iterable

STATUS = "/var/lib/dpkg/status"
INSTALLED = re.compile(r"^Status: \S+ ok installed$", re.M)
NAMES = re.compile(r"^(?:Package|Provides): (.*)$", re.M)


def installed(path: str = STATUS) -> set[str]:
    """Return the names of all packages that are installed, and of what they provide; none where there is no dpkg."""
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
    """Return those of `wanted` that are not installed. A name with a version or an architecture is apt's to judge."""
    return sorted(set(wanted) - installed(path))
