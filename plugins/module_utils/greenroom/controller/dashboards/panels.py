# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the dashboards show: each plot, its unit, and its queries to Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One plot: its title, a unit as Grafana names it, {legend: PromQL}, and what an operator should know of it."""

    title: str
    unit: str
    queries: Mapping[str, str]
    about: str = ""


REAL_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs",mountpoint!~"/(run|var/lib/containers)/.*"'
ROUTES = 'route!=""'

OVERVIEW = (
    Panel("Live slot", "bool", {"{{slot}}": "max by (slot) (greenroom_edge_live)"}, "1 is live, 0 is idle."),
    Panel("Alerts that fire", "short", {"{{alertname}}": 'count by (alertname) (ALERTS{alertstate="firing"})'}),
    Panel(
        "Requests",
        "reqps",
        {"{{slot}}": f"sum by (slot) (rate(haproxy_backend_http_requests_total{{{ROUTES}}}[5m]))"},
    ),
    Panel(
        "Failed requests",
        "percent",
        {
            "{{slot}}": f'sum by (slot) (rate(haproxy_backend_http_responses_total{{{ROUTES},code="5xx"}}[5m]))'
            f" / (sum by (slot) (rate(haproxy_backend_http_requests_total{{{ROUTES}}}[5m])) > 0) * 100"
        },
        "Responses with status 5xx.",
    ),
    Panel(
        "Certificates",
        "s",
        {"{{host}}": "min by (host) (greenroom:certificate_seconds_left)"},
        "How long the first certificate of each host is still valid.",
    ),
    Panel("Age of the last backup", "s", {"{{what}}": "time() - greenroom_backup_success_seconds"}),
)
RELEASES = (
    Panel(
        "Requests by route",
        "reqps",
        {"{{route}} {{slot}}": f"sum by (route, slot) (rate(haproxy_backend_http_requests_total{{{ROUTES}}}[5m]))"},
    ),
    Panel(
        "Failed requests by route",
        "reqps",
        {
            "{{route}} {{slot}}": "sum by (route, slot) "
            f'(rate(haproxy_backend_http_responses_total{{{ROUTES},code="5xx"}}[5m]))'
        },
        "Responses with status 5xx.",
    ),
    Panel(
        "Average time of a response",
        "s",
        {"{{route}} {{slot}}": f"max by (route, slot) (haproxy_backend_response_time_average_seconds{{{ROUTES}}})"},
        "Of the last 1024 responses, as HAProxy counts.",
    ),
    Panel(
        "Servers that respond",
        "short",
        {"{{route}} {{slot}}": f"max by (route, slot) (haproxy_backend_active_servers{{{ROUTES}}})"},
    ),
    Panel(
        "Services that run",
        "short",
        {"{{service}} {{slot}}": 'sum by (service, slot) (up{job="services"})'},
        "Those with metrics of their own.",
    ),
    Panel(
        "Restarts of services",
        "short",
        {"{{host}} {{name}}": 'increase(node_systemd_service_restart_total{name=~".+-(blue|green)[.]service"}[10m])'},
    ),
)
EDGE = (
    Panel(
        "Requests",
        "reqps",
        {"{{host}}": 'sum by (host) (rate(haproxy_frontend_http_requests_total{proxy="public"}[5m]))'},
    ),
    Panel(
        "Refused requests",
        "reqps",
        {"{{host}}": 'sum by (host) (rate(haproxy_frontend_requests_denied_total{proxy="public"}[5m]))'},
        "By a rate limit, a wrong password, or a path that could be misread.",
    ),
    Panel(
        "Responses by status",
        "reqps",
        {"{{code}}": f"sum by (code) (rate(haproxy_backend_http_responses_total{{{ROUTES}}}[5m]))"},
    ),
    Panel("Edge hosts that respond", "bool", {"{{host}}": 'max by (host) (probe_success{job="edge-health"})'}),
    Panel(
        "Epoch", "short", {"{{host}}": "greenroom_edge_epoch"}, "It grows with each switch; all hosts have the same."
    ),
    Panel("Peers that are silent", "bool", {"{{host}}": "greenroom_edge_peer_silent"}),
)
HOSTS = (
    Panel(
        "CPU in use",
        "percent",
        {"{{host}}": '100 - avg by (host) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100'},
    ),
    Panel(
        "Available memory",
        "percent",
        {"{{host}}": "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes * 100"},
    ),
    Panel(
        "Free disk space",
        "percent",
        {"{{host}}": f"min by (host) (node_filesystem_avail_bytes{{{REAL_DISKS}}} / node_filesystem_size_bytes * 100)"},
    ),
    Panel("Load", "short", {"{{host}}": "node_load5"}),
    Panel(
        "Network",
        "Bps",
        {
            "{{host}} in": 'sum by (host) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))',
            "{{host}} out": 'sum by (host) (rate(node_network_transmit_bytes_total{device!="lo"}[5m]))',
        },
    ),
    Panel("Units that failed", "short", {"{{host}}": 'sum by (host) (node_systemd_unit_state{state="failed"})'}),
)
DATABASE = (
    Panel(
        "Connections",
        "short",
        {
            "in use": "sum by (host) (pg_stat_activity_count)",
            "at most": "max by (host) (pg_settings_max_connections)",
        },
    ),
    Panel("Size of databases", "bytes", {"{{datname}}": "pg_database_size_bytes"}),
    Panel(
        "Transactions",
        "ops",
        {
            "{{datname}} committed": "rate(pg_stat_database_xact_commit[5m])",
            "{{datname}} rolled back": "rate(pg_stat_database_xact_rollback[5m])",
        },
    ),
    Panel("Write-ahead log that is kept", "bytes", {"{{host}}": "pg_wal_size_bytes"}),
    Panel(
        "Archived files", "ops", {"{{host}}": "rate(pg_stat_archiver_archived_count[5m])"}, "Of the write-ahead log."
    ),
    Panel("Locks", "short", {"{{mode}}": "sum by (mode) (pg_locks_count)"}),
)
BROKER = (
    Panel("Waiting jobs", "short", {"{{queue}}": "rabbitmq_detailed_queue_messages_ready"}),
    Panel(
        "Dead letters",
        "short",
        {"{{queue}}": 'rabbitmq_detailed_queue_messages{queue=~".+[.]dead"}'},
        "Jobs that failed too often.",
    ),
    Panel("Consumers", "short", {"{{queue}}": "rabbitmq_detailed_queue_consumers"}),
    Panel("Memory", "bytes", {"{{host}}": "rabbitmq_process_resident_memory_bytes"}),
    Panel("Free disk space", "bytes", {"{{host}}": "rabbitmq_disk_space_available_bytes"}),
    Panel("Connections", "short", {"{{host}}": "rabbitmq_connections"}),
)
EGRESS = (
    Panel(
        "Calls that left the environment",
        "reqps",
        {"{{proxy}}": 'sum by (proxy) (rate(haproxy_backend_sessions_total{job="egress"}[5m]))'},
    ),
    Panel(
        "Refused calls",
        "reqps",
        {"{{proxy}}": 'sum by (proxy) (rate(haproxy_frontend_requests_denied_total{job="egress"}[5m]))'},
    ),
)
DASHBOARDS: Mapping[str, Sequence[Panel]] = {
    "overview": OVERVIEW,
    "releases": RELEASES,
    "edge": EDGE,
    "hosts": HOSTS,
    "database": DATABASE,
    "broker": BROKER,
    "egress": EGRESS,
}
"""{name: panels}."""
