# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The candidate's weight at the rendered edge: how many clients, which ones, and for how long, with a real HAProxy."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.canary.edge_log import GROUP, GROUPS
from on_host import carried_out
from rendering import render

SLOT = {"X-Greenroom-Slot": "green"}
TESTER = "127.0.0.9"
CLIENTS = [f"person-{number}" for number in range(10_000)]
FEW = CLIENTS[:500]
SHARES = (5, 25, 50)
# The map's values, and the requests that are sent with each.
ROUNDS: dict[str, dict[str, Any]] = {
    **{f"share {share}": {"value": f"2:blue:green:{share}", "cookies": CLIENTS} for share in SHARES},
    "idle": {"value": "1:blue:-:0", "cookies": [*FEW, None]},
    "no candidate": {"value": "1:blue:-:50", "cookies": FEW},
    "candidate with weight 0": {"value": "1:blue:green:0", "cookies": [*FEW, None]},
    "all": {"value": "1:blue:green:100", "cookies": FEW},
    "new clients": {"value": "1:blue:green:25", "cookies": [None] * 1000},
    "testers": {"value": "1:blue:green:25", "cookies": [*FEW, None], "headers": SLOT, "source": TESTER},
    "testers without a canary": {"value": "1:blue:-:0", "cookies": FEW, "headers": SLOT, "source": TESTER},
    "not testers": {"value": "1:blue:green:25", "cookies": FEW, "headers": SLOT},
    "testers with an invalid slot": {
        "value": "1:blue:-:0",
        "cookies": FEW,
        "headers": {"X-Greenroom-Slot": "-"},
        "source": TESTER,
    },
    "candidate down": {"value": "1:blue:green:25", "cookies": FEW, "down": True},
    "testers of a candidate that is down": {
        "value": "1:blue:green:25",
        "cookies": FEW[:1],
        "headers": SLOT,
        "source": TESTER,
        "down": True,
    },
    "invalid map": {"value": "nonsense", "cookies": FEW[:1]},
}
ADDRESSES = [f"127.1.{number % 250}.{number // 250 + 1}" for number in range(300)]
BY_ADDRESS = [
    {"value": f"2:blue:green:{share}", "cookies": [None], "source": address}
    for share in (25, 50)
    for address in ADDRESSES
]


def counted(folder: Path, rounds: list[dict[str, Any]], **given: Any) -> list[list[list[str | None]]]:
    """HAProxy's responses in each round."""
    edge = render(
        "staging",
        folder,
        roles=("edge", "edge_slot"),
        hosts="edge1",
        edge_visitors_only=False,
        edge_tester_sources=[TESTER],
        edge_limits={"default": 10_000_000, "login": 1},
        edge_limit_exempt=[],
        **given,
    ).folder
    result: list[list[list[str | None]]] = carried_out("share.py", edge / "edge1", rounds)
    return result


@pytest.fixture(scope="module")
def whole_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str | None]]]:
    found = counted(tmp_path_factory.mktemp("share"), list(ROUNDS.values()))
    return dict(zip(ROUNDS, found, strict=True))


@pytest.fixture(scope="module")
def answers(whole_answers: dict[str, list[list[str | None]]]) -> dict[str, list[list[str | None]]]:
    return {name: [answer[:3] for answer in found] for name, found in whole_answers.items()}


@pytest.fixture(scope="module")
def groups(whole_answers: dict[str, list[list[str | None]]]) -> dict[str, list[str]]:
    return {name: [answer[3] or "" for answer in found] for name, found in whole_answers.items()}


def taken(answer: list[list[str | None]]) -> set[int]:
    """The indexes of the requests in a round that the candidate served."""
    return {index for index, (slot, _chosen, _cookie) in enumerate(answer) if slot == "green"}


@pytest.mark.parametrize("share", SHARES)
def test_the_candidate_gets_its_weight_of_the_clients(share: int, answers: dict[str, list[list[str | None]]]) -> None:
    # Five standard deviations: a random failure once in millions of runs.
    expected, spread = len(CLIENTS) * share / 100, (len(CLIENTS) * share / 100 * (1 - share / 100)) ** 0.5
    assert abs(len(taken(answers[f"share {share}"])) - expected) < 5 * spread


def test_clients_of_the_candidate_stay_when_its_weight_grows(answers: dict[str, list[list[str | None]]]) -> None:
    steps = [taken(answers[f"share {share}"]) for share in SHARES]
    assert all(smaller < larger for smaller, larger in pairwise(steps))


