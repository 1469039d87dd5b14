# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What may follow what, case by case."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.greenroom.switch import steps
from ansible.module_utils.greenroom.switch.bluegreen import (
    ADOPTED,
    DEADLINE_LONGEST,
    Operation,
    State,
    SwitchError,
)
from ansible.module_utils.greenroom.switch.clock import Clock
from ansible.module_utils.greenroom.switch.deadline import VERDICT_SECONDS, Judged, expire, unjudged
from ansible.module_utils.greenroom.switch.steps import Wish, decide
from ansible.module_utils.greenroom.switch.takeover import ADOPTED_SECONDS, adopt, together

NOW = Clock(1_800_000_000, 5000, "boot")
IDLE = State("staging", 5, "blue", changed_at="2026")
PREPARE = Wish("prepared", "blue", 5, operation="x", deadline=60)
COMMIT = Wish("present", operation="x", deadline=300)
GREEN = Wish("present", "green", operation="x", deadline=300)
DRAIN, FINISH, ABORT = Wish("draining"), Wish("finished"), Wish("aborted")


def after(*wishes: Wish, state: State = IDLE) -> State:
    for wish in wishes:
        state = decide(state, wish, NOW)
    return state


PREPARED = after(PREPARE)
CANARY = after(PREPARE, COMMIT)
LIVE = after(PREPARE, COMMIT, GREEN)
DRAINING = after(PREPARE, COMMIT, GREEN, DRAIN)


def summary(state: State) -> tuple[str, str, str]:
    return state.value, state.phase, state.operation.next if state.operation else ""


def test_a_cutover_from_beginning_to_end() -> None:
    assert summary(PREPARED) == ("5:blue:-:0", "prepared", "6:blue:green:5")
    times = {"seconds": 60, "ends": 5060, "boot": "boot"}
    own = Operation("x", "prepared", "5:blue:-:0", "6:blue:green:5", int(NOW.wall) + 60, **times)
    assert PREPARED.operation == own
    assert summary(CANARY) == ("6:blue:green:5", "canary", "")
    assert CANARY.operation == Operation("x", "canary", "5:blue:-:0", "", int(NOW.wall) + 300, 300, 5300, "boot")
    more = after(replace(PREPARE, weight=50), state=CANARY)
    assert summary(more) == ("6:blue:green:5", "canary", "7:blue:green:50")
    assert summary(after(COMMIT, state=more)) == ("7:blue:green:50", "canary", "")
    assert summary(LIVE) == ("7:green:-:0:blue", "live", "")
    assert summary(DRAINING) == ("7:green:-:0:blue", "draining", "")
    assert after(FINISH, state=DRAINING) == replace(DRAINING, operation=None)
    assert after(FINISH, state=LIVE) == replace(LIVE, operation=None)


@pytest.mark.parametrize(
    ("state", "wish"),
    [
        (PREPARED, PREPARE),
        (CANARY, COMMIT),
        (CANARY, PREPARE),
        (CANARY, replace(COMMIT, epoch=6)),
        (LIVE, GREEN),
        (LIVE, replace(GREEN, expected_epoch=6)),
        (DRAINING, DRAIN),
        (IDLE, DRAIN),
        (IDLE, FINISH),
        (IDLE, ABORT),
        (IDLE, Wish()),
        (IDLE, Wish(live="blue")),
        (IDLE, Wish(live="blue", expected_epoch=4)),
        (IDLE, Wish(live="blue", epoch=5, expected_epoch=2)),
        (IDLE, replace(COMMIT, epoch=5)),
    ],
)
def test_a_repeated_call_only_changes_the_deadline(state: State, wish: Wish) -> None:
    again = decide(state, wish, NOW + 10)
    assert again == state or again.only_wound_since(state)


