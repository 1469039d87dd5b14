# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Random numbers that depend on nothing but their seed, and cost next to nothing to seed anew."""

from __future__ import annotations

import hashlib
import random

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def salt(text: str) -> int:
    """Return 64 bits that stand for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Stream(random.Random):
    """SplitMix64 as a source for all that `random.Random` offers; `start` begins anew.

    Each trait of each person has a start of its own, so that a further trait leaves the others as they are. Python's
    own generator takes 15 µs to seed, which for ten traits would be most of the time that a person takes.
    """

    state = 0

    def start(self, seed: int) -> None:
        """Begin with a seed of 64 bits."""
        self.state = seed

    def _next(self) -> int:
        self.state = state = (self.state + _STEP) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def _randbelow(self, n: int) -> int:
        """Return a whole number below `n`: what choices and ranges of `random.Random` come from."""
        return (self._next() * n) >> 64

    def random(self) -> float:
        """Return a number from 0 to below 1."""
        return (self._next() >> 11) * 2.0**-53

    def getrandbits(self, k: int, /) -> int:
        """Return `k` random bits as a number."""
        value = self._next()
        for _ in range(64, k, 64):
            value = (value << 64) | self._next()
        return value >> (-k % 64)
