# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Which run holds the environment's lock, from the lock's file and the uptime of its host."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..bundle.description import facts
from ..lock.holder import described

# The uptime, then the lock's file, which is one line.
_SEEN = re.compile(r"^(\d+\.\d+) \d+\.\d+\n(.*)$", re.M)


def holders(texts: Mapping[str, str | None], expire_seconds: float) -> str:
    """Return who holds the lock, and since when, as a line.

    `texts` = {host that keeps the lock: what it prints}, None if it does not answer: a line of /proc/uptime, and the
    lock's file if there is one. The lock is free again `expire_seconds` after it was renewed for the last time.
    """
    found = {host: _holder(text, expire_seconds) for host, text in texts.items()}
    lines = dict.fromkeys(found.values())
    if len(lines) == 1:
        return next(iter(lines))
    return "; ".join(f"on {host}: {line}" for host, line in found.items()) or "unknown: no host keeps it"


def _holder(text: str | None, expire_seconds: float) -> str:
    seen = _SEEN.search(text or "")
    if seen is None:
        return "unknown: its host does not answer"
    uptime, file = seen.groups()
    holder = next((fact for fact in facts(file) if {"id", "renewed"} <= fact.keys()), None)
    if holder is None:
        return "free"
    who = f"{described(holder)}, run {holder['id']}"
    # A renewal in the future is from before a restart of the host.
    if 0 <= float(uptime) - float(holder["renewed"]) < expire_seconds:
        return f"held by {who}"
    return f"free: {who} ended without releasing it"
