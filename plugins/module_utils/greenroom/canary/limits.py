# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The limits of a verdict: how sure it must be, and which differences don't count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a verdict. Proportions are between 0 and 1.

    `minimum`: requests that each slot needs for the verdict `pass`. `alpha`: the probability of a false `fail` in a
    step, over all comparisons of all its verdicts. The others are margins: differences up to a margin don't count, even
    if certain.
    """

    minimum: int
    alpha: float
    error_margin: float
    refused_margin: float
    latency_factor: float
    latency_ms: float
    metric_drop: float

    def __post_init__(self) -> None:
        """Raise ValueError for limits that allow no verdict."""
        for name in ("alpha", "metric_drop"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"canary_{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("error_margin", "refused_margin", "latency_ms"):
            if getattr(self, name) < 0:
                raise ValueError(f"canary_{name} must not be negative")
        if self.minimum < 1 or self.latency_factor < 1:
            raise ValueError("canary_minimum and canary_latency_factor must be 1 or more")
