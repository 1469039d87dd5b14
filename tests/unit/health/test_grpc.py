# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The health check of gRPC, asked of servers that speak HTTP/2."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from ansible.module_utils.greenroom.common.web import Deadline
from ansible.module_utils.greenroom.health import grpc
from ansible.module_utils.greenroom.health.check import HealthCheck, Unmet
from hypothesis import given
from hypothesis import strategies as st
from webserver import hang, misbehave

TEXT = {"content-type": "application/grpc"}
Respond = Callable[[h2.connection.H2Connection], None]


def message(status: int) -> bytes:
    """A response of the health service; a status of 0 is not sent."""
    return struct.pack(">BI", 0, 2) + bytes((8, status)) if status else bytes(5)


def says(*parts: bytes) -> Respond:
    """Send a response in parts, and its trailers."""

    def respond(connection: h2.connection.H2Connection) -> None:
        connection.send_headers(1, {":status": "200", **TEXT}.items())
        for part in parts:
            connection.send_data(1, part)
        connection.send_headers(1, {"grpc-status": "0"}.items(), end_stream=True)

    return respond


def refuses(connection: h2.connection.H2Connection) -> None:
    """Say that there is no such method, in headers alone."""
    connection.send_headers(1, {":status": "200", **TEXT, "grpc-status": "12"}.items(), end_stream=True)


def leaves(connection: h2.connection.H2Connection) -> None:
    """Say goodbye."""
    connection.close_connection(2)


class Speaker:
    """A server that reads a request as HTTP/2 says, and then responds."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.headers: dict[str, str] = {}
        self.body = b""

    def __call__(self, client: socket.socket, over: threading.Event) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        client.sendall(connection.data_to_send())
        while data := client.recv(65536):
            for event in connection.receive_data(data):
                match event:
                    case h2.events.RequestReceived():
                        self.headers = {name.decode(): value.decode() for name, value in event.headers}
                    case h2.events.DataReceived():
                        self.body += event.data
                    case h2.events.StreamEnded():
                        self.respond(connection)
            client.sendall(connection.data_to_send())
        over.wait(60)


def asked(behave: Any, **more: Any) -> Unmet | None:
    """Ask a server how it is."""
    with misbehave(behave) as port:
        check = HealthCheck(kind="grpc", port=port, authority=more.pop("authority", "shop.example.test"), **more)
        return check.unmet("127.0.0.1", "shop-green", Deadline(30))


def test_a_server_gets_a_complete_request() -> None:
    speaker = Speaker(says(message(1)))
    assert asked(speaker) is None
    assert speaker.headers == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": "shop.example.test",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    assert speaker.body == bytes(5)


def test_a_server_is_asked_about_one_of_its_services() -> None:
    speaker = Speaker(says(message(1)))
    assert asked(speaker, service="shop.v1.Orders") is None
    assert speaker.body == b"\0\0\0\0\x10\x0a\x0eshop.v1.Orders"


@pytest.mark.parametrize("length", [126, 127, 128, 253, 254, 255, 300])
def test_a_name_of_any_length_arrives(length: int) -> None:
    speaker = Speaker(says(message(1)))
    assert asked(speaker, authority="x" * length) is None
    assert speaker.headers[":authority"] == "x" * length


@given(cut=st.integers(1, 6))
def test_a_response_may_come_in_parts(cut: int) -> None:
    assert asked(Speaker(says(message(1)[:cut], message(1)[cut:]))) is None


NO_STATUS = "no health status; the server must know /grpc.health.v1.Health/Check"


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (Speaker(says(message(0))), "health status UNKNOWN"),
        (Speaker(says(message(2))), "health status NOT_SERVING"),
        (Speaker(says(message(3))), "health status SERVICE_UNKNOWN"),
        (Speaker(says(b"\1" + message(1)[1:])), "health status unreadable"),
        (Speaker(says()), NO_STATUS),
        (Speaker(refuses), NO_STATUS),
        (Speaker(leaves), NO_STATUS),
        (lambda client, _over: client.recv(65536) and client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NO_STATUS),
        (lambda client, _over: client.recv(65536), NO_STATUS),
    ],
)
def test_what_another_response_means(behave: Any, reason: str) -> None:
    assert asked(behave) == Unmet(reason)


def test_a_server_that_does_not_know_the_service_says_which() -> None:
    assert asked(Speaker(refuses), service="shop.v1.Orders") == Unmet(f"{NO_STATUS} and the service shop.v1.Orders")


def test_a_server_that_never_answers_does_not_hold_the_check() -> None:
    with misbehave(hang) as port:
        check = HealthCheck(kind="grpc", port=port, authority="shop.example.test")
        assert check.unmet("127.0.0.1", "shop-green", Deadline(0.5)) == Unmet("no answer in time")


def test_the_edge_looks_for_what_a_healthy_server_says() -> None:
    assert message(1) == grpc.SERVING
