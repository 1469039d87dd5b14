"""Serves the pages, and metrics on a separate port without a route at the edge."""

from __future__ import annotations

import uvicorn
from prometheus_client import start_http_server

from .app import create_app
from .metrics import Metrics
from .settings import Settings


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then finish open requests."""
    metrics = Metrics(settings)
    start_http_server(settings.metrics_port, addr=settings.host, registry=metrics.registry)
    uvicorn.run(
        create_app(settings, metrics),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        ws="wsproto",
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
        # Longer than the edge keeps idle connections, so that the edge closes them, and never sends a request on a
        # connection that the portal is closing.
        timeout_keep_alive=75,
    )
    return 0
