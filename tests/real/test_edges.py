"""Edge hosts die and come back: the other one serves, and who comes back serves nothing that is over."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ONE_TRY, ROOT, Environment, Probe, kill, other, until

# People who come at once: each has one request on its way, and waits for its answer.
PEOPLE = 4


def spare(environment: Environment, edge: str) -> str:
    """The edge host that takes over from `edge`."""
    return next(name for name in environment.edges if name != edge)


def answering_slot(environment: Environment, edge: str) -> str:
    """The slot that an edge host lets a visitor see, asked itself; empty where it does not answer."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        status, headers, _body = environment.get("/version", edge=edge)
        return headers["x-greenroom-slot"] if status == 200 else ""
    return ""


def agree(environment: Environment) -> bool:
    """Whether all edge hosts have the same on disk, and nothing is under way."""
    states = [environment.state(edge) for edge in environment.edges]
    same = {(state["epoch"], state["live"], state["weight"]) for state in states}
    return len(same) == 1 and not any(state.get("operation") for state in states)


def switch(environment: Environment, edges: list[str], live: str) -> None:
    """Let `edges` serve a slot at once, without what belongs beside it."""
    epoch = max(environment.state(edge)["epoch"] for edge in edges) + 1
    command = ["ansible", "-i", f"inventories/{environment.name}", ":".join(edges), "--become"]
    arguments = {"site": environment.name, "live": live, "epoch": epoch}
    done = subprocess.run(
        [*command, "-m", "bluegreen_switch", "-a", json.dumps(arguments)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def people(staging: Environment) -> Iterator[list[Probe]]:
    """Several people who ask all the time; a lost connection is one that each of them waits for."""
    probes = [Probe(staging) for _ in range(PEOPLE)]
    with contextlib.ExitStack() as stack:
        for probe in probes:
            stack.enter_context(probe)
        yield probes


def lost(people: list[Probe]) -> list[str]:
    """What people lost so far."""
    return [failure for probe in people for failure in probe.failures]


def wait_for_answers(people: list[Probe], count: int) -> None:
    """Wait until each of them got so many more answers."""

    def answered() -> list[int]:
        return [sum(probe.slots.values()) for probe in people]

    before = answered()
    until(lambda: min(map(int.__sub__, answered(), before)) >= count, 300, f"{count} answers for each")


def test_both_edge_hosts_can_serve_and_one_has_the_address(staging: Environment) -> None:
    active = staging.active_edge()
    until(lambda: agree(staging), 60, "both edge hosts have the same")
    for edge in staging.edges:
        assert answering_slot(staging, edge) == staging.live(), f"{edge} could serve at any time"
        units = "systemctl is-active haproxy keepalived"
        assert staging.ssh(edge, units).stdout.split() == ["active", "active"], edge
    # Edge hosts hear each other's VRRP; what a host that is none says is dropped.
    rules = staging.ssh(active, "nft list chain inet greenroom input | grep -F shared").stdout
    assert all(staging.hosts[edge] in rules for edge in staging.edges), rules
    assert staging.hosts["app1"] not in rules


def test_the_active_edge_host_dies_during_a_cutover_and_the_other_one_serves(
    both_slots: Environment, people: list[Probe], tmp_path: Path
) -> None:
    environment, live = both_slots, both_slots.live()
    dying = environment.active_edge()
    left = spare(environment, dying)
    output = tmp_path / "cutover"
    words = ("-e", f"to={other(live)}", "-e", "canary=50", "-e", "cutover_share_seconds=300")
    process = environment.start("playbooks/cutover.yml", *words, output=output, ANSIBLE_SSH_RETRIES=ONE_TRY)
    try:
        until(
            lambda: environment.state(dying)["weight"] == 50 or process.poll() is not None,
            300,
            "the candidate has its share",
        )
        assert process.poll() is None, output.read_text()
        assert lost(people) == []
        # Not a word to anybody: as when the power goes. No connection is closed, nothing is answered any more.
        environment.power("pause", dying)
        try:
            until(lambda: environment.serves(left), 60, f"{left} has the address")
            # Who waited in vain for an answer has noticed by then. What was on its way is lost, and what came before
            # the other one took over; never one later.
            wait_for_answers(people, 3)
            gone = lost(people)
            environment.say(f"lost with {dying}: {len(gone)} requests of {PEOPLE} people")
            wait_for_answers(people, 20)
            assert lost(people) == gone
            code = process.wait(timeout=900)
        finally:
            environment.power("unpause", dying)
        assert code != 0, output.read_text()
    finally:
        if process.poll() is None:
            kill(process)
    # One word from an operator, and both edge hosts are where they were before.
    assert environment.play("playbooks/abort.yml").code == 0
    until(lambda: agree(environment), 60, "both edge hosts have the same")
    assert environment.live() == live
    assert {answering_slot(environment, edge) for edge in environment.edges} == {live}
    assert {slot for probe in people for slot in probe.slots} <= {"blue", "green"}


def test_an_edge_host_that_comes_back_catches_up_before_it_serves(
    both_slots: Environment, people: list[Probe]
) -> None:
    environment, live = both_slots, both_slots.live()
    active = environment.active_edge()
    away = spare(environment, active)
    environment.power("stop", away)
    try:
        switch(environment, [active], other(live))
    finally:
        environment.power("start", away)
    # The first answer that it ever gives is the one that the other one gives, too.
    try:
        assert until(lambda: answering_slot(environment, away), 180, f"{away} answers") == other(live)
        until(lambda: agree(environment), 60, "both edge hosts have the same")
        # It waits for its turn: the address stays where it is.
        until(lambda: environment.ssh(away, "systemctl is-active keepalived", check=False).returncode == 0, 60, "VRRP")
        assert environment.active_edge() == active
    finally:
        switch(environment, environment.edges, live)
    until(lambda: agree(environment), 60, "both edge hosts have the same")
    assert environment.live() == live
    assert lost(people) == []
