# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A filter for the desired state of a database server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.data_stores import postgres


class FilterModule:
    """The filter `postgres_desired`: a function of `module_utils/greenroom/data_stores/postgres.py`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"postgres_desired": postgres.desired}
