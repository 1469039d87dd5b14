"""Creates the FastAPI application."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from . import operations, pages
from .kratos import Kratos
from .metrics import Metrics
from .middleware import Faults, Observer
from .orders import Orders, connect
from .payments import Payments
from .settings import Settings

HERE = Path(__file__).parent
CRASH_AFTER_SECONDS = 1.0


def create_app(
    settings: Settings, metrics: Metrics, kratos: Kratos | None = None, orders: Orders | None = None
) -> FastAPI:
    """Return the portal; tests pass their own Kratos and orders."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.options.fault == "crash":
            threading.Timer(CRASH_AFTER_SECONDS, os._exit, [3]).start()
        yield
        app.state.kratos.close()
        app.state.orders.engine.dispose()

    app = FastAPI(title="Greenroom portal", version=settings.version, lifespan=lifespan, openapi_url=None)
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.kratos = kratos or Kratos(settings.kratos_url, settings.kratos_admin_url)
    app.state.orders = orders or Orders(connect(settings), settings)
    app.state.payments = Payments(app.state.orders.engine, settings) if settings.payment_key else None
    templates = Jinja2Templates(HERE / "templates")
    templates.env.globals.update(settings=settings, features=settings.options.features)
    app.state.templates = templates

    app.include_router(operations.router)
    if settings.options.features.test_endpoints:
        app.include_router(operations.test_router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    pages.handle_errors(app)
    # The last middleware added is the outermost.
    app.add_middleware(Faults, settings=settings)
    app.add_middleware(Observer, settings=settings, metrics=metrics)
    return app
