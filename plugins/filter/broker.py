# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for the broker's queues and logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.data_stores import broker


class FilterModule:
    """The filters `broker_*`: functions of `module_utils/greenroom/data_stores/broker.py`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"broker_queues": broker.queues, "broker_desired": broker.desired}
