"""Middleware for each request: request ID, slot header, one log line, metrics; and faults for drills."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .settings import Settings

logger = logging.getLogger("portal.request")

HEALTH = frozenset({"/healthz", "/readyz"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def load_id(headers: Headers) -> str:
    """Return the request's ID from a load test; empty without a valid one."""
    given = headers.get("x-load-id", "")
    return given if REQUEST_ID.fullmatch(given) else ""


class Observer:
    """The outermost middleware: it sees every response, even of a handler that raised an exception."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.slot = settings.slot
        self.test_endpoints = settings.options.features.test_endpoints
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, and log and count its result."""
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        noted = self.noted(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["log"] = noted
        status = 499  # The client disconnected before the response started.
        started = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Greenroom-Slot"] = self.slot
                headers["X-Request-Id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception:
            logger.exception("unhandled error", extra={"fields": {"request_id": request_id, "slot": self.slot}})
            if status != 499:
                raise
            await PlainTextResponse("Internal Server Error", 500)(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.requests.labels(scope["method"], route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            # Health checks come every second or two, so only failed ones get a log line.
            if scope["path"] not in HEALTH or status >= 400:
                fields = {
                    "request_id": request_id,
                    "slot": self.slot,
                    "method": scope["method"],
                    "path": scope["path"],  # Without the query: Kratos' has flow IDs and codes.
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    **noted,
                }
                logger.info("request", extra={"fields": fields})

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the slot header to the upgrade response, and log one line when the connection ends."""
        started, messages, code = time.perf_counter(), 0, 1006

        async def hear() -> Message:
            nonlocal messages, code
            message = await receive()
            messages += message["type"] == "websocket.receive"
            if message["type"] == "websocket.disconnect":
                code = message.get("code", code)
            return message

        async def answer(message: Message) -> None:
            nonlocal code
            if message["type"] == "websocket.accept":
                headers = [*message.get("headers", []), (b"x-greenroom-slot", self.slot.encode())]
                message = {**message, "headers": headers}
            if message["type"] == "websocket.close":
                code = message.get("code", code)
            await send(message)

        try:
            await self.app(scope, hear, answer)
        finally:
            fields = {
                "slot": self.slot,
                "path": scope["path"],
                "messages": messages,
                "close": code,
                "ms": round((time.perf_counter() - started) * 1000, 1),
                **self.noted(scope),
            }
            logger.info("websocket", extra={"fields": fields})

    def noted(self, scope: Scope) -> dict[str, Any]:
        """Return additional log fields: the ID from a load test, if test endpoints are on."""
        name = load_id(Headers(scope=scope)) if self.test_endpoints else ""
        return {"load_id": name} if name else {}


class Faults:
    """Breaks the portal on purpose, so that drills have a bad release to detect."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.fault = settings.options.fault
        self.percent = settings.options.error_percent
        self.due = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or fail as the fault says."""
        if scope["type"] == "http":
            health = scope["path"] in HEALTH
            if self.fault == "hang" and health:
                await asyncio.Event().wait()
            if self.fault == "error_rate" and not health:
                # Evenly distributed, not random, so that each drill has the same result.
                self.due += self.percent
                if self.due >= 100:
                    self.due -= 100
                    await PlainTextResponse("fault: error_rate", 500)(scope, receive, send)
                    return
        await self.app(scope, receive, send)
