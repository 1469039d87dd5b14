# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module canary_probe against a server that plays the edge with both of its slots."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary import prober
from modules import run_module
from webserver import Asked, Reply, misbehave, serve

PAGE = 'orders_total {orders}\nprocess_start_time_seconds 5\nshop_build_info{{release="{release}"}} 1\n'


class Edge:
    """Answers as the slot that is asked for; `bad` changes what a slot answers."""

    def __init__(self, **bad: Reply) -> None:
        self.bad = bad
        self.orders = 0

    def __call__(self, asked: Asked) -> Reply:
        if asked.path.startswith("/metrics"):
            self.orders += 1
            return Reply(200, PAGE.format(orders=self.orders, release=asked.path.split("-")[1]))
        slot = asked.headers["X-Greenroom-Slot"]
        reply = self.bad.get(slot)
        return reply or Reply(200, "hello", [("X-Greenroom-Slot", slot)])


def probe(edge: Edge, check: bool = False, **changes: Any) -> tuple[dict[str, Any], list[Asked]]:
    with serve(edge) as site:
        given = {
            "url": site.url,
            "live": "blue",
            "candidate": "green",
            "paths": ["/", "/ready"],
            # No more than may wait at once: none is left out, however busy the machine is.
            "rate": prober.WORKERS,
            "seconds": 1,
            "timeout": 60,
            **changes,
        }
        given["targets"] = [
            {
                "service": "shop",
                "slot": slot,
                "host": "app1",
                "url": f"{site.url}/metrics-1.0",
                "metric": "orders_total",
                "memory": 0,
                "release": release,
            }
            for slot, release in given.pop("releases", {}).items()
        ]
        return run_module("canary_probe", check=check, **given), site.asked


@pytest.fixture(autouse=True)
def long_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page comes when it comes, however busy the machine is."""
    monkeypatch.setattr(prober, "PAGE_SECONDS", 60.0)


def test_both_slots_get_the_same_requests_in_turn() -> None:
    result, asked = probe(Edge(), username="smoke", password="a-secret-word")
    assert not result.get("failed")
    assert (result["changed"], result["stopped_early"], result["notes"]) == (False, False, [])
    for side in ("live", "candidate"):
        figures = result["probes"][side]
        assert (figures["requests"], figures["failed"], figures["refused"]) == (8, 0, 0)
        assert figures["routes"] == {"/": [4, 0, 0], "/ready": [4, 0, 0]}
        assert sum(figures["latency"].values()) == 8
    assert all(each.headers["Authorization"].startswith("Basic ") for each in asked)
    assert "a-secret-word" not in result["text"]


def test_server_and_client_errors_are_counted_separately() -> None:
    green = [("X-Greenroom-Slot", "green")]
    result, _asked = probe(Edge(green=Reply(404, "", green)))
    assert result["probes"]["candidate"]["refused"] == 8
    result, _asked = probe(Edge(green=Reply(503)), rate=8)
    assert result["probes"]["candidate"]["failed"] == 4


def test_a_broken_candidate_ends_probing_early() -> None:
    result, _asked = probe(Edge(green=Reply(500)), seconds=60)
    assert result["stopped_early"]
    assert result["seconds"] < 30
    assert result["probes"]["live"]["failed"] == 0


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply(200, "", [("X-Greenroom-Slot", "blue")]),
            "probes got status 200 from blue, not from the slot they asked for",
        ),
        (Reply(401), "probes got status 401 from the edge itself, not from the slot they asked for"),
    ],
)
def test_a_response_from_elsewhere_is_not_counted(reply: Reply, said: str) -> None:
    result, _asked = probe(Edge(green=reply))
    assert result["probes"]["candidate"]["requests"] == 0
    assert result["probes"]["live"]["requests"] == 8
    assert result["notes"] == [f"8 {said}"]


def test_an_unreachable_edge_is_not_a_failure_of_a_slot() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result, _asked = probe(Edge(), url=f"http://127.0.0.1:{closed.getsockname()[1]}", rate=10)
    assert {side: figures["requests"] for side, figures in result["probes"].items()} == {"live": 0, "candidate": 0}
    assert result["notes"]


def test_a_slot_that_hangs_fails_and_does_not_slow_the_pace() -> None:
    over = threading.Event()

    class Hanging(Edge):
        def __call__(self, asked: Asked) -> Reply:
            if asked.headers["X-Greenroom-Slot"] == "green":
                over.wait(60)
            return super().__call__(asked)

    # The other slot has as much time; a busy machine may take some of it.
    result, _asked = probe(Hanging(), rate=8, timeout=8)
    over.set()
    assert result["probes"]["candidate"]["failed"] == 4
    assert result["probes"]["live"]["failed"] == 0


@pytest.mark.parametrize(
    "beginning", [b"", b"HTTP/1.1 200 OK\r\nX-Greenroom-Slot: green\r\nContent-Length: 5000\r\n\r\n12345678"]
)
def test_a_request_that_a_slot_drops_fails_and_is_sent_once(beginning: bytes) -> None:
    asked, greens = itertools.count(), itertools.count(1)

    def edge(client: socket.socket, over: threading.Event) -> None:
        """Keep connections, as the edge does. Every third request to green gets only the beginning of a response."""
        while data := client.recv(1000):
            next(asked)
            slot = b"green" if b"Slot: green" in data else b"blue"
            if slot == b"green" and next(greens) % 3 == 0:
                client.sendall(beginning)
                return
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Greenroom-Slot: %b\r\nContent-Length: 2\r\n\r\nok" % slot)

    with misbehave(edge) as port:
        # More requests than workers, so that a worker could keep its connection.
        result, _asked = probe(Edge(), url=f"http://127.0.0.1:{port}", seconds=2)
    counts = {side: (figures["requests"], figures["failed"]) for side, figures in result["probes"].items()}
    assert counts == {"live": (16, 0), "candidate": (16, 5)}
    assert (next(asked), result["notes"]) == (32, [])


def test_metrics_pages_are_read_before_and_after() -> None:
    result, _asked = probe(Edge(), paths=[], seconds=0.1, releases={"blue": "1.0", "green": "1.1"})
    (live,), (candidate,) = result["watched"]["live"], result["watched"]["candidate"]
    assert live["metric"] > 0
    assert live["problems"] == []
    assert candidate["problems"] == ["shop on app1 runs release 1.0, not 1.1"]


def test_a_failed_read_of_a_metrics_page_is_retried() -> None:
    class Pausing(Edge):
        def __call__(self, asked: Asked) -> Reply:
            reply = super().__call__(asked)
            return Reply(503) if self.orders == 1 else reply

    result, _asked = probe(Pausing(), paths=[], seconds=0.1, releases={"green": "1.0"})
    assert result["watched"]["candidate"][0]["unread"] == []


def test_check_mode_sends_no_requests() -> None:
    result, asked = probe(Edge(), check=True)
    assert asked == []
    assert result["probes"]["candidate"]["requests"] == 0


@pytest.mark.parametrize("wrong", [{"rate": 1000}, {"seconds": 0}, {"paths": ["x"]}, {"candidate": "blue"}])
def test_invalid_probe_options_are_refused(wrong: dict[str, Any]) -> None:
    result, asked = probe(Edge(), **wrong)
    assert result["failed"]
    assert asked == []
