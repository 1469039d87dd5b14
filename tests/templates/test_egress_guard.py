"""The guard's real configuration and HAProxy, in front of a provider that is slow, fails, or has a budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from greenroom_lab import cache, packages, podman
from rendering import Rendered

PROGRAM = Path(__file__).with_name("egress_guard.py")


@pytest.fixture(scope="module")
def found(guarded: Rendered) -> dict[str, Any]:
    """What callers got."""
    podman.setup()
    with cache.only_one():
        image = packages.installed()
    volumes = [f"--volume={PROGRAM}:/egress_guard.py:ro", f"--volume={guarded.folder}:/rendered:ro"]
    command = ["python3", "/egress_guard.py", "/rendered/ops1/etc/greenroom/egress.cfg"]
    output = podman.call("run", "--rm", "--privileged", "--network=none", *volumes, image, *command)
    [line] = [line for line in output.splitlines() if line.startswith("RESULT ")]
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result


def test_a_slow_provider_is_waited_for(found: dict[str, Any]) -> None:
    assert found["/slow"] == [200, None]


def test_what_a_provider_answers_reaches_the_caller_as_it_is(found: dict[str, Any]) -> None:
    assert found["/500"] == [500, None]
    assert found["/429"] == [429, "7"]


def test_a_request_without_a_response_is_not_sent_again(found: dict[str, Any]) -> None:
    # Otherwise an order could be paid twice.
    assert found["/cut"] == [502, None]
    assert found["seen"] == {"/slow": 1, "/500": 1, "/429": 1, "/cut": 1}


def test_a_provider_that_is_down_is_told_from_a_refusal(found: dict[str, Any]) -> None:
    assert found["down"] == [503, None]


def test_a_budget_that_ends_in_the_middle_of_a_connection_refuses_the_next_request_only(found: dict[str, Any]) -> None:
    # The budget is 3; the caller keeps its connection.
    assert found["requests"] == [200, 200, 200, 429, 429]
    assert found["elsewhere"] == 200


def test_a_spent_budget_ends_no_open_connection(found: dict[str, Any]) -> None:
    assert found["tls"] == [True] * 20 + [False]
    assert found["tls_open"] is True


def test_each_refusal_is_logged_with_its_reason(found: dict[str, Any]) -> None:
    # Two requests and one connection beyond the budgets.
    assert found["reasons"]["budget"] == 3
    assert set(found["reasons"]) == {"none", "budget"}
