"""What happens to each request: an id, the slot's name, one line of log, metrics; and faults for drills."""

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
    """Return the id that a load test gave its request, as its own books have it; empty without a good one."""
    given = headers.get("x-load-id", "")
    return given if REQUEST_ID.fullmatch(given) else ""


class Observer:
    """Outermost: sees every answer, also of a handler that broke."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.slot = settings.slot
        self.test_endpoints = settings.options.features.test_endpoints
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note what became of it."""
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
        status = 499  # a client that leaves before the answer starts
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
            # Probes come every second or two: only what is wrong with them is worth a line.
            if scope["path"] not in HEALTH or status >= 400:
                fields = {
                    "request_id": request_id,
                    "slot": self.slot,
                    "method": scope["method"],
                    "path": scope["path"],  # no query: Kratos' carries flow ids and codes
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    **noted,
                }
                logger.info("request", extra={"fields": fields})

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the slot in the answer to the upgrade, and leave one line of log when the connection ends."""
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
        """Return what the line of log has beside the usual: a load test's id, where load tests are welcome."""
        name = load_id(Headers(scope=scope)) if self.test_endpoints else ""
        return {"load_id": name} if name else {}


class Faults:
    """Breaks the portal on purpose, so that drills have a bad release to catch."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.fault = settings.options.fault
        self.percent = settings.options.error_percent
        self.due = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or not."""
        if scope["type"] == "http":
            health = scope["path"] in HEALTH
            if self.fault == "hang" and health:
                await asyncio.Event().wait()
            if self.fault == "error_rate" and not health:
                # Spread evenly instead of at random: a drill sees the same each time.
                self.due += self.percent
                if self.due >= 100:
                    self.due -= 100
                    await PlainTextResponse("fault: error_rate", 500)(scope, receive, send)
                    return
        await self.app(scope, receive, send)
