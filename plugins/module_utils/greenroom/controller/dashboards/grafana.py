# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Dashboards as Grafana reads them, made with Grafana's own library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from . import panels
from .panels import Panel

HEIGHT = 8
SPAN = 12
"""A row has 24 columns, so two panels are side by side."""


def dashboards(environment: str, shown: Mapping[str, Sequence[Panel]], source: str) -> dict[str, dict[str, Any]]:
    """Return {name: dashboard} for {name: panels}. `source` is the UID of the data source for Prometheus."""
    return {name: _dashboard(environment, name, found, source) for name, found in shown.items()}


def shown(catalogue: Mapping[str, Mapping[str, Any]], broker: bool, egress: bool) -> dict[str, Sequence[Panel]]:
    """Return {name: panels} of an environment with these services, with or without a broker and an egress guard."""
    found = dict(panels.DASHBOARDS)
    found["releases"] = [*found["releases"], *_of_services(catalogue)]
    without = ({"broker"} if not broker else set()) | ({"egress"} if not egress else set())
    return {name: some for name, some in found.items() if name not in without}


def _of_services(catalogue: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """Return a panel for each metric by which a service's candidates are judged."""
    metrics = {
        name: metric
        for name, service in sorted(catalogue.items())
        if (metric := ((service.get("canary") or {}).get("metric") or {}).get("name"))
    }
    about = "The metric by which a cutover judges a candidate."
    return [
        Panel(f"{name}: {metric}", "ops", {"{{slot}}": f"sum by (slot) (rate({metric}[5m]))"}, about)
        for name, metric in metrics.items()
    ]


def _dashboard(environment: str, name: str, found: Sequence[Panel], source: str) -> dict[str, Any]:
    # Its modules take a second to import, which only the run that makes dashboards should cost.
    builder = import_module("grafana_foundation_sdk.builders.dashboard")
    encoder = import_module("grafana_foundation_sdk.cog.encoder").JSONEncoder
    made = (
        builder.Dashboard(f"{environment}: {name}")
        .uid(_uid(environment, name))
        .tags(["greenroom", environment])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("utc")
    )
    for panel in found:
        made = made.with_panel(_panel(panel, source))
    content: dict[str, Any] = json.loads(encoder(sort_keys=True).encode(made.build()))
    return content


def _uid(environment: str, name: str) -> str:
    """Return a UID, which Grafana limits to 40 characters; a hash keeps environments with long names apart."""
    return f"{name}-{environment}"[:31] + f"-{hashlib.sha256(environment.encode()).hexdigest()[:8]}"


def _panel(panel: Panel, source: str) -> Any:
    series = import_module("grafana_foundation_sdk.builders.timeseries")
    queries = import_module("grafana_foundation_sdk.builders.prometheus")
    reference = import_module("grafana_foundation_sdk.models.dashboard").DataSourceRef(
        type_val="prometheus", uid=source
    )
    made = series.Panel().title(panel.title).description(panel.about).unit(panel.unit).min(0)
    made = made.datasource(reference).height(HEIGHT).span(SPAN)
    for number, (legend, query) in enumerate(panel.queries.items()):
        target = queries.Dataquery().expr(query).legend_format(legend).ref_id(chr(ord("A") + number))
        made = made.with_target(target.datasource(reference))
    return made
