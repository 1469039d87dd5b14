# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The summary of a run in two columns, printed last. Its lines come from `controller/output/run_summary.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .messages import is_message

# The role that prints a run's summary.
ROLE = "report : "


def summary_of(result: Any) -> Mapping[str, Any]:
    """Return the run's summary if this is the result of the task that prints it, else an empty mapping."""
    said = result.result.get("msg")
    return said if is_message(result) and result.task_name.startswith(ROLE) and isinstance(said, Mapping) else {}


def lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary, with its values aligned."""
    width = max(len(key) for key in summary) + 2
    for key, value in summary.items():
        for number, line in enumerate(value if isinstance(value, list) else [value]):
            yield f"{'' if number else key:{width}}{line}"