def test_the_log_has_the_reason(answers: dict[str, list[list[str | None]]]) -> None:
    reasons = {(slot, chosen) for slot, chosen, _cookie in answers["share 25"]}
    assert reasons == {("green", "share"), ("blue", "live")}
    assert {chosen for _slot, chosen, _cookie in answers["testers"]} == {"tester"}


@pytest.mark.parametrize("share", SHARES)
def test_the_log_names_groups_of_clients_that_are_on_the_same_slot(
    share: int, answers: dict[str, list[list[str | None]]], groups: dict[str, list[str]]
) -> None:
    found = groups[f"share {share}"]
    assert all(GROUP.fullmatch(group) for group in found)
    assert 990 < len(set(found)) <= GROUPS
    assert taken(answers[f"share {share}"]) == {
        index for index, group in enumerate(found) if int(group[1:]) % 100 < share
    }


def test_the_log_names_a_client_that_keeps_its_cookie_the_same_with_and_without_a_canary(
    groups: dict[str, list[str]],
) -> None:
    assert all(group.startswith("c") for group in groups["share 5"])
    assert groups["share 5"] == groups["share 50"]
    assert groups["idle"] == [*groups["share 5"][: len(FEW)], ""]
    assert all(group.startswith("n") for group in groups["new clients"])


@pytest.mark.parametrize("name", ["idle", "no candidate", "candidate with weight 0"])
def test_without_a_weight_every_client_gets_the_live_slot(
    name: str, answers: dict[str, list[list[str | None]]]
) -> None:
    assert {slot for slot, _chosen, _cookie in answers[name]} == {"blue"}


def test_at_weight_100_every_client_gets_the_candidate(answers: dict[str, list[list[str | None]]]) -> None:
    assert {slot for slot, _chosen, _cookie in answers["all"]} == {"green"}


def test_a_new_client_gets_a_cookie_only_during_a_canary(
    answers: dict[str, list[list[str | None]]],
) -> None:
    given = [cookie or "" for _slot, _chosen, cookie in answers["new clients"]]
    assert len(set(given)) == len(given), "each client has its own cookie"
    assert all(each.startswith("greenroom_share=") for each in given)
    assert all("; Secure; HttpOnly; SameSite=Lax" in each for each in given)
    assert 150 < len(taken(answers["new clients"])) < 350
    for name in ("idle", "candidate with weight 0", "share 5", "testers"):
        assert {cookie for _slot, _chosen, cookie in answers[name]} == {None}, name


def test_only_testers_choose_their_slot(answers: dict[str, list[list[str | None]]]) -> None:
    for name in ("testers", "testers without a canary"):
        assert {slot for slot, _chosen, _cookie in answers[name]} == {"green"}
    assert taken(answers["not testers"]) == taken(answers["share 25"][: len(FEW)])
    assert {slot for slot, _chosen, _cookie in answers["testers with an invalid slot"]} == {"blue"}


def test_clients_of_a_candidate_that_is_down_get_the_live_slot(answers: dict[str, list[list[str | None]]]) -> None:
    assert {slot for slot, _chosen, _cookie in answers["candidate down"]} == {"blue"}
    instead = {index for index, answer in enumerate(answers["candidate down"]) if answer[1] == "instead"}
    assert instead == taken(answers["share 25"][: len(FEW)])
    # A tester that chooses it gets a 503 without a slot.
    assert answers["testers of a candidate that is down"] == [[None, None, None]]


def test_an_invalid_map_leads_to_no_slot(answers: dict[str, list[list[str | None]]]) -> None:
    assert answers["invalid map"] == [[None, None, None]]


def test_by_address_clients_keep_their_slot_without_a_cookie(tmp_path: Path) -> None:
    found = [answer[0] for answer in counted(tmp_path, BY_ADDRESS, edge_weight_by="source")]
    small, large = (
        taken([answer[:3] for answer in part]) for part in (found[: len(ADDRESSES)], found[len(ADDRESSES) :])
    )
    assert small < large
    assert 30 < len(small) < 120 < len(large) < 190
    assert {cookie for _slot, _chosen, cookie, _group in found} == {None}
    assert [answer[3] for answer in found[: len(ADDRESSES)]] == [answer[3] for answer in found[len(ADDRESSES) :]]
    assert all(GROUP.fullmatch(answer[3] or "") for answer in found)
