"""Endpoints for machines: liveness, readiness, version; and endpoints for load tests behind a feature toggle."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from .kratos import Kratos, KratosDownError
from .middleware import load_id
from .orders import NotReadyError, Orders
from .settings import Settings

router = APIRouter()
test_router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Return that the process is alive, whatever the state of other services."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """Return whether this process can serve requests; 503 names each missing part."""
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
    """Return version, release with its ID, slot and environment."""
    settings: Settings = request.app.state.settings
    return {
        "version": settings.version,
        "release": settings.release,
        "release_id": settings.release_id,
        "slot": settings.slot,
        "environment": settings.environment,
    }


@test_router.api_route("/slow", methods=["GET", "POST"])
async def slow(request: Request, ms: Annotated[int, Query(ge=0, le=10_000)] = 0) -> dict[str, str | int]:
    """Respond after `ms` milliseconds, so that tests have open requests during other events."""
    await request.body()
    await asyncio.sleep(ms / 1000)
    return {"id": load_id(request.headers), "slot": request.app.state.settings.slot, "ms": ms}


@test_router.api_route("/ping", methods=["GET", "POST"])
async def ping(
    request: Request, id: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")] = ""
) -> dict[str, str]:
    """Return the ID and log it, so that a load test can compare both."""
    await request.body()
    if id:
        request.state.log["id"] = id
    return {"id": id or load_id(request.headers), "slot": request.app.state.settings.slot}


@test_router.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Echo each text until the client disconnects, so that tests have open connections during other events."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return
