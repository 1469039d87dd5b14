# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What bench/flood makes of the times, and the program that holds connections, against a server on this machine."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from bench.common import ROOT
from bench.flood import run as bench
from bench.flood.run import Found

KEPT = 5


def found(flooded: int, **more: object) -> Found:
    """Times of a hundred requests, of which two take longer, and `flooded` times that during the flood."""
    times = [1000] * 98 + [5000] * 2
    slow = [1000] * 98 + [5000 * flooded] * 2
    return Found(
        {"quiet": {"kept": times, "new": times}, "flooded": {"kept": times, "new": slow}},
        **{"tried": 20_000, "closed": 19_600, "held": 400, **more},  # type: ignore[arg-type]
    )


def test_the_ratio_is_that_of_both_p99() -> None:
    same = found(2)
    assert (same.ratio("kept"), same.ratio("new")) == (1.0, 2.0)
    low, high = same.interval("new")
    assert low <= 2.0 <= high
    assert same.asked == 400


@pytest.mark.parametrize(
    ("result", "met"),
    [
        (found(2), True),
        (found(3), False),
        (found(1, failures=["flooded: status 503"]), False),
        (found(1, moves=1), False),
        # It was no flood.
        (found(1, held=0), False),
        (found(1, tried=9_999), False),
    ],
)
def test_the_goal_needs_all_of_it(result: Found, met: bool) -> None:
    assert result.met() is met


def test_the_page_has_the_table_and_the_verdict(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "HERE", tmp_path)
    assert not bench.write(found(3), 60.0)
    text = (bench.HERE / "README.md").read_text()
    assert "| new | 100 | 1.00 ms | 1.00 ms | 5.00 ms | 15.00 ms | 3.00 (" in text
    assert "Verdict: **missed**" in text
    assert "The flood made 20000 attempts, and the edge closed 19600. It held 400 connections at most." in text


@contextlib.contextmanager
def picky() -> Iterator[int]:
    """A server that keeps the first connections and closes all others; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server, contextlib.ExitStack() as kept:

        def accept() -> None:
            with contextlib.suppress(OSError):
                for number in range(10**6):
                    channel, _ = server.accept()
                    if number < KEPT:
                        kept.enter_context(channel)
                    else:
                        channel.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        # Ends the thread.
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_connections_that_the_server_closes_are_opened_again() -> None:
    words = [sys.executable, "-I", str(ROOT / "bench/flood/hold.py")]
    with (
        picky() as port,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        settings = {"address": "127.0.0.1", "port": port, "source": "", "count": 50, "rate": 100, "longest": 3}
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "holding\n"
        # Its time is over before its input.
        counts = json.loads(process.stdout.readline())
    assert counts["held"] == KEPT
    # More than it may hold, and not more than the rate allows.
    assert 50 < counts["tried"] <= 300
    assert counts["closed"] >= 50 - KEPT
