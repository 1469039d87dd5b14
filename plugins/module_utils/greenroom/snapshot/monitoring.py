# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Prometheus and Alertmanager on a host: alert rules, scrape jobs and silences that are in effect."""

from __future__ import annotations

import json
import socket
import urllib.parse
from collections import Counter
from typing import Any

from ..common.web import Deadline, Network, Request, WebError, request
from .reading import Items, UnreadError

_SECONDS = 5.0


def monitoring(prometheus: str, alertmanager: str) -> Items:
    """Yield `rule <name>`, `job <name>` and `silence <matchers>`. A URL where nothing listens is no server."""
    if prometheus and _listens(prometheus):
        for group in _get(prometheus, "/api/v1/rules")["data"]["groups"]:
            for rule in group["rules"]:
                kept = {key: rule[key] for key in ("query", "duration", "keepFiringFor") if rule.get(key)}
                # Several rules may have the same name.
                labels = ", ".join(f"{label}={value}" for label, value in sorted(rule.get("labels", {}).items()))
                name = f"{rule['type']} rule {rule['name']} of {group['name']}" + (f" ({labels})" if labels else "")
                yield name, kept | {"health": rule["health"]}
        targets = _get(prometheus, "/api/v1/targets?state=active")["data"]["activeTargets"]
        # Which of them answer just now is a matter for alerts.
        for job, number in sorted(Counter(target["labels"]["job"] for target in targets).items()):
            yield f"targets of job {job}", number
    if alertmanager and _listens(alertmanager):
        for silence in _get(alertmanager, "/api/v2/silences"):
            if silence["status"]["state"] == "active":
                matchers = sorted(f"{one['name']}={one['value']}" for one in silence["matchers"])
                yield f"silence {', '.join(matchers)}", "yes"


def _listens(url: str) -> bool:
    where = urllib.parse.urlsplit(url)
    try:
        with socket.create_connection((where.hostname or "", where.port or 80), timeout=2):
            return True
    except OSError:
        return False


def _get(url: str, path: str) -> Any:
    try:
        return json.loads(request(Request("GET", url.rstrip("/") + path), Network(), Deadline(_SECONDS)).text)
    except (WebError, ValueError) as error:
        raise UnreadError(f"{url}: {error}") from error
