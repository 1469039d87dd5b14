"""What machines ask: is it alive, is it ready, what is it; and two endpoints for load tests behind a toggle."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from .kratos import Kratos, KratosDownError
from .orders import NotReadyError, Orders
from .settings import Settings

router = APIRouter()
test_router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers; depends on nothing else."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """Say whether requests can be served: 503 names each part that is missing."""
    settings: Settings = request.app.state.settings
    orders: Orders = request.app.state.orders
    kratos: Kratos = request.app.state.kratos
    problems: dict[str, str] = {}
    try:
        orders.ready()
    except NotReadyError as error:
        problems["database"] = str(error)
    try:
        kratos.ready()
    except KratosDownError as error:
        problems["kratos"] = str(error)
    if settings.options.fault == "never_ready":
        problems["fault"] = "never_ready"
    if problems:
        return JSONResponse({"status": "not ready", "problems": problems}, 503)
    return JSONResponse({"status": "ready"})


@router.get("/version")
async def version(request: Request) -> dict[str, str]:
    """Say what runs where."""
    settings: Settings = request.app.state.settings
    return {
        "version": settings.version,
        "release": settings.release,
        "slot": settings.slot,
        "environment": settings.environment,
    }


@test_router.get("/slow")
async def slow(ms: Annotated[int, Query(ge=0, le=10_000)] = 0) -> dict[str, int]:
    """Answer after a while: a request that is in flight when something else happens."""
    await asyncio.sleep(ms / 1000)
    return {"ms": ms}


@test_router.get("/ping")
async def ping(
    request: Request, id: Annotated[str, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
) -> dict[str, str]:
    """Answer with the id and leave it in the log, so that a load test can reconcile both."""
    request.state.log["id"] = id
    return {"id": id, "slot": request.app.state.settings.slot}
