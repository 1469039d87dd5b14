# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A filter for load tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.controller.load import refusals


class FilterModule:
    """The filter is a function of `controller/load/` in module_utils, which describes its argument."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"load_refusals": refusals.refusals}