@pytest.mark.parametrize(
    ("state", "value", "phase"),
    [
        (PREPARED, "5:blue:-:0", "idle"),
        (CANARY, "7:blue:-:0", "idle"),
        (after(replace(PREPARE, weight=50), state=CANARY), "8:blue:-:0", "idle"),
        (LIVE, "8:blue:-:0", "idle"),
        (DRAINING, "8:blue:-:0", "idle"),
    ],
)
def test_an_abort_returns_to_the_slot_that_was_live(state: State, value: str, phase: str) -> None:
    assert summary(after(ABORT, state=state)) == (value, phase, "")
    assert summary(after(replace(ABORT, epoch=20, live="blue", operation="x"), state=state))[0] == "20:blue:-:0"
    with pytest.raises(SwitchError, match="blue was live before operation x, not green"):
        decide(state, replace(ABORT, live="green"), NOW)


def test_an_abort_moves_an_edge_host_whose_operation_is_over() -> None:
    assert after(Wish("aborted", "green", epoch=9), state=IDLE).value == "9:green:-:0:blue"
    assert after(Wish("aborted", "blue", epoch=5), state=IDLE) == IDLE
    with pytest.raises(SwitchError, match="no operation is in progress, and blue is live"):
        decide(IDLE, Wish("aborted", "green"), NOW)


@pytest.mark.parametrize(
    ("state", "wish", "message"),
    [
        (PREPARED, Wish(live="green"), r"operation x is in progress \(prepared, until 2027-.*Z\).*playbooks/abort.yml"),
        (CANARY, replace(PREPARE, operation="y"), "operation x is in progress"),
        (CANARY, replace(GREEN, operation="y"), "operation x is in progress"),
        (LIVE, replace(DRAIN, operation="y"), "operation x is in progress"),
        (LIVE, replace(ABORT, operation="y"), "operation x is in progress"),
        (IDLE, COMMIT, "operation x has no prepared step here"),
        (PREPARED, replace(COMMIT, epoch=7), "has no prepared step here, or one with another epoch"),
        (IDLE, replace(PREPARE, expected_epoch=4), "expected epoch 4, but it is 5: blue is live since 2026"),
        (CANARY, replace(GREEN, expected_epoch=5), "expected epoch 5, but it is 6"),
        (IDLE, replace(PREPARE, epoch=5), "epoch 5 is not above 5"),
        (PREPARED, replace(PREPARE, weight=50, epoch=6), "epoch 6 is not above 6"),
        (IDLE, Wish(live="green", epoch=4), "epoch 4 is not above 5"),
        (CANARY, DRAIN, "operation x is still a canary: commit its next step, or abort it"),
        (PREPARED, FINISH, "operation x is still a preparation: commit"),
        (LIVE, replace(FINISH, live="blue"), "green is live since .*, not blue: the operation is over"),
        (IDLE, replace(DRAIN, live="green"), "blue is live since .*, not green: the operation is over"),
        (
            IDLE,
            replace(PREPARE, live="green"),
            r"during a canary, the slot that was live before \(blue\) stays live, not green",
        ),
    ],
)
def test_a_request_that_does_not_fit_the_state_is_refused(state: State, wish: Wish, message: str) -> None:
    with pytest.raises(SwitchError, match=f"refused: .*{message}"):
        decide(state, wish, NOW)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"state": "prepared", "live": "blue"}, "state prepared needs `operation`"),
        ({"state": "prepared", "operation": "x"}, "state prepared needs `live`"),
        ({"live": "blue", "weight": 5}, "weight needs `operation`"),
        ({"weight": 5, "operation": "x"}, "weight needs `live`"),
        ({"live": "blue", "weight": 101, "operation": "x"}, "not a number from 0 to 100"),
        ({"live": "blue", "operation": "a b"}, "not a valid operation name"),
        ({"live": "red"}, "not a slot"),
        ({"live": "blue", "operation": "x", "deadline": 0}, "not a number of seconds"),
    ],
)
def test_an_invalid_request_is_refused_in_any_state(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SwitchError, match=message):
        Wish(**given)


def test_an_operation_can_be_prepared_again() -> None:
    again = after(replace(PREPARE, weight=50), state=PREPARED)
    assert summary(again) == ("5:blue:-:0", "prepared", "7:blue:green:50")
    assert summary(after(replace(COMMIT, live="blue", weight=50), state=again))[0] == "7:blue:green:50"


