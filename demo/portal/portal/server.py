"""Serves the pages, and metrics on a separate port without a route at the edge."""

from __future__ import annotations

import logging

import uvicorn
from prometheus_client import start_http_server

from .app import create_app
from .metrics import Metrics
from .orders import NotReadyError, Orders, connect
from .settings import Settings

logger = logging.getLogger("portal.server")


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then finish open requests. Returns 1 if `strict_schema` forbids to start."""
    if settings.options.strict_schema and (newer := newer_schema(settings)):
        logger.error("the database's schema %s is newer than %s, the newest that is known", newer, settings.schema_head)
        return 1
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


def newer_schema(settings: Settings) -> str | None:
    """Return the database's newest migration if this version doesn't know it; None also if it is unreachable."""
    engine = connect(settings)
    try:
        found = Orders(engine, settings).schema()
    except NotReadyError:
        return None
    finally:
        engine.dispose()
    return found if found is not None and found > settings.schema_head else None
