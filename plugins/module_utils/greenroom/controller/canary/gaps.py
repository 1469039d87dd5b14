# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an interval of a canary could not observe, although something there may be bad. With it, there is no pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HEARD = 5
"""A path that the live slot responds to so often in an interval, and the candidate never, is not observed."""

Traffic = Mapping[str, Mapping[str, Any]]
Slots = Mapping[str, str]


def found(
    result: Mapping[str, Any], intervals: Sequence[Mapping[str, Any]], traffic: Traffic, slots: Slots, minimum: int
) -> Iterator[str]:
    """Yield the gaps of the last of the `intervals`, for operators.

    `traffic` are the results of canary_traffic by edge host, `slots` = {live, candidate: name}, `minimum` is the number
    of requests that a slot needs.
    """
    seen = intervals[-1]
    for name, host in traffic.items():
        yield from (f"{name}: {gap}" for gap in host["gaps"])
    yield from _hanging(seen, traffic, slots)
    yield from _unheard(seen, slots)
    yield from _short(result["short"], intervals, slots, minimum)


def _hanging(seen: Mapping[str, Any], traffic: Traffic, slots: Slots) -> Iterator[str]:
    """Yield a line if more of the candidate's requests than of the live slot's still have no response."""
    own, live = (
        sum(host["waiting"].get(slots[side], 0) for host in traffic.values()) for side in ("candidate", "live")
    )
    own_of, live_of = (max(1, seen["public"][side]["requests"]) for side in ("candidate", "live"))
    if own * live_of > live * own_of:
        yield f"{own} requests to {slots['candidate']} still have no response"


def _unheard(seen: Mapping[str, Any], slots: Slots) -> Iterator[str]:
    """Yield a line for each probed path to which only the live slot responded."""
    own, live = (seen["probes"][side]["routes"] for side in ("candidate", "live"))
    for path in sorted(path for path, counts in live.items() if counts[0] >= HEARD and path not in own):
        yield f"no probe of {path} got a response from {slots['candidate']}"


def _short(seconds: float | None, intervals: Sequence[Mapping[str, Any]], slots: Slots, minimum: int) -> Iterator[str]:
    """Yield a line if the candidate has enough public requests, and the baseline had no time for as many."""
    own, live = (sum(each["public"][side]["requests"] for each in intervals) for side in ("candidate", "live"))
    if seconds is not None and live < minimum <= own:
        yield (
            f"{slots['live']} served for only {seconds:.0f} s before: its {live} public requests are too few to "
            f"compare with (it needs {minimum})"
        )