def test_edge_hosts_with_different_epochs_converge() -> None:
    assert after(Wish(live="blue", epoch=9), state=IDLE).value == "9:blue:-:0"
    assert summary(after(replace(PREPARE, epoch=9), COMMIT))[0] == "9:blue:green:5"


def test_without_a_state_only_a_first_switch_is_possible() -> None:
    assert steps.first("staging", Wish(live="blue", epoch=3), [], "", NOW).value == "3:blue:-:0:-"
    for wish in (Wish(), PREPARE, GREEN, DRAIN, FINISH, ABORT):
        message = "this edge host has no state yet: set `live` to the live slot, without an operation"
        with pytest.raises(SwitchError, match=message):
            steps.first("staging", wish, [], "", NOW)


# --- the watchdog ---


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        (PREPARED, 61, ("5:blue:-:0", "idle", "")),
        (CANARY, 301, ("7:blue:-:0", "idle", "")),
        (after(replace(PREPARE, weight=50, deadline=300), state=CANARY), 301, ("8:blue:-:0", "idle", "")),
        (LIVE, 301, ("7:green:-:0:blue", "idle", "")),
        (DRAINING, 301, ("7:green:-:0:blue", "idle", "")),
    ],
)
def test_an_operation_past_its_deadline_is_ended(state: State, seconds: int, expected: tuple[str, str, str]) -> None:
    assert expire(state, NOW + 1) == state
    assert summary(expire(state, NOW + seconds)) == expected
    assert expire(IDLE, NOW + seconds) == IDLE


BAKE = {"limits": {}, "seconds": 600.0}
BAKED = after(replace(PREPARE, live="green", weight=0, bake=BAKE), COMMIT)
OVERDUE = NOW + 301


def test_a_bake_past_its_deadline_waits_for_its_verdict_and_ends_with_it() -> None:
    assert BAKED.operation is not None
    assert (BAKED.phase, BAKED.operation.bake) == ("live", BAKE)
    assert [unjudged(BAKED, NOW + seconds) for seconds in (300, 301)] == [False, True]
    assert expire(BAKED, OVERDUE) == BAKED
    assert expire(BAKED, OVERDUE, Judged(BAKED, "pass")) == replace(BAKED, operation=None)
    back = expire(BAKED, OVERDUE, Judged(BAKED, "fail", "the watchdog"))
    assert (back.value, back.phase, back.changed_by) == ("16:blue:-:0:-", "idle", "the watchdog")
    # Both edge hosts come to the same, and one that has kept the slot follows.
    assert adopt(replace(BAKED, operation=None), peer(back.value), OVERDUE).value == back.value


def test_the_next_run_ends_the_time_of_a_dead_one() -> None:
    ended = decide(BAKED, Wish("overdue"), NOW)
    assert (ended.value, unjudged(BAKED, NOW), unjudged(ended, NOW)) == (BAKED.value, False, True)
    canary = replace(CANARY, operation=replace(BAKED.operation, phase="canary"))
    assert expire(decide(canary, Wish("overdue"), NOW), NOW).weight == 0
    assert decide(IDLE, Wish("overdue"), NOW) == IDLE


def test_a_verdict_counts_for_the_step_that_was_judged_and_before_the_deadline_for_none() -> None:
    bad = Judged(BAKED, "fail", "the watchdog")
    assert expire(BAKED, NOW + 299, bad) == BAKED
    returned = after(replace(COMMIT, epoch=6, deadline=400), state=BAKED)
    assert expire(returned, NOW + 401, bad) == returned
    # A deploy has taken the previous slot.
    taken = replace(BAKED, previous="")
    assert expire(taken, OVERDUE, bad) == replace(taken, operation=None)


def test_a_bake_that_gets_no_verdict_ends_all_the_same() -> None:
    assert expire(BAKED, OVERDUE + VERDICT_SECONDS) == replace(BAKED, operation=None)


