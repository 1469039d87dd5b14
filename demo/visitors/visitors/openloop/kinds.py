"""Kinds of requests: a name with protocol, connection, method and response time."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"(?:(h1|h2)-(keep|new)-(get|post)|(ws))-(\d{1,5})")
LONGEST_MS = 10_000
USUAL = {
    "h1-keep-get-0": 20.0,
    "h1-new-get-0": 5.0,
    "h2-keep-get-0": 10.0,
    "h1-keep-post-0": 5.0,
    "h1-keep-get-300": 5.0,
    "h2-keep-post-300": 2.0,
    "ws-10000": 0.5,
}
"""About 50 requests a second of most kinds: {name: requests a second}."""


@dataclass(frozen=True)
class Kind:
    """One kind of request."""

    name: str
    protocol: str
    """h1, h2 or ws."""
    keep: bool
    """Whether it reuses connections."""
    method: str
    ms: int
    """Time in ms that the handler waits, or the WebSocket stays open."""

    @classmethod
    def parse(cls, name: str) -> Kind:
        """Parse a name, such as h1-keep-get-0, h2-new-post-300 or ws-10000. Raises ValueError."""
        match = NAME.fullmatch(name)
        if match is None or int(match[5]) > LONGEST_MS:
            raise ValueError(
                f"{name}: expected h1|h2-keep|new-get|post-<ms> or ws-<ms>, with no more than {LONGEST_MS} ms"
            )
        return cls(name, match[1] or match[4], match[2] == "keep", (match[3] or "get").upper(), int(match[5]))

    @property
    def path(self) -> str:
        """Path of the test endpoint for this kind."""
        if self.protocol == "ws":
            return "/echo"
        return f"/slow?ms={self.ms}" if self.ms else "/ping"


def rates(words: list[str]) -> dict[Kind, float]:
    """Parse NAME=RATE words; the default is USUAL. Returns {kind: requests per second}. Raises ValueError."""
    found: dict[Kind, float] = {}
    for word in words or [f"{name}={rate}" for name, rate in USUAL.items()]:
        name, _, rate = word.partition("=")
        kind = Kind.parse(name)
        if kind in found:
            raise ValueError(f"{name}: given twice")
        found[kind] = float(rate)
        if not found[kind] > 0:
            raise ValueError(f"{word}: the rate must be more than 0")
    return found
