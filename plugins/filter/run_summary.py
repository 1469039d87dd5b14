# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the summary of a run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.greenroom.controller.output import run_summary
from ansible.module_utils.greenroom.controller.slots import kept_files


def summary_now(known: run_summary.Known) -> dict[str, Any]:
    """Return the summary of a run that ends now."""
    return dict(run_summary.summary(known, datetime.now(UTC)))


class FilterModule:
    """The filter `run_summary`, and what it needs."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"run_summary": summary_now, "not_backed_up": kept_files.not_backed_up}
