# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The state of all edge hosts of an environment: which slot is live, which hosts are behind, and the next epoch.

Plain data in and out: each answer is the result of `bluegreen_switch` on one edge host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...switch.bluegreen import ADOPTED, SLOTS, other

Answer = Mapping[str, Any]


def other_slot(slot: str | None) -> str:
    """Return the other slot than `slot`; the first one if there is none."""
    return other(slot) if slot in SLOTS else SLOTS[0]


def answers(
    hostvars: Mapping[str, Answer], task: str, hosts: Sequence[str], silent: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the results registered as `task` on each of `hosts`, in the form of a loop's results.

    The `silent` hosts were not asked, because the run knows that they don't answer.
    """
    return [{**({"unreachable": True} if host in silent else hostvars[host][task]), "item": host} for host in hosts]


def failures(results: Sequence[Answer]) -> dict[str, str]:
    """Return why edge hosts did not do what they were asked for, {host: reason}."""
    return {
        str(result["item"]): str(result.get("msg") or "does not answer")
        for result in results
        # With `failed_when: false`, only a success has the state.
        if result.get("unreachable") or "disk" not in result
    }


def together(results: Sequence[Answer]) -> dict[str, Any]:
    """Return the answer that is valid for the whole environment, from the results of a loop over the edge hosts.

    This is the answer with the highest epoch of the edge hosts that have their state, or of all if none has it. It also
    gets: all `answers` by host; the `hosts` that answered; the hosts that are `down`; the hosts `behind` (another epoch
    or position, a lost state, or not in effect everywhere); the `operation` in progress on any of them, with its
    `phase`, `deadline` and `overdue`, and whether it `bakes`; the `highest_epoch` that any of them knows; the
    `previous` slot, "" if one of those with this epoch has none, None if it isn't known; `changed_by` of those with
    this epoch, None if a run made the last switch; `connections`, {slot: number} on all of them. Raises ValueError if
    no edge host answered.

    Its `value` is for the option `newest` of bluegreen_switch: with it, hosts that are behind take part in a switch.
    """
    answers = {str(result["item"]): result for result in results if not result.get("unreachable")}
    down = [str(result["item"]) for result in results if result.get("unreachable")]
    if not answers:
        raise ValueError(f"can't tell which slot is live: no edge host answers ({', '.join(down)})")
    best = max(answers.values(), key=lambda answer: (not answer["state_lost"], answer["epoch"]))
    # Prefer the operation's own name: an edge host that adopted the operation doesn't know it.
    named = sorted([best, *answers.values()], key=lambda answer: answer["operation"] == ADOPTED)
    busy = next((answer for answer in named if answer["operation"]), best)
    current = [answer for answer in answers.values() if not answer["state_lost"] and answer["epoch"] == best["epoch"]]
    gone = any(answer.get("previous") == "" for answer in current)
    return {
        **best,
        "previous": "" if gone else next((answer["previous"] for answer in current if answer.get("previous")), None),
        "changed_by": next((answer["changed_by"] for answer in current if answer.get("changed_by")), None),
        "answers": answers,
        "hosts": list(answers),
        "down": down,
        "behind": [host for host, answer in answers.items() if _is_behind(answer, best)],
        "operation": busy["operation"],
        "phase": busy["phase"],
        "deadline": busy.get("deadline"),
        "overdue": busy.get("overdue", False),
        "bakes": any(answer.get("bakes") for answer in answers.values()),
        "highest_epoch": max(answer["highest_epoch"] for answer in answers.values()),
        "connections": {slot: sum(_connections(answer, slot) for answer in answers.values()) for slot in SLOTS},
    }


def notes(text: str) -> dict[str, Any]:
    """Return the record that is kept off the edge, {live, epoch, from}, from its file's text; empty without any.

    On an app host, what its slots run stands before the record, which is the last JSON object.
    """
    last = text[text.rfind("\n{") + 1 :]
    found: dict[str, Any] = json.loads(last) if last.startswith("{") else {}
    return found if {"live", "epoch"} <= found.keys() else {}


def doubt(edges: Answer, noted: Answer, given: str | None) -> str:
    """Return why a run can't tell which slot is live, and what to do; "" if it can.

    `edges` is the result of `together`, `noted` the record off the edge, `given` what the operator says is live.
    """
    behind = outdated(edges, noted)
    if given is None and (edges["state_lost"] or (edges["live"] is None and "epoch" in noted)):
        return (
            "The edge has lost its record of the live slot, although a slot was live before. Find out which slot "
            "serves public traffic (each line of the edge's log names it), then run again with -e live=blue or "
            "-e live=green."
        )
    if given is None and behind:
        return (
            f"{behind}. Repair the edge hosts that do not answer, or find out which slot serves public traffic, then "
            "run again with -e live=blue or -e live=green."
        )
    if given is not None and not behind and not edges["state_lost"] and edges["live"] not in (None, given):
        return (
            f"The edge's record says that {edges['live']} is live. Run again without -e live={given}, or cut over with "
            f"-e to={given}."
        )
    return ""


def outdated(edges: Answer, noted: Answer) -> str:
    """Return why the edge hosts that answer must not be believed, "" if they may be.

    `edges` is the result of `together`, `noted` the record off the edge: {live, epoch} of the last switch that a run
    began, and the epoch that it was `from`, which is the one before without that key. That switch may never have taken
    effect. But an edge host that doesn't even know the epoch before it has slept through other switches, and the slot
    that it takes for idle may be the live one.
    """
    if "epoch" not in noted or edges["state_lost"] or edges["live"] is None:
        return ""
    since = int(noted.get("from", int(noted["epoch"]) - 1))
    if int(edges["epoch"]) >= since or int(edges["highest_epoch"]) >= int(noted["epoch"]):
        return ""
    down = f"; {', '.join(edges['down'])} does not answer" if edges["down"] else ""
    return (
        f"{', '.join(edges['hosts'])} says that {edges['live']} is live at epoch {edges['epoch']}, but the record off "
        f"the edge says that {noted['live']} is live at epoch {noted['epoch']}{down}"
    )


def _is_behind(answer: Answer, best: Answer) -> bool:
    in_force = answer["in_force"] or not answer["running"]
    position = [answer[key] != best[key] for key in ("epoch", "live", "weight")]
    return bool(answer["state_lost"] or any(position) or not in_force)


def _connections(answer: Answer, slot: str) -> int:
    return int(((answer.get("connections") or {}).get(slot) or {}).get("current") or 0)


def epoch_for(edges: Answer, live: str, weight: int, recorded: int) -> int:
    """Return the epoch for a switch to `live` and a candidate's `weight` (percent); the same one if nothing changes.

    A new epoch is higher than any that an edge host knows, and than the one `recorded` outside the edge hosts. An edge
    host that failed during a switch may come back with an epoch that the others never saw.
    """
    if not is_new(edges, live, weight):
        return int(edges["epoch"])
    return max(int(edges["highest_epoch"]), recorded) + 1


def is_new(edges: Answer, live: str, weight: int = 0) -> bool:
    """Whether a switch to `live` and a candidate's `weight` moves traffic, ends an operation or restores a state."""
    lost = edges["disk"]["state"] is None
    return bool(lost or edges["live"] != live or edges["weight"] != weight or edges["operation"])


def routed(results: Sequence[Answer], slot: str) -> list[str]:
    """Return one line for each map and worker that may still send requests to `slot`, or doesn't answer."""
    return [
        f"{answer['item']}, {where}: {value or 'does not answer'}"
        for answer in results
        for where, value in _values(answer)
        if value is None or slot in _serving(value)
    ]


def _values(answer: Answer) -> Iterator[tuple[str, str | None]]:
    """Yield (where, value) for the map and the workers of an edge host; a worker without an entry routes nothing."""
    yield "map on disk", answer["disk"]["map"] or ""
    for worker in answer["workers"]:
        if worker["problem"] or worker["value"] is not None:
            yield f"worker {worker['name']}", worker["value"]


def _serving(value: str) -> set[str]:
    """Return the slots that get requests with this map value."""
    _, live, candidate, weight = [*value.split(":"), "", "", "", ""][:4]
    return {live} | ({candidate} if weight not in ("", "0") else set())
