# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The filter that says what there should be on a database server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.greenroom.data import postgres


class FilterModule:
    """A function of `module_utils/greenroom/data/postgres.py`, where its arguments are described."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {"postgres_desired": postgres.desired}
