# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The operating systems of hosts."""

from __future__ import annotations

import re
from collections.abc import Mapping

SUPPORTED = {("debian", "13")}
"""ID and VERSION_ID in /etc/os-release."""
_LINE = re.compile(r"^([A-Z_]+)=[\"']?(.*?)[\"']?$", re.M)


def unsupported(texts: Mapping[str, str]) -> list[str]:
    """Return the hosts with another operating system, as `<host> runs <name>`, from {host: its /etc/os-release}.

    Other text may follow the file. A host without text was not asked.
    """
    found = []
    for host, text in texts.items():
        system = dict(_LINE.findall(text.partition("{")[0].replace("\r", "")))
        if text and (system.get("ID"), system.get("VERSION_ID")) not in SUPPORTED:
            found.append(f"{host} runs {system.get('PRETTY_NAME') or 'an unknown system'}")
    return found
