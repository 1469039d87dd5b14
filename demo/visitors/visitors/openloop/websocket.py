"""WebSockets that send echoes until this side closes them cleanly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from .answers import Answer, LostError
from .door import CHUNK, Door
from .kinds import Kind

PAUSE_SECONDS = 0.5
"""Seconds between two messages."""


class Connection:
    """One WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.socket = WSConnection(ConnectionType.CLIENT)
        self.heard: list[Event] = []
        self.slot = ""

    async def event(self) -> Event:
        """Return the server's next event, except pings, which get their pong. Raises LostError."""
        while not self.heard:
            try:
                data = await self.reader.read(CHUNK)
            except ConnectionError as error:
                raise self.closed("reset", repr(error)) from None
            if not data:
                raise self.closed("eof", "the connection ended")
            try:
                self.socket.receive_data(data)
                self.heard += self.socket.events()
            except RemoteProtocolError as error:
                raise self.closed("truncated", str(error)) from None
            for ping in [event for event in self.heard if isinstance(event, Ping)]:
                self.writer.write(self.socket.send(ping.response()))
                self.heard.remove(ping)
        return self.heard.pop(0)

    def closed(self, outcome: str, why: str) -> LostError:
        """Return the error for an unclean end: `ws_closed` once the WebSocket was open."""
        return LostError("ws_closed" if self.slot else outcome, why, 101 if self.slot else 0, self.slot)

    async def enter(self, door: Door, kind: Kind, name: str) -> None:
        """Request the upgrade and wait for it. Raises LostError."""
        headers = [(key.encode(), value.encode()) for key, value in (*door.headers, ("x-load-id", name))]
        self.writer.write(self.socket.send(Request(host=door.host, target=kind.path, extra_headers=headers)))
        event = await self.event()
        if isinstance(event, RejectConnection):
            outcome = "5xx" if event.status_code >= 500 else "wrong"
            raise LostError(outcome, "the upgrade was refused", event.status_code)
        if not isinstance(event, AcceptConnection):
            raise LostError("wrong", f"{event!r} instead of an upgrade")
        found = [value.decode() for key, value in event.extra_headers if key.lower() == b"x-greenroom-slot"]
        self.slot = next(iter(found), "none")

    async def echo(self, text: str) -> None:
        """Send a text and wait for its echo. Raises LostError."""
        self.writer.write(self.socket.send(TextMessage(data=text)))
        got = ""
        while True:
            event = await self.event()
            if isinstance(event, CloseConnection):
                raise self.closed("", f"closed by the server: {event.code} {event.reason or ''}")
            if isinstance(event, TextMessage):
                got += event.data
                if event.message_finished:
                    break
        if got != text:
            raise LostError("wrong", f"sent {text}, received {got[:100]}", 101, self.slot)

    async def leave(self) -> None:
        """Close cleanly: wait for the server's close frame. Raises LostError."""
        self.writer.write(self.socket.send(CloseConnection(code=1000)))
        while not isinstance(await self.event(), CloseConnection):
            pass


class WebSockets:
    """Opens WebSockets."""

    def __init__(self, door: Door, ending: asyncio.Event) -> None:
        self.door = door
        self.context = door.context("http/1.1")
        self.ending = ending
        """Set at the end of the load, to close open WebSockets cleanly."""

    async def ask(self, kind: Kind, name: str, opened: Callable[[], None], timeout: float) -> Answer:
        """Open a WebSocket, send echoes for the time of its kind, close it; each step has `timeout` seconds."""
        async with asyncio.timeout(timeout):
            reader, writer = await self.door.open(self.context)
        connection = Connection(reader, writer)
        try:
            async with asyncio.timeout(timeout):
                await connection.enter(self.door, kind, name)
            opened()
            end, number = time.monotonic() + kind.ms / 1000, 0
            while True:
                async with asyncio.timeout(timeout):
                    await connection.echo(f"{name} {number}")
                number += 1
                rest = end - time.monotonic()
                if rest <= 0 or self.ending.is_set():
                    break
                try:
                    async with asyncio.timeout(min(PAUSE_SECONDS, rest)):
                        await self.ending.wait()
                except TimeoutError:
                    continue
            async with asyncio.timeout(timeout):
                await connection.leave()
            return Answer(101, connection.slot, b"")
        except TimeoutError as error:
            raise LostError("timeout", repr(error), 101 if connection.slot else 0, connection.slot) from None
        finally:
            writer.close()
