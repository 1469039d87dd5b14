# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters of drills: what is practised, what keeps one from being held, and what hosts answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.module_utils.greenroom.controller.drill import scenarios

ORDINARY = {"h1-keep-get-0": 20, "h1-new-get-0": 5, "h2-keep-get-0": 20}
OWN_RATE = 50
"""About so many requests a second are in the load tool's own mix."""

Answer = Mapping[str, Any]


def by_host(answers: Iterable[Answer], key: str) -> dict[str, Any]:
    """Return {host: answer[key]} of a task's results, which was looped over hosts; without hosts that said nothing."""
    return {answer["item"]: answer[key] for answer in answers if key in answer}


def edges(answers: Iterable[Answer]) -> dict[str, dict[str, Any]]:
    """Return {host: {live, epoch, phase, in_force}} of `bluegreen_switch`'s results, looped over edge hosts.

    A host that said nothing has nulls.
    """
    keys = ("live", "epoch", "phase", "in_force")
    return {answer["item"]: {key: answer.get(key) for key in keys} for answer in answers}


def holder(answers: Iterable[Answer], address: str) -> list[str]:
    """Return the hosts that have an address, of the results of gathering facts, looped over hosts."""
    return [
        answer["item"] for answer in answers if address in answer["ansible_facts"]["ansible_all_ipv4_addresses"]
    ]  # fmt: skip


def faults(answers: Iterable[Answer], how: str, units: list[str]) -> list[dict[str, Any]]:
    """Return [{host, how, units, at, ended}] of the results of breaking something, looped over hosts."""
    return [
        {"host": answer["item"], "how": how, "units": units, "at": answer["at"], "ended": answer["ended"]}
        for answer in answers
    ]


def trouble(result: Answer, task: str) -> str:
    """Return what made a task fail, on one line; of one that was looped over hosts, on which ones."""
    items = [answer for answer in result.get("results", []) if answer.get("failed") or answer.get("unreachable")]
    words = "; ".join(f"{answer['item']}: {answer.get('msg', 'failed')}" for answer in items)
    return " ".join(f"{task}: {words or result.get('msg', 'failed')}".split())


def load_options(load: Mapping[str, float], path: str) -> list[str]:
    """Return the load tool's options for requests a second by kind, and for a path to ask instead of its endpoints."""
    return [
        *(f"--kind={kind}={rate}" for kind, rate in _kinds(load, path).items()),
        *([f"--path={path}"] if path else []),
    ]


def rate(load: Mapping[str, float], path: str) -> float:
    """Return how many requests a second these options make."""
    return sum(_kinds(load, path).values()) or OWN_RATE


def _kinds(load: Mapping[str, float], path: str) -> Mapping[str, float]:
    # Its own mix has requests that an ordinary path does not understand.
    return load or (ORDINARY if path else {})


class FilterModule:
    """The filters `drill_*`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {
            "drill_scenario": scenarios.scenario,
            "drill_refusals": scenarios.refusals,
            "drill_service": scenarios.service,
            "drill_by_host": by_host,
            "drill_edges": edges,
            "drill_holder": holder,
            "drill_faults": faults,
            "drill_trouble": trouble,
            "drill_load_options": load_options,
            "drill_rate": rate,
        }
