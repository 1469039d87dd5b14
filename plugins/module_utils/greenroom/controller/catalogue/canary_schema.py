# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of `canary` in service.yml."""

from __future__ import annotations

from .schema_terms import NAME, PATH, mapping, text

# A path of the environment's own names, or a URL of another one of its names, which may be a template.
_PROBE = text(
    r"""^(?:https://(?:[a-z0-9.-]|\{\{[^{}]*\}\})+)?/[^\s#"'\\]*\Z""",
    "a path that starts with /, or an https URL of a route's host name",
)

_METRIC = mapping({"name": text(r"^[a-zA-Z_:][a-zA-Z0-9_:]*\Z", "a metric name"), "port": NAME, "path": PATH}, ["name"])
_POSITIVE = {"type": "number", "minimum": 0}
_FRACTION = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_LIMITS = mapping(
    {
        "minimum": {"type": "integer", "minimum": 1},
        "alpha": _FRACTION,
        "error_margin": _POSITIVE,
        "refused_margin": _POSITIVE,
        "latency_factor": {"type": "number", "minimum": 1},
        "latency_ms": _POSITIVE,
        "metric_drop": _FRACTION,
    }
)
_QUERY = mapping(
    {
        "name": text(r"\S", "a text"),
        "query": text(r"\$slot", "a query with $slot, which stands for the candidate's slot"),
        "above": {"type": "number"},
        "below": {"type": "number"},
    },
    ["name", "query"],
)
CANARY = mapping(
    {
        "probes": {"type": "array", "items": _PROBE},
        "metric": _METRIC,
        "steps": {"type": "array", "items": {"type": ["integer", "string"]}},
        "step_seconds": {"type": "integer", "minimum": 1},
        "limits": _LIMITS,
        "queries": {"type": "array", "items": _QUERY},
    }
)
