# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The filter that sums a run up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.greenroom.controller.slots import report


def run_summary(known: report.Known) -> dict[str, Any]:
    """Return the summary of a run that ends now."""
    return dict(report.summary(known, datetime.now(UTC)))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by name."""
        return {"run_summary": run_summary}
