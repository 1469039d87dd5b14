"""Compares the results of a load with its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .settings import Load

REASONS_SHOWN = 3


def judge(
    load: Load, *, users: int, requests: int, failed: int, p95_ms: float, failures: Mapping[str, int]
) -> dict[str, Any]:
    """Return the figures, the thresholds and, in `problems`, one line for each exceeded threshold.

    `users` is how many users really came, `failures` counts the reasons of failed requests.
    """
    percent = 100 * failed / requests if requests else 0.0
    slow, broken, alone = p95_ms > load.p95_ms, percent > load.error_percent, users < load.users
    problems = []
    if not requests:
        problems.append("no request was sent")
    elif alone:
        problems.append(f"only {users} of {load.users} users sent a request")
    if slow:
        problems.append(f"95 % of the requests took up to {p95_ms:.0f} ms, {load.p95_ms:g} ms are allowed")
    if broken:
        problems.append(f"{percent:.2f} % of the requests failed, {load.error_percent:g} % are allowed")
    often = sorted(failures.items(), key=lambda item: -item[1])[:REASONS_SHOWN]
    return {
        "passed": not problems,
        "problems": problems,
        "thresholds": [
            _row("95 % of the requests, at most", f"{load.p95_ms:g} ms", f"{p95_ms:.0f} ms", not slow),
            _row("Failed requests, at most", f"{load.error_percent:g} %", f"{percent:.2f} %", not broken),
            _row("Users, at least", str(load.users), str(users), not alone),
        ],
        "users": users,
        "seconds": load.duration,
        "requests": requests,
        "failed": failed,
        "error_percent": round(percent, 2),
        "p95_ms": round(p95_ms),
        "reasons": [f"{count} times: {reason}" for reason, count in often],
    }


def _row(name: str, wanted: str, measured: str, held: bool) -> dict[str, Any]:
    return {"name": name, "wanted": wanted, "measured": measured, "held": held}
