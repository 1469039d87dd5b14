# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Open-loop load against servers that answer, and servers that do not as they should: each loss has its name."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st
from visitors import commands
from visitors.openloop import http1
from visitors.openloop.book import Book, quantiles
from visitors.openloop.door import Door
from visitors.openloop.kinds import USUAL, Kind, rates
from visitors.openloop.run import Load, Plan
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, RejectConnection, Request, TextMessage

from bench.common import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ID = re.compile(rb"x-load-id: (\S+)", re.IGNORECASE)


@dataclass
class Result:
    """What a load left behind."""

    summary: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(line["outcome"] for line in self.lines)


@dataclass
class Server:
    """A server of the test's own."""

    serve: Serve
    connections: int = 0
    ids: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.serve(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


def load(
    folder: Path, server: Server | None, *kinds: str, seconds: float = 0.3, path: str = "", **bounds: Any
) -> Result:
    """Load a server, or a port that nobody listens on, and read the account."""

    async def make() -> dict[str, Any]:
        listening = await asyncio.start_server(server or Server(answer), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1] if server else free_port()
        door = Door.of(f"http://127.0.0.1:{port}", path=path)
        plan = Plan(rates(list(kinds)), seconds, "t", folder, **bounds)
        summary = await Load(plan, door).run()
        listening.close()
        return summary

    summary = asyncio.run(make())
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(summary))
    lines = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines) == summary["sent"] + summary["unsent"]
    return Result(summary, lines)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is made when the one before is answered, however late the machine is."""

    async def until(load: Load, _at: float) -> None:
        while load.tasks:
            await asyncio.sleep(0.01)

    monkeypatch.setattr(Load, "_until", until)


async def request(reader: asyncio.StreamReader) -> tuple[str, str]:
    """Read one HTTP/1.1 request: its first line and its id."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if length:
        await reader.readexactly(int(length[1]))
    found = ID.search(head)
    assert found
    return head.split(b"\r\n")[0].decode(), found[1].decode()


def response(name: str, status: int = 200, more: int = 0) -> bytes:
    body = json.dumps({"id": name}).encode()
    head = f"HTTP/1.1 {status} X\r\nX-Greenroom-Slot: green\r\nContent-Length: {len(body) + more}\r\n\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        _, name = await request(reader)
        writer.write(response(name))


async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    # To linger for no time at all is to reset.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def truncate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, name = await request(reader)
    writer.write(response(name, more=10))


async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, name = await request(reader)
    writer.write(response(name, status=503))


async def confuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    writer.write(response("somebody-else"))


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, name = await request(reader)
    writer.write(response(name, status=401))


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request(reader)
    # Until the other side has enough of it.
    await reader.read()


# HTTP/1.1


def test_answered_requests_are_lines_and_figures(tmp_path: Path) -> None:
    server = Server(answer)
    found = load(tmp_path, server, "h1-keep-get-0=40", "h1-new-post-0=20")
    assert found.outcomes == {"ok": 18}
    summary = found.summary
    assert (summary["sent"], summary["ok"], summary["lost"], summary["unsent"]) == (18, 18, 0, 0)
    assert summary["slots"] == {"green": 18}
    assert summary["kinds"]["h1-new-post-0"]["sent"] == 6
    assert sum(second["ok"] for second in summary["seconds"]) == 18
    assert summary["first_lost"] == []
    line = found.lines[0]
    assert set(line) == {"id", "kind", "sent_at", "ms", "status", "slot", "outcome"}
    assert line["id"].startswith("t-")
    assert (line["status"], line["slot"]) == (200, "green")
    assert summary["began"] <= line["sent_at"] <= summary["ended"]
    # Six new ones, and as many kept ones as were needed at once, which is more where the machine is busy.
    kept = [(each["sent_at"], each["sent_at"] + each["ms"] / 1000) for each in found.lines if "keep" in each["kind"]]
    at_once = max(sum(sent <= moment <= ended for sent, ended in kept) for moment, _ in kept)
    assert 1 <= server.connections - 6 <= at_once


