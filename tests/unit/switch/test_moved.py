# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A run that watches a slot notices at once that an operator has moved traffic."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.canary import prober
from ansible.module_utils.greenroom.modules import canary_probe
from ansible.module_utils.greenroom.switch import moved
from ansible.module_utils.greenroom.switch.moved import Moved
from ansible.module_utils.greenroom.switch.peers import Peers
from edge_host import NAME, Peer

FOREVER = 3000


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    # The timeout of a machine that isn't busy.
    monkeypatch.setattr(moved, "SECONDS", 40)
    monkeypatch.setattr(moved, "PAUSE", 0.01)
    found = Peer(tmp_path)
    yield found
    found.listener.close()


def followed(peer: Peer) -> Moved:
    return Moved(Peers(["127.0.0.1"], peer.port, NAME, str(peer.ca_file)), "staging", 7)


def answers(peer: Peer, *bodies: str) -> Iterator[int]:
    """Let the edge host answer with these values, the last one for ever; yields the number of answers so far."""
    given, number = itertools.chain(bodies, itertools.repeat(bodies[-1])), itertools.count(1)
    asked = [0]

    def answer() -> bytes:
        peer.body = next(given)
        asked[0] = next(number)
        return peer.said()

    peer.answer = answer
    while True:
        yield asked[0]


@pytest.mark.parametrize("value", ["8:blue:-:0:-", "17:green:-:0:-"])
def test_a_higher_epoch_ends_it(peer: Peer, value: str) -> None:
    asked = answers(peer, "7:blue:green:5:-", value)
    next(asked)
    with followed(peer) as operation:
        while not operation.seen():
            time.sleep(0.01)
    assert next(asked) == 2


@pytest.mark.parametrize("value", ["7:blue:green:5:-", "6:blue:-:0:-", "", "nonsense"])
def test_nothing_else_ends_it(peer: Peer, value: str) -> None:
    asked = answers(peer, value)
    next(asked)
    with followed(peer) as operation:
        while next(asked) < 5:
            time.sleep(0.01)
        assert not operation.seen()


def test_it_ends_the_probes_before_their_time(peer: Peer) -> None:
    peer.body = "8:blue:-:0:-"
    edges = {"site": "staging", "epoch": 7, "addresses": ["127.0.0.1"], "port": peer.port, "name": NAME}
    given = {"url": "https://portal.test", "live": "blue", "candidate": "green", "paths": [], "rate": 8.0}
    given |= {"seconds": FOREVER, "timeout": 5.0, "resolve": {}, "ca_file": None, "username": "", "password": ""}
    given |= {"until": [], "targets": [], "services": {}, "prometheus": "", "queries": []}
    found = canary_probe.carry_out(given | {"operation": edges | {"ca_file": str(peer.ca_file)}}, check=False)
    assert found["seconds"] < FOREVER
    assert not found["ended"], "no operator has promoted the candidate"
    assert prober.Plan("https://portal.test", {}, [], 8.0, FOREVER, over=lambda: True).stops()
