# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the history of the runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.controller.audit import table


def history_runs(histories: Mapping[str, str], holders: list[str], actor: str, since: str) -> list[dict[str, Any]]:
    """Return the runs of `actor` since a time, the newest first."""
    try:
        runs: list[dict[str, Any]] = table.selected(table.all_runs(histories, holders), actor, since, datetime.now(UTC))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    return runs


def history_table(runs: list[dict[str, Any]], histories: Mapping[str, str], silent: list[str]) -> list[str]:
    """Return the runs as lines, and what is wrong with the histories. `silent`: hosts that did not answer."""
    missing = [f"{host} does not answer: runs that only its history has are missing" for host in silent]
    lines: list[str] = table.lines(runs, datetime.now(UTC)) or ["no runs"]
    return [*lines, *missing, *table.problems(histories)]


class FilterModule:
    """The filters `history_runs` and `history_table`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"history_runs": history_runs, "history_table": history_table}
