# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the status page asks Prometheus."""

from __future__ import annotations

import json
import math
import urllib.parse
from typing import Any

from ..common.web import Connection, Deadline, Network, Request, WebError

QUERIES = {
    "live": "max by (slot) (greenroom_edge_live) == 1",
    "servers": 'max by (route, slot) (haproxy_backend_active_servers{route!=""})',
    "requests": 'sum by (slot) (rate(haproxy_backend_http_requests_total{route!=""}[5m]))',
    "errors": 'sum by (slot) (rate(haproxy_backend_http_responses_total{route!="",code="5xx"}[5m]))',
    "up": 'up{job="hosts"}',
    "memory": "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100",
    "disk": 'min by (host) (node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs",'
    'mountpoint!~"/(run|var/lib/containers)/.*"} / node_filesystem_size_bytes * 100)',
    "reboot": "greenroom_reboot_needed == 1",
    # Without the file of the CA that all hosts have.
    "certificates": 'min by (host) (greenroom:certificate_seconds_left{certificate!~".*/ca[.]crt"})',
    "backups": "max by (what) (greenroom_backup_success_seconds)",
}
"""{name: PromQL}. Each answers in an environment that serves, except `reboot` while no host needs one."""

Sample = tuple[dict[str, str], float]
"""The labels and the value."""


class SilentError(Exception):
    """Prometheus does not respond, or not as expected. The message is for people."""


class Prometheus:
    """Prometheus at `url`, which has `timeout` seconds for each answer."""

    def __init__(self, url: str, timeout: float = 3.0) -> None:
        self.url, self.timeout = url.rstrip("/"), timeout

    def ask(self, query: str) -> list[Sample]:
        """Return the samples of a query, without those that are not a number. Raises SilentError."""
        found = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': query})}")
        samples = [(dict(one["metric"]), float(one["value"][1])) for one in found["result"]]
        return [(labels, value) for labels, value in samples if not math.isnan(value)]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that fire: {name, severity, since, summary, labels}. Raises SilentError."""
        found = self._get("/api/v1/alerts")
        return [
            {
                "name": one["labels"].get("alertname", "unknown"),
                "severity": one["labels"].get("severity", ""),
                "since": one.get("activeAt", "")[:19] + "Z",
                "summary": one.get("annotations", {}).get("summary", ""),
                "labels": {
                    key: value for key, value in one["labels"].items() if key not in ("alertname", "severity", "job")
                },
            }
            for one in found["alerts"]
            # The watchdog fires always: its silence is the alert.
            if one["state"] == "firing" and one["labels"].get("severity") != "none"
        ]

    def _get(self, path: str) -> Any:
        connection = Connection(Network())
        try:
            found = connection.ask(Request("GET", self.url + path), Deadline(self.timeout))
            answer = json.loads(found.text)
        except (WebError, ValueError) as error:
            raise SilentError(f"Prometheus does not respond: {error}") from error
        finally:
            connection.close()
        if answer.get("status") != "success":
            raise SilentError(f"Prometheus refuses the query: {answer.get('error', 'unknown')}")
        return answer["data"]
