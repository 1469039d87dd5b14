# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Queries to Prometheus about the candidate, each with a limit: {service, name, query, above or below}."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ..common import web
from .metrics_page import row

SECONDS = 5.0


def rows(url: str, queries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the row of each query (`metrics_page.row`); `url` is Prometheus' address."""
    return [_row(url, query) for query in queries]


def _row(url: str, query: Mapping[str, Any]) -> dict[str, Any]:
    name = f"{query['name']} of {query['service']}"
    values = _values(url, query["query"])
    if not values:
        return row(query["service"], "", unread=[f"{name} from Prometheus"])
    worst = max(values) if "above" in query else min(values)
    problems = []
    if "above" in query and worst > query["above"]:
        problems.append(f"{name} is {worst:g}, above {query['above']:g}")
    if "below" in query and worst < query["below"]:
        problems.append(f"{name} is {worst:g}, below {query['below']:g}")
    return row(query["service"], "", problems=problems)


def _values(url: str, query: str) -> list[float]:
    """Return the values of all series in the response; empty without a response, or if one is not a number."""
    asked = web.Request("GET", f"{url}/api/v1/query?{urlencode({'query': query})}")
    try:
        data = json.loads(web.request(asked, web.Network(), web.Deadline(SECONDS)).text)["data"]
        samples = [data["result"]] if data["resultType"] == "scalar" else [each["value"] for each in data["result"]]
        values = [float(sample[1]) for sample in samples]
    except (web.WebError, TimeoutError, ValueError, LookupError, TypeError):
        return []
    return [] if any(map(math.isnan, values)) else values
