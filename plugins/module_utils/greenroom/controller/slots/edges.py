# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an environment's edge hosts say together: which slot is live, who lags behind, what number the next change gets.

Plain data in and out: each answer is what `bluegreen_switch` returns for one edge host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...switch.bluegreen import ADOPTED, SLOTS

Answer = Mapping[str, Any]


def answers(hostvars: Mapping[str, Answer], task: str, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """Return what a task, registered as `task` on each of `hosts`, said there, as a loop over them would return it."""
    return [{**hostvars[host][task], "item": host} for host in hosts]


def together(results: Sequence[Answer]) -> dict[str, Any]:
    """Return the answer that holds for the whole environment, from those of a task that asked each edge in a loop.

    That is the one with the highest epoch of those whose record is sound, and of the others only where there is no
    sound one. Added to it: all `answers` by host; `hosts` that answered; those that are `down`; those `behind` (another
    epoch or position, a lost record, not all in force); the `operation` that is under way on any of them, with its
    `phase`, `deadline` and `overdue`; the `highest_epoch` that any of them knows; `connections`, {slot: number} of all
    of them. Raises ValueError when no edge host answered.
    """
    answers = {str(result["item"]): result for result in results if not result.get("unreachable")}
    down = [str(result["item"]) for result in results if result.get("unreachable")]
    if not answers:
        raise ValueError(f"no edge host answers ({', '.join(down)}): which slot is live is not to be found out")
    best = max(answers.values(), key=lambda answer: (not answer["state_lost"], answer["epoch"]))
    # An edge that knows its operation's name before one that only found it at its peers: those take any name.
    named = sorted([best, *answers.values()], key=lambda answer: answer["operation"] == ADOPTED)
    busy = next((answer for answer in named if answer["operation"]), best)
    return {
        **best,
        "answers": answers,
        "hosts": list(answers),
        "down": down,
        "behind": [host for host, answer in answers.items() if _is_behind(answer, best)],
        "operation": busy["operation"],
        "phase": busy["phase"],
        "deadline": busy.get("deadline"),
        "overdue": busy.get("overdue", False),
        "highest_epoch": max(answer["highest_epoch"] for answer in answers.values()),
        "connections": {slot: sum(_connections(answer, slot) for answer in answers.values()) for slot in SLOTS},
    }


def notes(text: str) -> dict[str, Any]:
    """Return what was noted off the edge, {epoch, live, slot, before, ...}, from the lines of its files."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        found.update(json.loads(line))
    return found


def _is_behind(answer: Answer, best: Answer) -> bool:
    in_force = answer["in_force"] or not answer["running"]
    position = [answer[key] != best[key] for key in ("epoch", "live", "weight")]
    return bool(answer["state_lost"] or any(position) or not in_force)


def _connections(answer: Answer, slot: str) -> int:
    return int(((answer.get("connections") or {}).get(slot) or {}).get("current") or 0)


def epoch_for(edges: Answer, live: str, weight: int, recorded: int) -> int:
    """Return the number of the change to `live` with a candidate's `weight` (percent); the present one if that is so.

    A new number is higher than any that an edge knows and than the one `recorded` off the edges: an edge that died
    half-way through a change may come back with a number that the others never saw.
    """
    if not is_new(edges, live, weight):
        return int(edges["epoch"])
    return max(int(edges["highest_epoch"]), recorded) + 1


def is_new(edges: Answer, live: str, weight: int = 0) -> bool:
    """Return whether `live` with a candidate's `weight` is a change, the end of an operation, or a lost record anew."""
    lost = edges["disk"]["state"] is None
    return bool(lost or edges["live"] != live or edges["weight"] != weight or edges["operation"])


def served_before(noted: Answer, live: str | None) -> str:
    """Return the slot that served before `live`, "" where none did, by what is `noted` off the edges.

    `noted` is {live, slot, before}: the last change's slot, the one that served before it, and the one before that. A
    change whose run died before it came into force is noted, too, and counts for nothing.
    """
    slot = str(noted.get("slot") or "")
    if slot == live and noted.get("live") != live:
        return str(noted.get("before") or "")
    return slot if slot != live else ""


def routed(results: Sequence[Answer], slot: str) -> list[str]:
    """Return what may still send requests to `slot`, a line each: a disk or worker that says so or does not answer."""
    return [
        f"{answer['item']}, {where}: {value or 'does not answer'}"
        for answer in results
        for where, value in _values(answer)
        if value is None or slot in _serving(value)
    ]


def _values(answer: Answer) -> Iterator[tuple[str, str | None]]:
    """Yield what disk and workers of an edge say, as (where, value); a worker without an entry routes nothing."""
    yield "map on disk", answer["disk"]["map"] or ""
    for worker in answer["workers"]:
        if worker["problem"] or worker["value"] is not None:
            yield f"worker {worker['name']}", worker["value"]


def _serving(value: str) -> set[str]:
    """Return the slots that a map's value sends requests to."""
    _, live, candidate, weight = [*value.split(":"), "", "", "", ""][:4]
    return {live} | ({candidate} if weight not in ("", "0") else set())


def weights(canary: Any) -> list[int]:
    """Return the candidate's shares (percent) of the steps that an operator asked for: 5,25,50 as text or list.

    Raises ValueError for what is no share between 1 and 99, or does not grow.
    """
    given = canary if isinstance(canary, list | tuple) else str(canary).split(",")
    steps = [str(step).strip() for step in given if str(step).strip()]
    if not all(step.isascii() and step.isdigit() and 0 < int(step) < 100 for step in steps):
        raise ValueError(f"canary={canary}: shares are percents from 1 to 99, as in canary=5,25,50")
    numbers = [int(step) for step in steps]
    if numbers != sorted(set(numbers)):
        raise ValueError(f"canary={canary}: each step is to be larger than the one before it")
    return numbers
