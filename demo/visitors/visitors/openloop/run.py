"""Sends requests on schedule."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answers import Answer, LostError, lost
from .book import Book
from .door import Door
from .http1 import Http1
from .http2 import Http2
from .kinds import Kind
from .websocket import WebSockets

IN_FLIGHT = 4000
"""Maximum number of open requests. With more, this client would be the bottleneck."""
FLUSH_SECONDS = 0.5
BODY = b"x" * 512


@dataclass(frozen=True)
class Plan:
    """The parameters of a load."""

    rates: Mapping[Kind, float]
    """Requests per second."""
    seconds: float
    run: str
    """Prefix of the request IDs."""
    reports: Path
    count: int = 0
    """Maximum number of requests; 0: no limit."""
    timeout: float = 30.0
    finish: float = 25.0
    """Seconds to wait for the last responses."""
    visitors: int = 0
    """Number of clients that send the requests on kept-alive connections in turn, and keep the edge's cookie."""

    def due(self) -> Iterator[tuple[float, Kind]]:
        """Yield (seconds from the start, kind) in order; each kind is evenly spaced and has its own offset."""
        coming = [
            ((number + 0.5) / len(self.rates) / rate, number, 0) for number, rate in enumerate(self.rates.values())
        ]
        first = [at for at, _, _ in coming]
        kinds, rates = list(self.rates), list(self.rates.values())
        heapq.heapify(coming)
        left = self.count or -1
        while coming[0][0] < self.seconds and left:
            at, number, times = coming[0]
            yield at, kinds[number]
            left -= 1
            heapq.heapreplace(coming, (first[number] + (times + 1) / rates[number], number, times + 1))


class Load:
    """One load, from its first request to its summary."""

    def __init__(self, plan: Plan, door: Door) -> None:
        self.plan = plan
        self.door = door
        self.book = Book(plan.reports, plan.run)
        self.ending = asyncio.Event()
        self.http1 = Http1(door)
        self.http2 = Http2(door) if any(kind.protocol == "h2" for kind in plan.rates) else None
        self.sockets = WebSockets(door, self.ending)
        self.tasks: set[asyncio.Task[None]] = set()
        self.shares: dict[int, str] = {}
        self.began = 0.0
        self.start = 0.0
        self.late = 0.0

    async def run(self) -> dict[str, Any]:
        """Send all requests, wait for the last responses, return the summary."""
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, self.ending.set)
        self.began, self.start = time.time(), time.monotonic()
        flushing = asyncio.create_task(self._flush())
        for number, (at, kind) in enumerate(self.plan.due(), 1):
            await self._until(at)
            if self.ending.is_set():
                break
            self._begin(number, kind, at)
        await self._finish()
        flushing.cancel()
        return self.book.close(self.began, time.time(), self.late * 1000)

    async def _until(self, at: float) -> None:
        rest = self.start + at - time.monotonic()
        if rest > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self.ending.wait()
        else:
            # Sending is late, but let other tasks read responses anyway.
            await asyncio.sleep(0)
            self.late = max(self.late, -rest)

    def _begin(self, number: int, kind: Kind, at: float) -> None:
        name = f"{self.plan.run}-{number}"
        if len(self.tasks) >= IN_FLIGHT:
            self._note(name, kind, at, 0.0, LostError("unsent", "too many open requests"))
            return
        visitor = number % self.plan.visitors if self.plan.visitors and kind.keep else None
        task = asyncio.create_task(self._ask(name, kind, at, visitor))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _ask(self, name: str, kind: Kind, at: float, visitor: int | None) -> None:
        opened = 0.0
        share = "" if visitor is None else self.shares.get(visitor, "")

        def note_opened() -> None:
            nonlocal opened
            opened = time.monotonic()

        result: Answer | LostError
        try:
            if kind.protocol == "ws":
                result = await self.sockets.ask(kind, name, note_opened, self.plan.timeout)
            else:
                async with asyncio.timeout(self.plan.timeout):
                    result = await (self.http2 if self.http2 and kind.protocol == "h2" else self.http1).ask(
                        kind, name, BODY, share
                    )
                if visitor is not None and result.share:
                    self.shares.setdefault(visitor, result.share)
                result = self._judged(result, name)
        except asyncio.CancelledError:
            result = LostError("timeout", f"no response until {self.plan.finish:g} s after the end")
        except Exception as error:
            result = lost(error)
        self._note(name, kind, at, (opened or time.monotonic()) - self.start, result, share=share)

    def _judged(self, answer: Answer, name: str) -> Answer | LostError:
        """Return the response, or a LostError if it isn't the response to this request."""
        if answer.status >= 500:
            return LostError("5xx", f"status {answer.status}", answer.status, answer.slot)
        good = bool(self.door.path) and answer.status < 400
        if not self.door.path:
            with contextlib.suppress(ValueError, AttributeError):
                good = answer.status == 200 and json.loads(answer.body).get("id") == name
        if good:
            return answer
        return LostError("wrong", f"status {answer.status}: {answer.body[:100]!r}", answer.status, answer.slot)

    def _note(
        self, name: str, kind: Kind, at: float, until: float, result: Answer | LostError, *, share: str = ""
    ) -> None:
        line: dict[str, Any] = {
            "id": name,
            "kind": kind.name,
            "sent_at": round(self.began + at, 6),
            "ms": round(max(0.0, until - at) * 1000, 3),
            "status": result.status,
            "slot": result.slot,
            "outcome": "ok",
        }
        if share:
            line["visitor"] = share
        if isinstance(result, LostError):
            line |= {"outcome": result.outcome, "why": str(result)}
        self.book.note(kind, line, 0 if kind.protocol == "ws" or self.door.path else kind.ms)

    async def _finish(self) -> None:
        # This closes WebSockets cleanly.
        self.ending.set()
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=self.plan.finish)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self.http1.close()
        if self.http2:
            self.http2.close()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.book.flush()


def run(plan: Plan, door: Door) -> int:
    """Run the load and print its summary. Returns 0 even if requests were lost."""
    with asyncio.Runner() as runner:
        summary = runner.run(_run(plan, door))
    print(json.dumps({key: summary[key] for key in ("run", "sent", "ok", "lost", "unsent", "late_ms", "outcomes")}))
    return 0


async def _run(plan: Plan, door: Door) -> dict[str, Any]:
    return await Load(plan, door).run()
