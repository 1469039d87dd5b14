# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Drills as they might have been, for tests: a record and its requests, by fault."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

T0 = 1795347160.0
KINDS = {"h1-keep-get-0": 20, "h2-keep-get-0": 10, "h1-new-get-0": 5, "h1-keep-get-300": 5, "ws-10000": 1}
UNITS = {
    "edge1": ["haproxy.service"],
    "edge2": ["haproxy.service"],
    "app1": ["shop-blue.service", "shop-green.service"],
}


def requests(
    seconds: int, slot: Callable[[float], str], lost: Callable[[float], str] = lambda _at: "", seed: int = 1
) -> list[dict[str, Any]]:
    """Requests of `seconds` s. `slot` answers at a time since the beginning; `lost` says how one is lost, or ""."""
    chance = random.Random(seed)
    found: list[dict[str, Any]] = []
    for second in range(seconds):
        for kind, rate in KINDS.items():
            for number in range(rate):
                at = second + (number + chance.random()) / rate
                why = lost(at)
                handler = 300 if kind.endswith("-300") else 0
                found.append(
                    {
                        "id": f"d-{len(found)}",
                        "kind": kind,
                        "sent_at": T0 + at,
                        "ms": round(handler + (2000 if why else chance.lognormvariate(1.4, 0.5)), 1),
                        "status": 0 if why else 200,
                        "slot": "" if why else slot(at),
                        "outcome": why or "ok",
                        **({"why": "the connection was reset <by peer>"} if why else {}),
                    }
                )
    return sorted(found, key=lambda request: request["sent_at"])


def run(name: str, began: float, ended: float, code: int = 0, said: str = "") -> dict[str, Any]:
    """One playbook run; times since the beginning."""
    phases = ["Open the run", "Check the slot from outside", "Cut over to the candidate"]
    step = (ended - began) / len(phases)
    return {
        "name": name,
        "arguments": ["-e", "to=green"] if name == "cutover" else [],
        "pid": 4711,
        "began": T0 + began,
        "ended": T0 + ended,
        "code": code,
        "phases": [{"at": T0 + began + number * step, "what": what} for number, what in enumerate(phases)],
        "said": said,
    }


def broken(host: str, how: str, at: float, ended: float, *units: str) -> dict[str, Any]:
    """One fault; times since the beginning."""
    return {"host": host, "how": how, "units": list(units), "at": T0 + at, "ended": T0 + ended}


def record(
    fault: str, seconds: int, children: list[dict[str, Any]], *faults: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """A record that ends as it began."""
    edge = {"live": "blue", "epoch": 9, "phase": "idle", "in_force": True}
    return {
        "environment": "staging",
        "fault": fault,
        "run": "20261122T114600Z-3fa9c1",
        "began": T0,
        "ended": T0 + seconds,
        "trouble": "",
        "recovery": 10,
        "releases": {"blue": "1.0", "green": "1.1"},
        "before": {"live": "blue", "epoch": 7, "units": UNITS},
        "after": {"edges": {"edge1": dict(edge), "edge2": dict(edge)}, "units": UNITS},
        "children": children,
        "faults": list(faults),
        "undone": T0 + seconds - 8 if faults else None,
        **more,
    }


def _between(began: float, ended: float, inside: str, outside: str) -> Callable[[float], str]:
    return lambda at: inside if began <= at < ended else outside


def _canary(began: float, ended: float, back: float) -> Callable[[float], str]:
    """A quarter of the requests to green first, then all, then none."""
    chance = random.Random(2)

    def slot(at: float) -> str:
        if began <= at < ended:
            return "green" if chance.random() < 0.25 else "blue"
        return "green" if ended <= at < back else "blue"

    return slot


def sample(fault: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A drill in which everything went as it should: its record and requests."""
    refused = "app1: shop is not ready: expected status 200, got 503"
    match fault:
        case "none":
            children = [run("cutover", 6, 27), run("rollback", 34, 52)]
            found = record(fault, 60, children), requests(60, _between(26, 50, "green", "blue"))
        case "candidate-unhealthy":
            faults = [broken("app1", "stopped", 6, 7, "shop-green.service")]
            children = [run("cutover", 8, 24, 2, refused)]
            found = record(fault, 40, children, *faults), requests(40, lambda _at: "blue")
        case "fails-after-cutover":
            faults = [broken("app1", "stopped", 30, 31, "shop-green.service")]
            children = [run("cutover", 6, 28), run("rollback", 36, 51)]
            lost = _between(30.5, 49, "5xx", "")
            found = record(fault, 66, children, *faults), requests(66, _between(26, 49, "green", "blue"), lost)
        case "previous-does-not-start":
            faults = [broken("app1", "stopped", 30, 31, "shop-blue.service")]
            gone = "green has no healthy server of shop on edge1"
            children = [run("cutover", 6, 28), run("early-rollback", 36, 44, 2, gone), run("rollback", 56, 70)]
            found = record(fault, 80, children, *faults), requests(80, _between(26, 68, "green", "blue"))
        case "edge-killed":
            faults = [broken("edge1", "killed", 22, 22.4, "haproxy.service")]
            children = [run("cutover", 6, 48), run("rollback", 62, 80)]
            lost = _between(22.1, 24.3, "refused", "")
            more = {"undone": T0 + 56}
            found = record(fault, 90, children, *faults, **more), requests(90, _canary(18, 45, 78), lost)
        case "operator-killed":
            faults = [broken("the operator's machine", "killed", 21, 21)]
            children = [run("cutover", 6, 21.1, -9), run("abort", 54, 78)]
            found = record(fault, 90, children, *faults), requests(90, _canary(18, 76, 76))
        case "database-restarted":
            faults = [broken("data1", "restarted", 20, 23, "postgresql@17-main.service")]
            children = [run("cutover", 6, 48), run("rollback", 56, 72)]
            lost = _between(20.5, 24.5, "5xx", "")
            found = record(fault, 82, children, *faults), requests(82, _canary(17, 45, 70), lost)
        case _:
            raise ValueError(fault)
    return found
