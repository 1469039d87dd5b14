# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Requests that end by a deadline whatever the server does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.common import web
from webserver import Asked, Authority, Reply, drip, hang, misbehave, serve

from bench.common import free_port


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# The limit may pass while the name is looked up, where the machine is busy.
LATE = r"no complete response within \d|not resolved in time"


def get(url: str, seconds: float = 60, network: web.Network | None = None, **more: str) -> web.Answer:
    return web.request(web.Request("GET", url, more), network or web.Network(), web.Deadline(seconds))


def test_an_answer_has_status_headers_body_and_address() -> None:
    with serve(lambda asked: Reply(203, "größer", [("X-A", "1"), ("X-A", "2")])) as site:
        answer = get(f"{site.url}/a?b=c", Accept="x/y")
    assert (answer.status, answer.text, answer.header("x-a"), answer.header("nope")) == (203, "größer", "1, 2", None)
    assert answer.url == f"{site.url}/a?b=c"
    assert (site.asked[0].path, site.asked[0].query) == ("/a", {"b": ["c"]})
    assert site.asked[0].headers["Accept"] == "x/y"
    assert site.asked[0].headers["Host"] == f"127.0.0.1:{site.port}"


@pytest.mark.parametrize(
    ("kind", "text"), [("text/html; charset=latin-1", "Ã¶"), ("text/html; charset=klingon", "ö"), ("text/html", "ö")]
)
def test_a_body_is_read_in_the_charset_it_names_or_utf8(kind: str, text: str) -> None:
    with serve(lambda asked: Reply(200, "ö", [("Content-Type", kind)])) as site:
        assert get(site.url).text == text


def test_a_delayed_body_is_read_completely() -> None:
    def late(client: socket.socket, over: threading.Event) -> None:
        client.recv(1000)
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        time.sleep(0.2)
        client.sendall(b"the body")

    with misbehave(late) as port:
        assert get(f"http://127.0.0.1:{port}").text == "the body"


def test_a_large_request_is_sent_completely() -> None:
    with serve(lambda asked: Reply(200, str(len(asked.body)))) as site:
        wanted = web.Request("POST", site.url, {}, b"x" * 3_000_000)
        assert web.request(wanted, web.Network(), web.Deadline(60)).text == "3000000"


@pytest.mark.parametrize("behave", [hang, drip])
def test_a_server_that_hangs_or_drips_does_not_hold_a_request(
    behave: Callable[[socket.socket, threading.Event], None],
) -> None:
    started = time.monotonic()
    with misbehave(behave) as port, pytest.raises(web.WebError, match=LATE):
        get(f"http://127.0.0.1:{port}", 0.5)
    assert time.monotonic() - started < 30


def test_a_server_that_reads_nothing_does_not_hold_a_request() -> None:
    with misbehave(hang) as port:
        wanted = web.Request("POST", f"http://127.0.0.1:{port}", {}, b"x" * 30_000_000)
        with pytest.raises(web.WebError, match=LATE):
            web.request(wanted, web.Network(), web.Deadline(0.5))


def test_a_tls_handshake_that_hangs_does_not_hold_a_request(authority: Authority) -> None:
    with misbehave(hang) as port, pytest.raises(web.WebError, match=LATE):
        get(f"https://127.0.0.1:{port}", 0.5, web.Network({}, authority.ca_file))


def test_an_answer_that_is_too_long_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BODY_LIMIT", 10)
    with serve(lambda asked: Reply(200, "x" * 11)) as site, pytest.raises(web.WebError, match="longer than 10"):
        get(site.url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://localhost/", "not an HTTP URL"),
        ("http:///path", "not an HTTP URL"),
        ("http://user:secret@localhost/", "must not contain credentials"),
        ("http://127.0.0.1:1/a b", "refused|InvalidURL"),
        ("http://no-such-name.invalid/", "does not resolve"),
    ],
)
def test_a_bad_address_is_one_clear_line_without_secrets(url: str, message: str) -> None:
    with pytest.raises(web.WebError, match=message) as caught:
        get(url)
    assert "secret" not in str(caught.value)


