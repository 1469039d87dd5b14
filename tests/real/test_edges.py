"""Edge hosts die and come back: the other one serves, and a host that comes back never serves an old state."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ONE_TRY, Environment, Probe, kill, other, until

# Concurrent clients, each with one open request.
CLIENTS = 4


def spare(environment: Environment, edge: str) -> str:
    """The edge host that takes over from `edge`."""
    return next(name for name in environment.edges if name != edge)


def answering_slot(environment: Environment, edge: str) -> str:
    """The slot that serves a client of this edge host; empty without a response."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, headers, _body = environment.get("/version", edge=edge)
        return headers["x-greenroom-slot"] if status == 200 else ""
    return ""


def agree(environment: Environment) -> bool:
    """Whether all edge hosts have the same state on disk, and no operation."""
    states = [environment.state(edge) for edge in environment.edges]
    same = {(state["epoch"], state["live"], state["weight"]) for state in states}
    return len(same) == 1 and not any(state.get("operation") for state in states)


def switch(environment: Environment, edges: list[str], live: str) -> None:
    """Switch `edges` to a slot immediately, without background services."""
    epoch = max(environment.state(edge)["epoch"] for edge in edges) + 1
    done = environment.call(":".join(edges), "bluegreen_switch", site=environment.name, live=live, epoch=epoch)
    assert [host for host in edges if done[host].get("failed", False)] == [], done


@pytest.fixture
def clients(staging: Environment) -> Iterator[list[Probe]]:
    """Several clients that send requests continuously."""
    probes = [Probe(staging) for _ in range(CLIENTS)]
    with contextlib.ExitStack() as stack:
        for probe in probes:
            stack.enter_context(probe)
        yield probes


def lost(clients: list[Probe]) -> list[str]:
    """The clients' lost requests so far."""
    return [failure for probe in clients for failure in probe.failures]


def wait_for_answers(clients: list[Probe], count: int) -> None:
    """Wait until each client has this many more responses."""

    def answered() -> list[int]:
        return [sum(probe.slots.values()) for probe in clients]

    before = answered()
    until(lambda: min(map(int.__sub__, answered(), before)) >= count, 300, f"{count} responses for each client")


def test_both_edge_hosts_can_serve_and_one_has_the_address(staging: Environment) -> None:
    active = staging.active_edge()
    until(lambda: agree(staging), 60, "both edge hosts agree")
    for edge in staging.edges:
        assert answering_slot(staging, edge) == staging.live(), f"{edge} could serve at any time"
        units = "systemctl is-active haproxy keepalived"
        assert staging.ssh(edge, units).stdout.split() == ["active", "active"], edge
    # Edge hosts accept VRRP from each other, and drop it from other hosts.
    rules = staging.ssh(active, "nft list chain inet greenroom input | grep -F shared").stdout
    assert all(staging.hosts[edge] in rules for edge in staging.edges), rules
    assert staging.hosts["app1"] not in rules


def test_the_active_edge_host_dies_during_a_cutover_and_the_other_one_serves(
    both_slots: Environment, clients: list[Probe], tmp_path: Path
) -> None:
    environment, live = both_slots, both_slots.live()
    dying = environment.active_edge()
    left = spare(environment, dying)
    output = tmp_path / "cutover"
    words = ("-e", f"to={other(live)}", "-e", "canary=50", "-e", "cutover_step_seconds=300")
    process = environment.start("playbooks/cutover.yml", *words, output=output, ANSIBLE_SSH_RETRIES=ONE_TRY)
    try:
        until(
            lambda: environment.state(dying)["weight"] == 50 or process.poll() is not None,
            300,
            "the candidate has its weight",
        )
        assert process.poll() is None, output.read_text()
        assert lost(clients) == []
        # As at a power failure: no connection is closed, and there are no more responses.
        environment.power("pause", dying)
        try:
            until(lambda: environment.serves(left), 60, f"{left} has the address")
            # By then, clients have noticed the missing responses. Open requests and those before the takeover are lost,
            # but no later ones.
            wait_for_answers(clients, 3)
            gone = lost(clients)
            environment.say(f"lost with {dying}: {len(gone)} requests of {CLIENTS} clients")
            wait_for_answers(clients, 20)
            assert lost(clients) == gone
            code = process.wait(timeout=900)
        finally:
            environment.power("unpause", dying)
        assert code != 0, output.read_text()
    finally:
        if process.poll() is None:
            kill(process)
    # After an abort, both edge hosts are as before.
    assert environment.play("playbooks/abort.yml").code == 0
    until(lambda: agree(environment), 60, "both edge hosts agree")
    assert environment.live() == live
    assert {answering_slot(environment, edge) for edge in environment.edges} == {live}
    assert {slot for probe in clients for slot in probe.slots} <= {"blue", "green"}


def test_an_edge_host_that_comes_back_catches_up_before_it_serves(
    both_slots: Environment, clients: list[Probe]
) -> None:
    environment, live = both_slots, both_slots.live()
    active = environment.active_edge()
    away = spare(environment, active)
    environment.power("stop", away)
    try:
        switch(environment, [active], other(live))
    finally:
        environment.power("start", away)
    # Its very first response must come from the same slot as those of the other edge host.
    try:
        assert until(lambda: answering_slot(environment, away), 180, f"{away} responds") == other(live)
        until(lambda: agree(environment), 60, "both edge hosts agree")
        # The shared address doesn't move back.
        until(lambda: environment.ssh(away, "systemctl is-active keepalived", check=False).returncode == 0, 60, "VRRP")
        assert environment.active_edge() == active
    finally:
        switch(environment, environment.edges, live)
    until(lambda: agree(environment), 60, "both edge hosts agree")
    assert environment.live() == live
    assert lost(clients) == []
