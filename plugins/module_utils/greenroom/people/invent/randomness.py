# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Random numbers that depend only on their seed, and are cheap to reseed."""

from __future__ import annotations

import hashlib
import random
from functools import lru_cache

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_DIGITS = 6
"""The decimal digits of a place: shares are exact down to a millionth."""


def salt(text: str) -> int:
    """Return a 64-bit hash of a string."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Stream(random.Random):
    """SplitMix64 with the methods of `random.Random`; `start` reseeds it.

    Each trait of each user has its own seed, so that a new trait doesn't change the others. Python's own generator
    takes 15 µs to seed; for ten traits, that would be most of the time that a user takes.
    """

    state = 0

    def start(self, seed: int) -> None:
        """Reseed with 64 bits."""
        self.state = seed

    def _next(self) -> int:
        self.state = state = (self.state + _STEP) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def _randbelow(self, n: int) -> int:
        """Return an integer below `n`. The choices and ranges of `random.Random` call this."""
        return (self._next() * n) >> 64

    def random(self) -> float:
        """Return a float from 0 (inclusive) to 1 (exclusive)."""
        return (self._next() >> 11) * 2.0**-53

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of `k` random bits."""
        value = self._next()
        for _ in range(64, k, 64):
            value = (value << 64) | self._next()
        return value >> (-k % 64)

    def place(self, number: int, seed: int) -> float:
        """Return the place of a number from 1 among all numbers, from 0 (inclusive) to 1 (exclusive).

        Of each ten numbers, one is in each tenth, of each hundred, one in each hundredth, and so on. So `place < 0.3`
        holds for three of each ten, not only on average. Another seed gives other places.
        """
        found, index = 0.0, number - 1
        for digit in range(1, _DIGITS + 1):
            index, position = divmod(index, 10)
            found += self._order(seed ^ (index * 10 + digit))[position] / 10**digit
        return found

    @lru_cache(maxsize=1000)  # noqa: B019 - there is one stream for all users
    def _order(self, seed: int) -> list[int]:
        """Return the ten digits in a random order. Users with consecutive numbers need the same ones."""
        self.start(seed)
        return self.sample(range(10), 10)