def test_a_run_that_returns_to_abort_leaves_what_the_watchdog_decided() -> None:
    abort = Wish("aborted", "blue", operation="x", epoch=7)
    back = expire(BAKED, OVERDUE, Judged(BAKED, "fail", "the watchdog"))
    assert decide(back, abort, OVERDUE) == back
    # If the edge hosts kept the slot, the run's own verdict counts.
    assert decide(replace(BAKED, operation=None), abort, OVERDUE).value == "7:blue:-:0:green"
    with pytest.raises(
        SwitchError, match=r"blue is live since .* \(by the watchdog\), not green: the operation is over"
    ):
        decide(back, replace(DRAIN, live="green", operation="x"), OVERDUE)


def test_only_a_bake_is_judged() -> None:
    draining = after(DRAIN, state=BAKED)
    assert draining.operation is not None
    assert draining.operation.bake is None
    assert not unjudged(draining, OVERDUE)
    assert not unjudged(LIVE, OVERDUE)
    assert not unjudged(after(replace(PREPARE, bake=BAKE), COMMIT), OVERDUE)
    assert not unjudged(None, OVERDUE)


def test_a_bake_survives_in_the_state_file_and_a_repeated_call_keeps_it() -> None:
    assert State.from_json(BAKED.as_json()) == BAKED
    again = after(replace(COMMIT, epoch=6), state=BAKED)
    assert again == BAKED
    # An edge host that makes the step because a peer has made it has the bake, too.
    prepared = after(replace(PREPARE, live="green", weight=0, bake=BAKE))
    assert adopt(prepared, peer("6:green:-:0:blue"), NOW).operation == replace(
        BAKED.operation, deadline=int(NOW.wall) + 60, seconds=60, ends=5060
    )


def test_a_state_file_of_the_last_version_has_no_bake_and_one_that_is_damaged_is_refused() -> None:
    written = json.loads(BAKED.as_json())
    del written["operation"]["bake"]
    old = State.from_json(json.dumps(written))
    assert expire(old, OVERDUE) == replace(BAKED, operation=None)
    written["operation"]["bake"] = "soon"
    with pytest.raises(ValueError, match="bake 'soon' is not a JSON object"):
        State.from_json(json.dumps(written))


def peer(value: str) -> State:
    return State.from_value("staging", value)


def test_a_peers_higher_epoch_is_adopted() -> None:
    assert summary(adopt(IDLE, peer("9:green:-:0"), NOW)) == ("9:green:-:0", "idle", "")
    assert summary(adopt(None, peer("9:green:-:0"), NOW)) == ("9:green:-:0", "idle", "")
    for value in ("5:blue:-:0", "4:green:-:0"):
        assert adopt(IDLE, peer(value), NOW) == IDLE


def test_a_prepared_step_that_a_peer_has_in_effect_is_committed() -> None:
    state = adopt(PREPARED, peer("6:blue:green:5"), NOW)
    assert PREPARED.operation is not None
    assert state.operation == replace(PREPARED.operation, phase="canary", next="")
    assert state.value == "6:blue:green:5"
    assert adopt(PREPARED, peer("7:green:-:0"), NOW).operation is None


def test_an_adopted_canary_ends_at_its_deadline_or_is_continued() -> None:
    state = adopt(IDLE, peer("9:blue:green:5"), NOW)
    assert state.operation is not None
    assert (state.operation.id, state.phase) == (ADOPTED, "canary")
    assert expire(state, NOW + 60) == state
    assert expire(state, NOW + ADOPTED_SECONDS + 2).value == "10:blue:-:0"
    live = after(GREEN, state=state)
    assert live.operation is not None
    assert (live.value, live.operation.id) == ("10:green:-:0:blue", "x")
    taken = decide(state, replace(COMMIT, epoch=9), NOW)
    assert taken.operation is not None
    assert (state.value, taken.value, taken.operation.id) == ("9:blue:green:5::adopted", "9:blue:green:5", "x")