def test_a_closed_port_is_named() -> None:
    port = free_port()
    with pytest.raises(web.WebError, match=f"127.0.0.1 port {port}: Connection refused"):
        get(f"http://127.0.0.1:{port}")


def test_an_answer_that_is_not_http_is_an_error() -> None:
    def nonsense(client: socket.socket, over: threading.Event) -> None:
        client.sendall(b"SSH-2.0-OpenSSH\r\n")

    with misbehave(nonsense) as port, pytest.raises(web.WebError, match=r"BadStatusLine|Reset"):
        get(f"http://127.0.0.1:{port}")


def test_a_name_is_resolved_as_configured_and_verified_by_name(authority: Authority) -> None:
    network = web.Network({"portal.greenroom.test": "127.0.0.1"}, authority.ca_file)
    with serve(lambda asked: Reply(200, "hello"), authority.context("portal.greenroom.test")) as site:
        assert get(f"https://portal.greenroom.test:{site.port}/", network=network).text == "hello"
        with pytest.raises(web.WebError, match=r"certificate of 127.0.0.1 not accepted"):
            get(site.url, network=network)
    assert site.asked[0].headers["Host"] == f"portal.greenroom.test:{site.port}"


def test_a_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    with (
        serve(lambda asked: Reply(), stranger.context("127.0.0.1")) as site,
        pytest.raises(web.WebError, match=r"certificate of 127.0.0.1 not accepted"),
    ):
        get(site.url, network=web.Network({}, authority.ca_file))


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    with (
        serve(lambda asked: Reply(), authority.context("127.0.0.1", days=-1)) as site,
        pytest.raises(web.WebError, match="expired"),
    ):
        get(site.url, network=web.Network({}, authority.ca_file))


def test_https_to_a_plain_server_is_an_error(authority: Authority) -> None:
    with serve(lambda asked: Reply()) as site, pytest.raises(web.WebError, match=r"TLS with 127.0.0.1 failed"):
        get(site.url.replace("http", "https"), network=web.Network({}, authority.ca_file))


def test_a_missing_ca_file_is_named() -> None:
    with serve(lambda asked: Reply()) as site, pytest.raises(web.WebError, match=r"CA file /nowhere/ca.crt"):
        get(site.url.replace("http", "https"), network=web.Network({}, "/nowhere/ca.crt"))


def test_a_resolver_that_hangs_does_not_hold_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_arguments: object, **_more: object) -> list[object]:
        time.sleep(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    with pytest.raises(web.WebError, match="not resolved in time"):
        get("http://slow.example/", 0.3)
    assert time.monotonic() - started < 30


WHOLE = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n",
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\nX-A: b\r\n\r\n",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678",
}