@pytest.mark.parametrize(
    ("serve", "outcome", "status"),
    [
        (None, "refused", 0),
        (end, "eof", 0),
        (reset, "reset", 0),
        (truncate, "truncated", 200),
        (fail, "5xx", 503),
        (confuse, "wrong", 200),
        (refuse, "wrong", 401),
        (hang, "timeout", 0),
    ],
)
def test_each_loss_has_its_name(serve: Serve | None, outcome: str, status: int, tmp_path: Path) -> None:
    timeout = 0.2 if serve is hang else 60
    found = load(tmp_path, Server(serve) if serve else None, "h1-keep-get-0=10", "h1-new-get-0=10", timeout=timeout)
    assert found.outcomes == {outcome: 6}
    assert found.summary["lost"] == 6
    assert found.summary["outcomes"] == {outcome: 6}
    assert {line["status"] for line in found.lines} == {status}
    assert all(line["why"] for line in found.lines)
    assert len(found.summary["first_lost"]) == 6


def test_nothing_is_asked_twice_and_a_closed_connection_is_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, name = await request(reader)
        asked.append(name)
        if len(asked) % 2:
            writer.write(response(name))

    async def known(load: Load, _at: float) -> None:
        """Wait until this side knows that the connection before was closed, however late the machine is."""
        while load.tasks or any(each.usable for each in load.http1.idle):
            await asyncio.sleep(0.01)

    monkeypatch.setattr(Load, "_until", known)
    found = load(tmp_path, Server(once), "h1-keep-get-0=20")
    assert found.outcomes == {"ok": 3, "eof": 3}
    assert len(set(asked)) == len(asked) == 6


def test_a_connection_that_was_idle_for_long_is_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "IDLE_SECONDS", 0.0)
    server = Server(answer)
    assert load(tmp_path, server, "h1-keep-get-0=20").outcomes == {"ok": 6}
    assert server.connections == 6


def test_any_path_can_be_asked(tmp_path: Path) -> None:
    lines: list[str] = []

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, _ = await request(reader)
        lines.append(line)
        writer.write(response("no id of ours", status=302))

    assert load(tmp_path, Server(page), "h1-new-get-0=10", path="/login").outcomes == {"ok": 3}
    assert set(lines) == {"GET /login HTTP/1.1"}


# Time and bounds


@given(
    st.dictionaries(st.sampled_from(sorted(USUAL)), st.floats(0.5, 200), min_size=1),
    st.floats(0.1, 5),
    st.integers(0, 50),
)
def test_requests_are_due_evenly_in_order_and_within_bounds(
    wanted: dict[str, float], seconds: float, count: int
) -> None:
    given_rates = {Kind.parse(name): rate for name, rate in wanted.items()}
    due = list(Plan(given_rates, seconds, "t", Path(), count).due())
    times = [at for at, _ in due]
    assert times == sorted(times)
    assert all(0 <= at < seconds for at in times)
    assert len(due) <= count or not count
    if not count:
        for kind, rate in given_rates.items():
            assert math.floor(rate * seconds) <= sum(each == kind for _, each in due) <= math.ceil(rate * seconds)


def test_a_slow_answer_holds_nobody_up(tmp_path: Path) -> None:
    found = load(tmp_path, Server(hang), "h1-new-get-0=20", finish=0.1)
    assert found.outcomes == {"timeout": 6}
    assert found.lines[0]["why"] == "no response until 0.1 s after the end"


def test_sigterm_ends_it_and_waits_for_answers(tmp_path: Path) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, name = await request(reader)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.2)
        writer.write(response(name))

    found = load(tmp_path, Server(slow), "h1-new-get-0=2", seconds=60)
    # A busy machine has made some more of the 120 before it heard of it.
    assert set(found.outcomes) == {"ok"}
    assert len(found.lines) < 60