def test_an_adopted_canary_stays_for_as_long_as_a_peer_knows_its_operation() -> None:
    said = peer("9:blue:green:5")
    state, clock = adopt(IDLE, said, NOW), NOW
    written = 0
    for _ in range(1000):
        clock += 5
        after_tick = expire(adopt(state, said, clock), clock)
        written += after_tick != state
        state = after_tick
    # A share of more than an hour, and one write a minute.
    assert (state.value, written) == ("9:blue:green:5::adopted", 1000 * 5 // (ADOPTED_SECONDS // 2))
    # A peer that says something older is none that has it, and one that adopted it doesn't know when it ends.
    for value in ("8:blue:-:0", "9:blue:green:5::adopted", "9:blue:green:5:-:adopted"):
        alone = adopt(state, peer(value), clock + (ADOPTED_SECONDS - 1))
        assert expire(alone, clock + (ADOPTED_SECONDS + 1)).epoch == 10


def test_two_edge_hosts_keep_a_canary_that_both_adopted_for_minutes_only() -> None:
    """The edge host that knows its operation dies. The two others have it from there, or from each other."""
    clock = NOW
    one = adopt(IDLE, peer("9:blue:green:5"), clock)
    two = adopt(IDLE, peer(one.value), clock)
    for _ in range(ADOPTED_SECONDS // 5 + 1):
        assert (one.weight, two.weight) == (5, 5)
        clock += 5
        one, two = (
            expire(adopt(one, peer(two.value), clock), clock),
            expire(adopt(two, peer(one.value), clock), clock),
        )
    assert {one.value, two.value} == {"10:blue:-:0"}


def test_a_canary_with_an_operator_keeps_its_own_deadline() -> None:
    assert adopt(CANARY, peer(CANARY.value), NOW + 250) == CANARY


@pytest.mark.parametrize(
    ("own", "found", "end"),
    [
        # Less for a candidate wins, and who has it leaves it to the other.
        ("9:blue:green:5", "9:blue:-:0", "10:blue:-:0"),
        ("9:blue:green:50", "9:blue:green:5", "10:blue:green:5::adopted"),
        ("9:blue:-:0", "9:blue:green:5", "9:blue:-:0"),
        # Else the name decides.
        ("9:blue:-:0", "9:green:-:0", "10:green:-:0"),
        ("9:green:-:0", "9:blue:-:0", "9:green:-:0"),
    ],
)
def test_an_epoch_with_two_meanings_ends_with_a_new_epoch(own: str, found: str, end: str) -> None:
    state = adopt(peer(own), peer(found), NOW)
    assert state.value == end
    assert adopt(state, peer(found), NOW) == state


def test_the_new_epoch_is_above_the_prepared_one() -> None:
    prepared = decide(replace(IDLE, epoch=9), replace(PREPARE, epoch=12), NOW)
    assert adopt(prepared, peer("9:green:-:0"), NOW).value == "13:green:-:0"


def test_a_contradictory_state_is_refused() -> None:
    operation = Operation("x", "canary", "5:blue:-:0")
    with pytest.raises(ValueError, match="phase canary can't have weight 0"):
        State("staging", 6, "blue", operation=operation)
    with pytest.raises(ValueError, match="phase live can't have weight 5"):
        State("staging", 6, "blue", "green", 5, operation=replace(operation, phase="live"))
    for changes in ({"phase": "over"}, {"phase": "prepared"}, {"id": "a b"}, {"before": "x"}, {"deadline": 1.5}):
        with pytest.raises(ValueError, match=r"."):
            replace(operation, **changes)


# --- the previous slot ---

FIRST = replace(IDLE, previous="")
"""After the first deploy: nothing was live before blue."""


def test_a_switch_makes_the_slot_that_was_live_the_previous_one() -> None:
    wishes = (PREPARE, COMMIT, GREEN, DRAIN, FINISH)
    seen = [after(*wishes[:count], state=FIRST).previous for count in range(len(wishes) + 1)]
    assert seen == ["", "", "", "blue", "blue", "blue"]
    again = after(Wish(live="blue"), state=after(*wishes, state=FIRST))
    assert again.value == "8:blue:-:0:green"
    # A canary towards the previous slot.
    assert after(PREPARE, COMMIT, state=again).value == "9:blue:green:5:green"


@pytest.mark.parametrize("before", [None, "", "green"])
@pytest.mark.parametrize("wishes", [(PREPARE, COMMIT), (PREPARE, COMMIT, GREEN), (GREEN, DRAIN)])
def test_an_abort_restores_the_previous_slot(before: str | None, wishes: tuple[Wish, ...]) -> None:
    begun = after(*wishes, state=replace(IDLE, previous=before))
    ended = after(ABORT, state=begun)
    assert (ended.live, ended.previous) == ("blue", before)
    assert expire(after(PREPARE, COMMIT, state=replace(IDLE, previous=before)), NOW + 301).previous == before


def test_a_deploy_leaves_nothing_to_roll_back_to() -> None:
    live = after(PREPARE, COMMIT, GREEN, FINISH)
    assert live.previous == "blue"
    wish = Wish("replacing", "green", expected_epoch=7)
    for _ in range(2):
        live = after(wish, state=live)
        assert (live.value, live.phase) == ("7:green:-:0:-", "idle")


@pytest.mark.parametrize(
    ("state", "wish", "message"),
    [
        (CANARY, Wish("replacing"), "operation x is in progress"),
        (CANARY, Wish("replacing", operation="y"), "operation x is in progress"),
        (IDLE, Wish("replacing", "green"), "blue is live, not green"),
        (IDLE, Wish("replacing", expected_epoch=4), "expected epoch 4, but it is 5"),
    ],
)
def test_an_idle_slot_is_not_given_up_during_an_operation_or_unawares(state: State, wish: Wish, message: str) -> None:
    with pytest.raises(SwitchError, match=f"refused: {message}"):
        decide(state, wish, NOW)


@pytest.mark.parametrize(
    ("own", "said", "end"),
    [
        # Known is better than not known, and gone for one is gone for all.
        ("7:blue:-:0", "7:blue:-:0:green", "7:blue:-:0:green"),
        ("7:blue:-:0:green", "7:blue:-:0", "7:blue:-:0:green"),
        ("7:blue:-:0:green", "7:blue:-:0:-", "7:blue:-:0:-"),
        ("7:blue:-:0:-", "7:blue:-:0:green", "7:blue:-:0:-"),
        # Another epoch says nothing about this one.
        ("7:blue:-:0:green", "6:blue:-:0:-", "7:blue:-:0:green"),
        ("6:blue:-:0:-", "7:blue:-:0:green", "7:blue:-:0:green"),
    ],
)
def test_edge_hosts_agree_on_the_previous_slot(own: str, said: str, end: str) -> None:
    assert adopt(peer(own), peer(said), NOW).value == end


def test_peers_together_say_what_all_of_them_know() -> None:
    assert together([]) is None
    said = [peer(value) for value in ("6:green:-:0:blue", "7:blue:-:0", "7:blue:-:0:-", "7:blue:-:0:green")]
    for order in (said, said[::-1]):
        found = together(order)
        assert found is not None
        assert found.value == "7:blue:-:0:-"
    known = together([peer("9:blue:green:5:-:adopted"), peer("9:blue:green:5:-")])
    assert known is not None
    assert known.operation is None


def test_a_prepared_step_is_committed_though_the_peer_knows_another_previous_slot() -> None:
    canary = after(PREPARE, state=replace(IDLE, previous="green"))
    state = adopt(canary, peer("6:blue:green:5:-"), NOW)
    assert (state.phase, state.value) == ("canary", "6:blue:green:5:-")


# --- greenroom-edge back ---


@pytest.mark.parametrize(
    ("state", "value"),
    [
        (after(GREEN, FINISH), "16:blue:-:0:-"),
        (LIVE, "17:blue:-:0:-"),
        (DRAINING, "17:blue:-:0:-"),
        (CANARY, "16:blue:-:0:-"),
        (replace(CANARY, previous="green"), "16:blue:-:0:-"),
        # Above what is prepared, here or on a host that this one doesn't see.
        (after(replace(PREPARE, weight=50, epoch=20), state=CANARY), "30:blue:-:0:-"),
        (after(replace(PREPARE, weight=0), state=after(GREEN, FINISH)), "17:blue:-:0:-"),
        # The operation of an earlier version.
        (replace(LIVE, previous=None), "17:blue:-:0:-"),
    ],
)
def test_back_returns_to_the_previous_slot_or_ends_the_canary(state: State, value: str) -> None:
    back = steps.go_back(state, "ada", NOW)
    assert (back.value, back.phase, back.changed_by) == (value, "idle", "ada")
    assert back.changed_at == NOW.text
    # Called again, here or elsewhere, it doesn't return to the slot that was left.
    for there in (back, adopt(state, peer(back.value), NOW), adopt(None, peer(back.value), NOW)):
        with pytest.raises(SwitchError, match="there is nothing to go back to"):
            steps.go_back(there, "ada", NOW)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (FIRST, r"blue is live since 2026, and .*: a deploy has replaced the other slot.*/cutover.yml -e to=green"),
        (replace(FIRST, changed_by="ada"), r"blue is live since 2026 \(by ada\), and"),
        (IDLE, "from an earlier version"),
        (after(PREPARE, state=FIRST), "a deploy has replaced the other slot"),
    ],
)
def test_back_is_refused_without_a_previous_slot(state: State, message: str) -> None:
    with pytest.raises(SwitchError, match=f"refused: there is nothing to go back to.*{message}"):
        steps.go_back(state, "ada", NOW)


