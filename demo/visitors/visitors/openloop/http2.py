"""HTTP/2, many requests at once on a connection."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from hyperframe.frame import Frame, GoAwayFrame

from .answers import SHARE, Answer, LostError, lost, share_of
from .door import CHUNK, Door
from .http1 import IDLE_SECONDS
from .kinds import Kind

STREAMS = 20
"""Maximum number of requests at once on one connection, so that high load uses several connections."""

HEARING: set[asyncio.Task[None]] = set()
"""References to tasks, because the event loop has only weak ones."""


class Protocol(H2Connection):
    """h2's connection, but open streams still get their responses after a GOAWAY (RFC 9113, 6.8)."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


@dataclass
class Stream:
    """An open request."""

    done: asyncio.Future[Answer]
    status: int = 0
    slot: str = ""
    share: str = ""
    body: bytearray = field(default_factory=bytearray)

    def fail(self, outcome: str, why: str) -> None:
        """End the request without a complete response."""
        if not self.done.done():
            self.done.set_exception(LostError(outcome, why, self.status, self.slot))


class Connection:
    """One connection."""

    def __init__(self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.door = door
        self.reader = reader
        self.writer = writer
        self.http = Protocol(H2Configuration(client_side=True))
        self.streams: dict[int, Stream] = {}
        self.leaving = False
        """The server sent GOAWAY, or the connection ended."""
        self.used = time.monotonic()
        self.http.initiate_connection()
        self._flush()
        task = asyncio.create_task(self._hear())
        HEARING.add(task)
        task.add_done_callback(HEARING.discard)

    @property
    def usable(self) -> bool:
        """Whether the next request can use it."""
        limit = min(STREAMS, self.http.remote_settings.max_concurrent_streams)
        fresh = bool(self.streams) or time.monotonic() - self.used < IDLE_SECONDS
        return fresh and not self.leaving and not self.writer.is_closing() and len(self.streams) < limit

    async def ask(self, kind: Kind, name: str, body: bytes, share: str) -> Answer:
        """Send a request and wait for the complete response. Raises LostError and connection errors."""
        headers = [
            (":method", kind.method),
            (":scheme", "https" if self.door.ca_file else "http"),
            (":authority", self.door.host),
            (":path", self.door.path or kind.path),
            *self.door.headers,
            ("x-load-id", name),
        ]
        if share:
            headers.append(("cookie", f"{SHARE}={share}"))
        post = kind.method == "POST"
        if post:
            headers += [("content-type", "text/plain"), ("content-length", str(len(body)))]
        number = self.http.get_next_available_stream_id()
        stream = self.streams[number] = Stream(asyncio.get_running_loop().create_future())
        try:
            self.http.send_headers(number, headers, end_stream=not post)
            if post:
                self.http.send_data(number, body, end_stream=True)
            self._flush()
            return await stream.done
        finally:
            del self.streams[number]
            self.used = time.monotonic()
            if self.leaving and not self.streams:
                self.close()

    def _flush(self) -> None:
        self.writer.write(self.http.data_to_send())

    async def _hear(self) -> None:
        outcome, why = "eof", "closed without a response"
        try:
            while data := await self.reader.read(CHUNK):
                for event in self.http.receive_data(data):
                    self._take(event)
                self._flush()
        except (OSError, ProtocolError) as error:
            outcome, why = lost(error).outcome, repr(error)
        self.leaving = True
        for stream in self.streams.values():
            stream.fail("truncated" if stream.status else outcome, why)
        self.writer.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.leaving = True
            last = event.last_stream_id
            for number, stream in self.streams.items():
                if last is not None and number > last:
                    stream.fail("reset", "GOAWAY: not accepted")
            if not self.streams:
                self.writer.close()
            return
        stream_id = getattr(event, "stream_id", None)
        found = self.streams.get(stream_id) if stream_id is not None else None
        if isinstance(event, DataReceived) and event.flow_controlled_length:
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if found is None:
            return
        if isinstance(event, ResponseReceived):
            headers = dict(event.headers)
            found.status = int(headers[b":status"])
            found.slot = headers.get(b"x-greenroom-slot", b"").decode()
            found.share = share_of(event.headers)
        elif isinstance(event, DataReceived):
            found.body += event.data
        elif isinstance(event, StreamEnded) and not found.done.done():
            found.done.set_result(Answer(found.status, found.slot, bytes(found.body), found.share))
        elif isinstance(event, StreamReset):
            found.fail("truncated" if found.status else "reset", f"RST_STREAM {event.error_code!r}")

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


class Http2:
    """A pool of HTTP/2 connections."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.context = door.context("h2")
        self.connections: list[Connection] = []
        self.opening = asyncio.Lock()

    async def ask(self, kind: Kind, name: str, body: bytes, share: str = "") -> Answer:
        """Send one request on an existing or new connection, without retries."""
        if not kind.keep:
            connection = await self._open()
            try:
                return await connection.ask(kind, name, body, share)
            finally:
                connection.close()
        return await (await self._take()).ask(kind, name, body, share)

    async def _take(self) -> Connection:
        async with self.opening:
            self.connections = [each for each in self.connections if each.streams or each.usable]
            for connection in self.connections:
                if connection.usable:
                    return connection
            connection = await self._open()
            self.connections.append(connection)
            return connection

    async def _open(self) -> Connection:
        return Connection(self.door, *await self.door.open(self.context))

    def close(self) -> None:
        """Close all connections."""
        for connection in self.connections:
            connection.close()