def test_too_many_at_once_are_not_begun_and_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visitors.openloop.run.IN_FLIGHT", 2)
    found = load(tmp_path, Server(hang), "h1-new-get-0=20", finish=0)
    assert found.outcomes == {"timeout": 2, "unsent": 4}
    assert (found.summary["sent"], found.summary["lost"], found.summary["unsent"]) == (2, 2, 4)


@given(st.lists(st.floats(0, 1000, width=32), min_size=1))
def test_quantiles_are_values_that_so_many_do_not_exceed(values: list[float]) -> None:
    found = quantiles(sorted(values))
    for share, key in ((0.5, "p50_ms"), (0.99, "p99_ms"), (1.0, "max_ms")):
        assert sum(value <= found[key] + 0.001 for value in values) >= share * len(values)
    assert found["p50_ms"] <= found["p99_ms"] <= found["max_ms"] == pytest.approx(max(values), abs=0.001)


def test_the_handlers_own_time_is_no_latency(tmp_path: Path) -> None:
    book = Book(tmp_path, "t")
    line = {
        "id": "t-1",
        "kind": "h1-keep-get-300",
        "sent_at": 7.5,
        "ms": 310.0,
        "status": 200,
        "slot": "",
        "outcome": "ok",
    }
    book.note(Kind.parse("h1-keep-get-300"), line, 300)
    assert not (tmp_path / "summary.json").exists()
    summary = book.close(7, 8, 0.0)
    assert summary["seconds"] == [
        {"at": 7, "sent": 1, "ok": 1, "lost": 0, "p50_ms": 10, "p99_ms": 10, "max_ms": 10, "slots": {"none": 1}}
    ]


# Visitors

COOKIE = re.compile(rb"cookie: greenroom_share=(\S+)", re.IGNORECASE)


def newcomers(seen: list[str]) -> Serve:
    """Return a server that gives a cookie to whoever has none, as the edge does, and notes what it sees."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            name, cookie = ID.search(head), COOKIE.search(head)
            assert name
            seen.append(cookie[1].decode() if cookie else "")
            text = response(name[1].decode()).decode()
            given = (
                "" if cookie else f"Set-Cookie: other=1\r\nSet-Cookie: greenroom_share=n{len(seen)}; Path=/; Secure\r\n"
            )
            writer.write(text.replace("\r\n", f"\r\n{given}", 1).encode())

    return serve


@pytest.mark.usefixtures("one_by_one")
def test_visitors_keep_the_edges_cookie_on_kept_connections(tmp_path: Path) -> None:
    seen: list[str] = []
    found = load(tmp_path, Server(newcomers(seen)), "h1-keep-get-0=40", "h1-new-get-0=10", visitors=2)
    assert set(found.outcomes) == {"ok"}
    kept = {line.get("visitor", "") for line in found.lines if line["kind"] == "h1-keep-get-0"}
    assert {*seen} == kept
    assert len(kept - {""}) == 2
    assert not any("visitor" in line for line in found.lines if line["kind"] == "h1-new-get-0")


def test_nobody_keeps_a_cookie_unless_there_are_visitors(tmp_path: Path) -> None:
    seen: list[str] = []
    load(tmp_path, Server(newcomers(seen)), "h1-keep-get-0=40")
    assert set(seen) == {""}


# HTTP/2


def http2(goaway_after: int = 0, taken: int = 2**31 - 1, answers: bool = True, share: str = "") -> Serve:
    """Return a server that takes its leave after so many requests, yet answers those that it took."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        writer.write(http.data_to_send())
        seen = 0
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if not isinstance(event, h2.events.RequestReceived):
                    continue
                seen += 1
                name = dict(event.headers)[b"x-load-id"].decode()
                known = dict(event.headers).get(b"cookie") == f"greenroom_share={share}".encode()
                given = [("set-cookie", f"greenroom_share={share}; Path=/")] if share and not known else []
                if seen == goaway_after:
                    # A GOAWAY frame; h2 itself would send nothing more.
                    writer.write(b"\0\0\x08\x07\0\0\0\0\0" + taken.to_bytes(4, "big") + b"\0\0\0\0")
                if answers and event.stream_id <= taken:
                    http.send_headers(event.stream_id, [(":status", "200"), ("x-greenroom-slot", "blue"), *given])
                    http.send_data(event.stream_id, json.dumps({"id": name}).encode(), end_stream=True)
                elif not answers:
                    http.reset_stream(event.stream_id, 2)
            writer.write(http.data_to_send())

    return serve


