# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for what hosts have logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.controller.logs import journals


def logs_command(request: str, service: str, since: str, lines: int, services: Iterable[str]) -> list[str]:
    """Return the command that reads a host's journal."""
    try:
        words: list[str] = journals.command(request, service, since, lines, services)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error
    return words


class FilterModule:
    """The filters `logs_command` and `logs_merged`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"logs_command": logs_command, "logs_merged": journals.merged}
