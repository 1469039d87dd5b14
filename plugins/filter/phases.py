# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""How long the phases of a run took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any


def phase_seconds(phases: Iterable[Mapping[str, Any]], end: float) -> dict[str, float]:
    """Return {phase: seconds} in the order of the run, phases of one name added up.

    `phases` are {phase, began}, `began` and `end` in seconds since the epoch; a phase lasts until the next begins.
    """
    seconds: dict[str, float] = {}
    for phase, following in pairwise([*phases, {"phase": "", "began": end}]):
        name = str(phase["phase"])
        seconds[name] = round(seconds.get(name, 0.0) + following["began"] - phase["began"], 1)
    return seconds


class FilterModule:
    """The filter `phase_seconds`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by name."""
        return {"phase_seconds": phase_seconds}