def test_http2_shares_connections_and_opens_new_ones(tmp_path: Path) -> None:
    server = Server(http2())
    found = load(tmp_path, server, "h2-keep-get-0=40", "h2-new-get-0=10", "h2-keep-post-0=10")
    assert found.outcomes == {"ok": 18}
    assert found.summary["slots"] == {"blue": 18}
    assert server.connections == 4


@pytest.mark.usefixtures("one_by_one")
def test_visitors_keep_the_edges_cookie_over_http2(tmp_path: Path) -> None:
    found = load(tmp_path, Server(http2(share="n1")), "h2-keep-get-0=20", "h2-new-get-0=10", visitors=1)
    assert {line.get("visitor") for line in found.lines if line["kind"] == "h2-keep-get-0"} == {None, "n1"}
    assert not any("visitor" in line for line in found.lines if line["kind"] == "h2-new-get-0")


@pytest.mark.usefixtures("one_by_one")
def test_a_server_that_takes_its_leave_loses_nothing(tmp_path: Path) -> None:
    server = Server(http2(goaway_after=2))
    found = load(tmp_path, server, "h2-keep-get-0=6", seconds=1)
    assert found.outcomes == {"ok": 6}
    assert server.connections == 3


def test_a_request_that_came_after_the_last_one_taken_is_lost(tmp_path: Path) -> None:
    server = Server(http2(goaway_after=2, taken=1))
    found = load(tmp_path, server, "h2-keep-get-0=20")
    # One is taken on each connection; how many come after it depends on how busy the machine is.
    assert found.outcomes == {"ok": server.connections, "reset": 6 - server.connections}
    assert 1 <= server.connections <= 3
    assert found.summary["first_lost"][0]["why"] == "GOAWAY: not accepted"


def test_a_stream_that_was_reset_is_lost(tmp_path: Path) -> None:
    assert load(tmp_path, Server(http2(answers=False)), "h2-keep-get-0=10").outcomes == {"reset": 3}


def test_http2_connections_end_as_others_do(tmp_path: Path) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    assert load(tmp_path, Server(leave), "h2-new-get-0=10").summary["lost"] == 3
    assert load(tmp_path, None, "h2-keep-get-0=10").outcomes == {"refused": 3}


# WebSockets