def say(text: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Return a server that answers every request on a connection with these bytes, and then ends the connection."""

    def behave(client: socket.socket, over: threading.Event) -> None:
        client.recv(1000)
        client.sendall(text)

    return behave


@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_is_whole_or_an_error_wherever_it_ends(kind: str) -> None:
    for length in range(len(WHOLE[kind])):
        with misbehave(say(WHOLE[kind][:length])) as port:
            with pytest.raises(web.WebError) as caught:
                get(f"http://127.0.0.1:{port}")
            assert not isinstance(caught.value, web.UnreachedError)
    with misbehave(say(WHOLE[kind])) as port:
        assert get(f"http://127.0.0.1:{port}").body == b"12345678"


def test_an_answer_that_ends_early_on_a_kept_connection_is_an_error_and_is_not_asked_for_again() -> None:
    asked: list[bytes] = []

    def behave(client: socket.socket, over: threading.Event) -> None:
        asked.append(client.recv(1000))
        client.sendall(WHOLE["length"])
        asked.append(client.recv(1000))
        client.sendall(WHOLE["length"][:-1])

    with misbehave(behave) as port:
        connection, wanted = web.Connection(web.Network()), web.Request("GET", f"http://127.0.0.1:{port}")
        assert connection.ask(wanted, web.Deadline(60)).text == "12345678"
        with pytest.raises(web.WebError, match="no complete response: the connection ended"):
            connection.ask(wanted, web.Deadline(60))
    assert len(asked) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_request_is_sent_twice_when_a_kept_connection_ends_without_an_answer(method: str) -> None:
    asked: list[bytes] = []

    def behave(client: socket.socket, over: threading.Event) -> None:
        # Head and body come one by one.
        while data := client.recv(1000):
            asked.append(data)
            if data.endswith(b"the end"):
                if b"".join(asked).count(b"the end") == 2:
                    return
                client.sendall(WHOLE["length"])

    with misbehave(behave) as port:
        connection = web.Connection(web.Network())
        wanted = web.Request(method, f"http://127.0.0.1:{port}", {}, b"the end")
        connection.ask(wanted, web.Deadline(60))
        with pytest.raises(web.WebError) as caught:
            connection.ask(wanted, web.Deadline(60))
        assert not isinstance(caught.value, web.UnreachedError)
        assert b"".join(asked).count(b"the end") == 2
        # The next request opens a connection.
        assert connection.ask(wanted, web.Deadline(60)).text == "12345678"
    assert b"".join(asked).count(b"the end") == 3


def test_the_callers_limit_may_end_the_reading_of_an_answer() -> None:
    for text in (WHOLE["length"], WHOLE["chunks"]):
        with misbehave(say(text)) as port:
            wanted = web.Request("GET", f"http://127.0.0.1:{port}")
            assert web.Connection(web.Network()).ask(wanted, web.Deadline(60), 8).body == b"12345678"
            with pytest.raises(web.WebError, match="longer than 7"):
                web.Connection(web.Network()).ask(wanted, web.Deadline(60), 7)


@pytest.mark.parametrize(
    ("method", "status"), [("GET", "204 No Content"), ("GET", "304 Not Modified"), ("HEAD", "200 OK")]
)
def test_an_answer_without_a_body_is_whole_whatever_its_length(method: str, status: str) -> None:
    with misbehave(say(f"HTTP/1.1 {status}\r\nContent-Length: 8\r\n\r\n".encode())) as port:
        wanted = web.Request(method, f"http://127.0.0.1:{port}")
        assert web.request(wanted, web.Network(), web.Deadline(60)).body == b""


@pytest.mark.parametrize("ends", [True, False])
def test_a_body_that_ends_with_the_connection_needs_the_end_of_tls(ends: bool, authority: Authority) -> None:
    context = authority.context("127.0.0.1")

    def behave(client: socket.socket, over: threading.Event) -> None:
        sock = context.wrap_socket(client, server_side=True, suppress_ragged_eofs=False)
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nthe body")
        if ends:
            sock.unwrap()
        sock.close()

    with misbehave(behave) as port:
        network = web.Network({}, authority.ca_file)
        if ends:
            assert get(f"https://127.0.0.1:{port}", network=network).text == "the body"
        else:
            with pytest.raises(web.WebError, match="no complete response: the connection ended"):
                get(f"https://127.0.0.1:{port}", network=network)


def test_addresses_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    with serve(lambda asked: Reply(200, "second")) as site:
        both = [(*kind, ("127.0.0.1", port)), (*kind, ("127.0.0.1", site.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: both)
        assert get("http://two.example/").text == "second"


def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: [])
    with pytest.raises(web.WebError, match="has no address"):
        get("http://none.example/")


def test_deadlines() -> None:
    now = [100.0]
    deadline = web.Deadline(10, lambda: now[0])
    assert deadline.left() == 10
    assert deadline.earlier(3).left() == 3
    assert deadline.earlier(30).left() == 10
    assert deadline.before(4).left() == 6
    now[0] = 111
    assert deadline.left() == 0
    with pytest.raises(TimeoutError):
        deadline.wait()


def test_the_request_that_was_asked_for_is_sent() -> None:
    def echo(asked: Asked) -> Reply:
        return Reply(200, f"{asked.method} {asked.body}")

    with serve(echo) as site:
        wanted = web.Request("PATCH", site.url, {"X-Y": "z"}, b"content")
        assert web.request(wanted, web.Network(), web.Deadline(60)).text == "PATCH content"
        assert site.asked[0].headers["X-Y"] == "z"
