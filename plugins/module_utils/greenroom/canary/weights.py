# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The steps of a canary as operators and services write them: `5,pause,25,50`, as text or as a list.

A `pause` after a weight means that the cutover waits there until an operator promotes the candidate.
"""

from __future__ import annotations

from typing import Any

PAUSE = "pause"


def weights(given: Any, name: str = "canary") -> list[int]:
    """Return the candidate's weight in each step, in percent.

    Raises ValueError, which begins with `name`, if a weight is not between 1 and 99, if the weights don't grow, or if a
    pause doesn't follow a weight.
    """
    return [weight for weight, _pauses in _steps(given, name)]


def pauses(given: Any, name: str = "canary") -> list[int]:
    """Return the weights after which the cutover waits. Raises ValueError like `weights`."""
    return [weight for weight, pauses in _steps(given, name) if pauses]


def _steps(given: Any, name: str) -> list[tuple[int, bool]]:
    words = given if isinstance(given, list | tuple) else str(given).split(",")
    steps: list[tuple[int, bool]] = []
    # Without any word, there is no canary.
    for word in [str(word).strip() for word in words] if words not in ([""], ()) else []:
        if word == PAUSE:
            if not steps or steps[-1][1]:
                raise ValueError(f"{name}={given}: a pause must follow a weight, as in {name}=5,pause,50")
            steps[-1] = steps[-1][0], True
        elif word.isascii() and word.isdigit() and 0 < int(word) < 100:
            steps.append((int(word), False))
        else:
            raise ValueError(f"{name}={given}: weights must be percentages from 1 to 99, as in {name}=5,25,50")
    numbers = [weight for weight, _pauses in steps]
    if numbers != sorted(set(numbers)):
        raise ValueError(f"{name}={given}: each weight must be larger than the one before it")
    return steps
