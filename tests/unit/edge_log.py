# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Lines of the edge's log, as HAProxy writes them."""

from __future__ import annotations

import json
from typing import Any


def entry(**changes: Any) -> str:
    return json.dumps(
        {
            "request_id": "1",
            "client": "198.18.10.41",
            "method": "GET",
            "path": "/orders/1",
            "status": 200,
            "slot": "green",
            "chosen": "share",
            "backend": "shop_http_green",
            "server": "app1",
            "ms": 12,
            "bytes": 100,
            "termination": "--",
            **changes,
        }
    )