def test_a_run_that_goes_on_after_back_is_refused_and_learns_who_moved_traffic() -> None:
    back = steps.go_back(CANARY, "greenroom-edge back on edge1", NOW)
    with pytest.raises(SwitchError, match=r"expected epoch 6, but it is 16: blue is live since .* \(by greenroom-edge"):
        decide(back, replace(PREPARE, weight=50, expected_epoch=6), NOW)
    with pytest.raises(SwitchError, match=r"blue is live since .* \(by ada\), not green: the operation is over"):
        decide(steps.go_back(LIVE, "ada", NOW), replace(DRAIN, live="green", operation="x"), NOW)
    assert after(Wish(live="green"), state=back).changed_by == ""


# --- the clock ---


@pytest.mark.parametrize("hours", [-1, 1, -100_000])
def test_a_wall_clock_that_is_set_moves_no_deadline(hours: int) -> None:
    set_clock = replace(NOW, wall=NOW.wall + hours * 3600)
    assert expire(CANARY, set_clock + 299) == CANARY
    assert expire(CANARY, set_clock + 301).value == "7:blue:-:0"


@pytest.mark.parametrize(("hours", "seconds"), [(0, 300), (-1, 300), (-100_000, 300), (1, 0)])
def test_after_a_reboot_an_operation_gets_its_full_time_at_most(hours: int, seconds: int) -> None:
    booted = Clock(NOW.wall + hours * 3600, 10, "another boot")
    seen = expire(CANARY, booted)
    if seconds:
        assert (seen.value, seen.operation and seen.operation.boot) == (CANARY.value, "another boot")
        assert expire(seen, booted + seconds) == seen
    assert expire(seen, booted + seconds + 1).value == "7:blue:-:0"
    # Setting the clock later moves nothing any more.
    assert expire(seen, replace(booted, wall=0.0) + seconds + 1).value == "7:blue:-:0"


def test_an_operation_of_an_earlier_version_ends_within_a_day() -> None:
    old = CANARY.with_operation(seconds=0, ends=0, boot="")
    assert expire(old, NOW + 299).weight == 5
    assert expire(old, NOW + 301).weight == 0
    back = replace(NOW, wall=0.0)
    seen = expire(old, back)
    assert expire(seen, back + DEADLINE_LONGEST + 1).weight == 0


def test_without_a_boot_id_the_wall_clock_counts() -> None:
    plain = Clock(NOW.wall)
    canary = decide(decide(IDLE, PREPARE, plain), COMMIT, plain)
    assert expire(canary, plain + 299) == canary
    assert expire(canary, plain + 301).weight == 0


def test_the_clock_reads_this_boot() -> None:
    one, two = Clock.now(), Clock.now()
    assert one.boot == two.boot != ""
    assert 0 < one.uptime <= two.uptime
    assert one.text.startswith("20")


@pytest.mark.parametrize("state", [IDLE, PREPARED, CANARY, LIVE, DRAINING])
def test_a_state_with_its_operation_survives_the_file(state: State) -> None:
    assert State.from_json(state.as_json()) == state
