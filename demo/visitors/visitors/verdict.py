"""Compares the results of a load with its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .settings import Load

REASONS_SHOWN = 3


def judge(load: Load, requests: int, failed: int, p95_ms: float, failures: Mapping[str, int]) -> dict[str, Any]:
    """Return the figures and, in `problems`, one line for each exceeded threshold.

    `failures` counts the reasons of failed requests.
    """
    percent = 100 * failed / requests if requests else 0.0
    problems = []
    if not requests:
        problems.append("no request was sent")
    if p95_ms > load.p95_ms:
        problems.append(f"95 % of the requests took up to {p95_ms:.0f} ms, {load.p95_ms:g} ms are allowed")
    if percent > load.error_percent:
        problems.append(f"{percent:.2f} % of the requests failed, {load.error_percent:g} % are allowed")
    often = sorted(failures.items(), key=lambda item: -item[1])[:REASONS_SHOWN]
    return {
        "passed": not problems,
        "problems": problems,
        "requests": requests,
        "failed": failed,
        "error_percent": round(percent, 2),
        "p95_ms": round(p95_ms),
        "reasons": [f"{count} times: {reason}" for reason, count in often],
    }
