"""HTTP/1.1, one request after another on a connection."""

from __future__ import annotations

import asyncio
import time
from collections import deque

import h11

from .answers import SHARE, Answer, LostError, share_of
from .door import CHUNK, Door
from .kinds import Kind

IDLE_SECONDS = 50.0
"""A connection that was idle for longer isn't reused, because the edge closes it after 60 s."""


class Connection:
    """One connection."""

    def __init__(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.door = door
        self.reader = reader
        self.writer = writer
        self.http = h11.Connection(h11.CLIENT)
        self.used = time.monotonic()

    @property
    def usable(self) -> bool:
        """Whether the next request can use it."""
        return (
            self.http.our_state is h11.IDLE
            and not self.reader.at_eof()
            and not self.writer.is_closing()
            and time.monotonic() - self.used < IDLE_SECONDS
        )

    async def ask(self, kind: Kind, name: str, body: bytes, share: str) -> Answer:
        """Send a request and read the complete response. Raises LostError and connection errors."""
        headers = [("host", self.door.host), *self.door.headers, ("x-load-id", name)]
        if share:
            headers.append(("cookie", f"{SHARE}={share}"))
        if not kind.keep:
            headers.append(("connection", "close"))
        if kind.method == "POST":
            headers += [("content-type", "text/plain"), ("content-length", str(len(body)))]
        target = self.door.path or kind.path
        data = self.http.send(h11.Request(method=kind.method, target=target, headers=headers)) or b""
        if kind.method == "POST":
            data += self.http.send(h11.Data(data=body)) or b""
        self.writer.write(data + (self.http.send(h11.EndOfMessage()) or b""))
        await self.writer.drain()
        answer = await self._answer()
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        self.used = time.monotonic()
        return answer

    async def _answer(self) -> Answer:
        status, slot, share, body, begun = 0, "", "", b"", False
        try:
            while True:
                event = self.http.next_event()
                if event is h11.NEED_DATA:
                    data = await self.reader.read(CHUNK)
                    begun = begun or bool(data)
                    self.http.receive_data(data)
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    slot = next((value.decode() for key, value in event.headers if key == b"x-greenroom-slot"), "")
                    share = share_of(event.headers)
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    return Answer(status, slot, body, share)
                elif isinstance(event, h11.ConnectionClosed):
                    raise LostError("eof", "closed without a response")
        except h11.RemoteProtocolError as error:
            if begun:
                raise LostError("truncated", str(error), status, slot) from None
            raise LostError("eof", "closed without a response") from None
        except ConnectionError as error:
            raise LostError("reset", repr(error), status, slot) from None

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


class Http1:
    """A pool of HTTP/1.1 connections."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.context = door.context("http/1.1")
        self.idle: deque[Connection] = deque()

    async def ask(self, kind: Kind, name: str, body: bytes, share: str = "") -> Answer:
        """Send one request on an existing or new connection, without retries."""
        connection = self._take() if kind.keep else None
        if connection is None:
            connection = Connection(self.door, *await self.door.open(self.context))
        kept = False
        try:
            answer = await connection.ask(kind, name, body, share)
            kept = kind.keep and connection.usable
            return answer
        finally:
            if kept:
                self.idle.append(connection)
            else:
                connection.close()

    def _take(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close idle connections."""
        for connection in self.idle:
            connection.close()