def websocket(
    status: int = 101, messages: int = 1000, code: int = 0, other: str = "", texts: dict[str, float] | None = None
) -> Serve:
    """Return a server that echoes so many messages, and then closes with a code, or just leaves.

    It notes in `texts` when it heard which.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = WSConnection(ConnectionType.SERVER)
        heard = 0
        while data := await reader.read(65536):
            server.receive_data(data)
            for event in server.events():
                if isinstance(event, Request) and status != 101:
                    writer.write(server.send(RejectConnection(status_code=status)))
                elif isinstance(event, Request):
                    writer.write(server.send(AcceptConnection(extra_headers=[(b"X-Greenroom-Slot", b"blue")])))
                elif isinstance(event, Message):
                    heard += 1
                    if texts is not None:
                        texts[str(event.data)] = time.time()
                    if heard > messages:
                        if code:
                            writer.write(server.send(CloseConnection(code=code)))
                        return
                    writer.write(server.send(TextMessage(data=other or str(event.data))))
                elif isinstance(event, CloseConnection):
                    writer.write(server.send(event.response()))
                    return

    return serve


def test_websockets_are_closed_in_order_at_the_end_at_the_latest(tmp_path: Path) -> None:
    texts: dict[str, float] = {}
    found = load(tmp_path, Server(websocket(texts=texts)), "ws-100=10", "ws-10000=10")
    # In ten seconds each of three says some twenty words.
    assert 6 <= len(texts) < 30
    assert found.outcomes == {"ok": 6}
    assert {(line["status"], line["slot"]) for line in found.lines} == {(101, "blue")}


def test_a_websocket_takes_the_time_until_it_is_open_and_not_until_it_is_closed(tmp_path: Path) -> None:
    texts: dict[str, float] = {}
    found = load(tmp_path, Server(websocket(texts=texts)), "ws-1000=4", seconds=1.5)
    assert found.outcomes == {"ok": 6}
    # It was open before its first word was heard, and closed much later.
    opened = {line["id"]: line["sent_at"] + line["ms"] / 1000 for line in found.lines}
    assert all(at < texts[f"{name} 0"] + 0.1 for name, at in opened.items())


@pytest.mark.parametrize(
    ("serve", "outcome"),
    [
        (websocket(messages=0, code=1012), "ws_closed"),
        (websocket(messages=0), "ws_closed"),
        (websocket(status=503), "5xx"),
        (websocket(status=403), "wrong"),
        (websocket(other="something else"), "wrong"),
        (end, "eof"),
        (None, "refused"),
    ],
)
def test_a_websocket_that_ends_early_is_lost(serve: Serve | None, outcome: str, tmp_path: Path) -> None:
    found = load(tmp_path, Server(serve) if serve else None, "ws-200=10")
    assert found.outcomes == {outcome: 3}


# The command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seconds", "7201"], "--seconds must be more than 0 and no more than 7200"),
        (["--kind", "h1-keep-get-0=2001"], "2001 requests a second; at most 2000 are allowed"),
        (["--kind", "h3-keep-get-0=1"], "h3-keep-get-0: expected h1|h2-keep|new-get|post-<ms>"),
        (["--kind", "ws-10001=1"], "with no more than 10000 ms"),
        (["--kind", "ws-1=0"], "the rate must be more than 0"),
        (["--kind", "ws-1=1", "--kind", "ws-1=2"], "ws-1: given twice"),
        (["--run", "a b"], "--run: expected"),
        (["--reports", "/nonexistent"], "/nonexistent: no such folder"),
        (["--url", "https://portal.test"], "--ca-file is missing"),
        (["--url", "https://portal.test", "--ca-file", "/nonexistent"], "No such file"),
        (["--url", "ftp://portal.test"], "expected http://<name> or https://<name>"),
        (["--path", "/x", "--kind", "ws-1=1"], "--path: all kinds must have GET and 0 ms"),
        (["--visitors", "-1"], "must not be less than 0"),
        (["--finish", "-1"], "must not be less than 0"),
    ],
)
def test_what_is_wrong_or_too_much_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = ["--url", "http://127.0.0.1:1", "--seconds", "1", "--run", "t", "--reports", str(tmp_path)]
    assert commands.main(["openloop", *usual, *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "requests.jsonl").exists()


def test_the_command_ends_well_whatever_was_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISITORS_EDGE_PASSWORD", "hidden")
    words = ["--url", "http://127.0.0.1:1", "--seconds", "5", "--count", "2", "--run", "t", "--user", "visitor"]
    assert commands.main(["openloop", *words, "--kind", "h1-new-get-0=50", "--reports", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["sent"], said["lost"], said["outcomes"]) == (2, 2, {"refused": 2})
    assert "hidden" not in (tmp_path / "requests.jsonl").read_text()


def test_everybody_is_told_who_asks() -> None:
    door = Door.of("http://portal.test:8080", connect="127.0.0.1", login=("visitor", "secret"), slot="green")
    assert (door.host, door.address, door.port) == ("portal.test:8080", "127.0.0.1", 8080)
    assert dict(door.headers) == {
        "user-agent": "greenroom-visitors/openloop",
        "authorization": "Basic dmlzaXRvcjpzZWNyZXQ=",
        "x-greenroom-slot": "green",
    }
