# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The results of a drill's tasks that ran on several hosts: each is a list with the result of each host in `item`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Answer = Mapping[str, Any]


def by_host(answers: Iterable[Answer], key: str) -> dict[str, Any]:
    """Return {host: result[key]}, without the hosts whose result has no `key`."""
    return {answer["item"]: answer[key] for answer in answers if key in answer}


def edges(answers: Iterable[Answer]) -> dict[str, dict[str, Any]]:
    """Return {host: {live, epoch, phase, in_force}} from the results of `bluegreen_switch` on the edge hosts.

    A host that did not respond has nulls.
    """
    keys = ("live", "epoch", "phase", "in_force")
    return {answer["item"]: {key: answer.get(key) for key in keys} for answer in answers}


def releases(bundles: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return {slot: release} from the slots' descriptions."""
    return {slot: description["release"] for slot, description in bundles.items()}


def holder(answers: Iterable[Answer], address: str) -> list[str]:
    """Return the hosts that have an address, from the results of gathering facts."""
    return [
        answer["item"] for answer in answers if address in answer["ansible_facts"]["ansible_all_ipv4_addresses"]
    ]  # fmt: skip


def faults(answers: Iterable[Answer], how: str, units: list[str]) -> list[dict[str, Any]]:
    """Return [{host, how, units, at, ended}] from the results of `drill_fault`."""
    return [
        {"host": answer["item"], "how": how, "units": units, "at": answer["at"], "ended": answer["ended"]}
        for answer in answers
    ]


def trouble(result: Answer, task: str) -> str:
    """Return why a task failed, on one line; for a task that ran on several hosts, with the hosts that failed."""
    items = [answer for answer in result.get("results", []) if answer.get("failed") or answer.get("unreachable")]
    words = "; ".join(f"{answer['item']}: {answer.get('msg', 'failed')}" for answer in items)
    return " ".join(f"{task}: {words or result.get('msg', 'failed')}".split())
