# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for seeding services' data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.seeding import seeding


class FilterModule:
    """The filters `data_*`: functions of `module_utils/greenroom/controller/seeding/seeding.py`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "data_questions": seeding.questions,
            "data_settled": seeding.settled,
            "data_records": seeding.records,
            "data_environment": seeding.environment,
            "data_volumes": seeding.volumes,
        }
