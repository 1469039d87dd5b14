# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The cutover of a drill: its options and its timeout."""

from __future__ import annotations

from collections.abc import Sequence

from .scenarios import SCENARIOS

MARGIN = 600
"""Seconds that a cutover may take besides its canary steps, bake and drain."""
KILLED_TIMEOUT = 20
"""The cutover's timeout in seconds if its process will be killed: a short one lets the edge notice soon."""


def arguments(name: str, slot: str, weights: Sequence[int], step_seconds: int) -> list[str]:
    """Return the options of `playbooks/cutover.yml` in the scenario `name`, for a cutover to `slot`.

    `weights` are the canary's, in percent, and `step_seconds` the seconds for each.
    """
    scenario = SCENARIOS[name]
    options = [f"to={slot}"]
    if scenario.canary:
        options += [f"canary={','.join(map(str, weights))}", f"cutover_step_seconds={step_seconds}"]
    else:
        # Without the steps that services ask for.
        options.append("canary=")
    if "killed" in scenario.ends:
        options.append(f"cutover_timeout_seconds={KILLED_TIMEOUT}")
    return [word for option in options for word in ("-e", option)]


def limit(weights: Sequence[int], step_seconds: int, bake_seconds: int, drain_seconds: int) -> int:
    """Return the seconds after which the drill gives up on its cutover."""
    return MARGIN + len(weights) * step_seconds + bake_seconds + drain_seconds
