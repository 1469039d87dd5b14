# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Several edges, operators that stall, die and come back, watchdogs, hosts that go away: never two truths.

Operators follow the order of the playbooks (look at all, prepare all, note the epoch, commit all) without any lock
between them: each stands still wherever it likes, for as long as it likes, and goes on with what it knew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible.module_utils.greenroom.switch import deadline, steps, takeover
from ansible.module_utils.greenroom.switch.bluegreen import SLOTS, State, SwitchError, other
from ansible.module_utils.greenroom.switch.clock import Clock
from ansible.module_utils.greenroom.switch.steps import Wish
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

EDGES = ("edge1", "edge2")
OPERATORS = ("anna", "ben")
DEADLINE = 60
BAKE: dict[str, Any] = {"limits": {}}


@dataclass
class Plan:
    """What an operator is doing: one step, on edge after edge."""

    wish: Wish
    missing: set[str] = field(default_factory=lambda: set(EDGES))
    newest: State | None = None
    done: set[str] = field(default_factory=set)


class Environment(RuleBasedStateMachine):
    """The edges' states as on disk; `meaning` is what each epoch that was ever in force stands for.

    `lived` and `replaced` say when each slot was live last, and when a deploy replaced it, on a counter of changes.
    """

    leaves_out = False
    """Do operators go on without the edges that do not answer when they look, each without other ones?"""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0
        self.skew = dict.fromkeys(EDGES, 0)
        self.booted = dict.fromkeys(EDGES, (0, 0))
        self.lived: dict[str, int] = {}
        self.replaced: dict[str, int] = {}
        self.changes = 0
        self.edges: dict[str, State] = {}
        self.down: set[str] = set()
        self.copy = 0
        self.plans: dict[str, Plan] = {}
        self.number = 0
        self.meaning: dict[int, tuple[str, str, int]] = {}
        self.judged: dict[str, deadline.Judged] = {}

    @initialize(live=st.sampled_from(SLOTS))
    def first_install(self, live: str) -> None:
        for edge in EDGES:
            self.edges[edge] = steps.first("site", Wish(live=live, epoch=1), [], "", self.clock(edge))
        self.replaced[other(live)] = 0
        self.lived[live] = 1

    def clock(self, edge: str) -> Clock:
        """What the edge's clocks say."""
        number, since = self.booted[edge]
        return Clock(1_000_000.0 + self.seconds + self.skew[edge], self.seconds - since, f"{edge}-{number}")

    def up(self) -> list[str]:
        return [edge for edge in EDGES if edge not in self.down]

    def highest(self) -> int:
        """Return the highest epoch that somebody who looks now finds."""
        return int(max(self.copy, *(self.edges[edge].highest for edge in self.up())))

    def take(self, edge: str, state: State) -> None:
        """Put a state on an edge's disk, and look at what may not be."""
        assert state.epoch >= self.edges[edge].epoch, "an old epoch again"
        if state.position != self.edges[edge].position:
            assert state.epoch > self.edges[edge].epoch, "another position, the same epoch"
        self.edges[edge] = state
        self.changes += 1
        self.lived[state.live] = self.changes

    def ask(self, edge: str, wish: Wish, newest: State | None = None) -> bool:
        """Call the module on an edge, and once more: a repetition changes nothing. Returns whether it was refused."""
        clock = self.clock(edge)
        if newest is not None:
            self.take(edge, takeover.adopt(self.edges[edge], newest, clock))
            assert self.edges[edge].epoch >= newest.epoch
        try:
            after = steps.decide(self.edges[edge], wish, clock)
        except SwitchError:
            return False
        assert steps.decide(after, wish, clock) == after
        self.take(edge, after)
        return True

    # --- operators ---

    @precondition(lambda self: self.leaves_out or not self.down)
    @rule(operator=st.sampled_from(OPERATORS), weight=st.sampled_from([0, 5, 50]), live=st.sampled_from(SLOTS))
    def look_and_plan(self, operator: str, weight: int, live: str) -> None:
        """Look at all edges, and go on with the operation that is there or begin one."""
        states = [self.edges[edge] for edge in self.up()]
        there = next((state.operation for state in states if state.operation), None)
        self.number += 1
        wish = Wish(
            "prepared",
            live if not weight else there.live_before if there else states[0].live,
            weight,
            epoch=self.highest() + 1,
            expected_epoch=max(state.epoch for state in states),
            operation=there.id if there else f"{operator}-{self.number}",
            deadline=DEADLINE,
            bake=None if weight else BAKE,
        )
        best = max((self.edges[edge] for edge in self.up()), key=lambda state: state.epoch)
        self.plans[operator] = Plan(wish, set(self.up()), State.from_value("site", best.value))

    @precondition(lambda self: not self.down)
    @rule(operator=st.sampled_from(OPERATORS))
    def plan_to_deploy(self, operator: str) -> None:
        """Begin to replace the idle slot: first of all, there is nothing to roll back to any more."""
        best = max(self.edges.values(), key=lambda state: state.epoch)
        wish = Wish("replacing", best.live, expected_epoch=best.epoch)
        self.plans[operator] = Plan(wish, set(EDGES), State.from_value("site", best.value))

    @precondition(lambda self: any(state.operation for state in self.edges.values()))
    @rule(operator=st.sampled_from(OPERATORS))
    def begin_another(self, operator: str) -> None:
        """Begin an operation although one is there."""
        self.number += 1
        wish = Wish("prepared", "green", epoch=self.highest() + 1, operation=f"{operator}-{self.number}")
        self.plans[operator] = Plan(wish)

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """Do the step on one more edge; when it is prepared everywhere, note its epoch and begin to commit."""
        operator = data.draw(st.sampled_from(sorted(self.plans)))
        self.one_more(operator, data.draw(st.sampled_from(sorted(self.plans[operator].missing))))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def go_through(self, data: st.DataObject) -> None:
        """Do the whole step, undisturbed."""
        operator = data.draw(st.sampled_from(sorted(self.plans)))
        plan = self.plans[operator]
        for edge in sorted(plan.missing):
            if self.plans.get(operator) is plan:
                self.one_more(operator, edge)

    def one_more(self, operator: str, edge: str) -> None:
        plan = self.plans[operator]
        if edge in self.down or not self.ask(edge, plan.wish, plan.newest):
            # A playbook ends here; somebody aborts, or nobody does.
            del self.plans[operator]
            return
        plan.missing.discard(edge)
        plan.done.add(edge)
        if plan.missing:
            return
        del self.plans[operator]
        # As a deploy does before it stops anything: every edge host still says that nothing can be rolled back to.
        if plan.wish.state == "replacing" and not any(state.previous for state in self.edges.values()):
            self.changes += 1
            self.replaced[other(plan.wish.live or "")] = self.changes
        if plan.wish.state == "prepared":
            self.copy = max(self.copy, plan.wish.epoch or 0)
            commit = Wish("present", epoch=plan.wish.epoch, operation=plan.wish.operation, deadline=DEADLINE)
            self.plans[operator] = Plan(commit, plan.done)

    @rule(edge=st.sampled_from(EDGES), state=st.sampled_from(["draining", "finished", "overdue"]))
    def end(self, edge: str, state: str) -> None:
        if edge not in self.down:
            self.ask(edge, Wish(state, deadline=DEADLINE))

    @precondition(lambda self: any(self.edges[edge].operation for edge in self.up()))
    @rule(operator=st.sampled_from(OPERATORS))
    def plan_to_abort(self, operator: str) -> None:
        """Abort what is under way: without an epoch only where nothing can have been committed."""
        found = next(self.edges[edge].operation for edge in self.up() if self.edges[edge].operation)
        assert found is not None
        epochs = {state.epoch for state in self.edges.values()}
        if (
            not self.down
            and {state.phase for state in self.edges.values()} <= {"prepared", "idle"}
            and self.copy <= min(epochs)
        ):
            wish = Wish("aborted", operation=found.id)
        else:
            epoch = self.highest() + 1
            self.copy = epoch
            wish = Wish("aborted", found.live_before, epoch=epoch, operation=found.id)
        self.plans[operator] = Plan(wish, set(self.up()))

    # --- what happens by itself ---

    def found_by(self, edge: str) -> State | None:
        peers = [State.from_value("site", self.edges[peer].value) for peer in self.up() if peer != edge]
        return takeover.together(peers)

    @rule(edge=st.sampled_from(EDGES), bad=st.booleans())
    def judge(self, edge: str, bad: bool) -> None:
        """Judge a bake whose run is gone. It takes a while until the watchdog has the lock, so anything may follow."""
        if edge not in self.down and deadline.unjudged(self.edges[edge], self.clock(edge)):
            self.judged[edge] = deadline.Judged(self.edges[edge], "", edge if bad else "")

    @rule(edge=st.sampled_from(EDGES), seconds=st.sampled_from([0, 0, DEADLINE + 1]), alone=st.booleans())
    def watchdog(self, edge: str, seconds: int, alone: bool) -> None:
        """Look after one edge, some time later; `alone`: no peer answers in time."""
        self.seconds += seconds
        if edge in self.down:
            return
        before, found, clock = self.edges[edge], None if alone else self.found_by(edge), self.clock(edge)
        state = takeover.adopt(before, found, clock) if found else before
        after = deadline.expire(state, clock, self.judged.pop(edge, None))
        if after.live != before.live:
            assert (found and found.precedence > before.precedence) or before.operation, (
                "the live slot changed by itself"
            )
        assert deadline.expire(after, clock) == after
        self.take(edge, after)

    @rule(edge=st.sampled_from(EDGES), seconds=st.sampled_from([-3600, 3600]))
    def set_clock(self, edge: str, seconds: int) -> None:
        """Set an edge's wall clock."""
        self.skew[edge] += seconds

    @precondition(lambda self: len(self.down) < len(EDGES) - 1)
    @rule(edge=st.sampled_from(EDGES))
    def away(self, edge: str) -> None:
        self.down.add(edge)

    @precondition(lambda self: self.down)
    @rule(edge=st.sampled_from(EDGES), reboots=st.booleans(), silent=st.booleans())
    def back(self, edge: str, reboots: bool = True, silent: bool = False) -> None:
        """An edge returns: it catches up before it serves, unless its peers are silent."""
        if edge in self.down:
            self.down.discard(edge)
            if reboots:
                self.booted[edge] = (self.booted[edge][0] + 1, self.seconds)
            if (found := self.found_by(edge)) and not silent:
                self.take(edge, takeover.adopt(self.edges[edge], found, self.clock(edge)))

    # --- what always holds ---

    @invariant()
    def one_meaning(self) -> None:
        if self.leaves_out:
            return
        for edge, state in self.edges.items():
            assert self.meaning.setdefault(state.epoch, state.position) == state.position, f"{edge}: two truths"

    @invariant()
    def the_previous_slot_is_as_it_was(self) -> None:
        """No edge names a slot to go back to that a deploy has replaced since it was live."""
        for edge in self.up():
            slot = self.edges[edge].previous
            if slot:
                assert self.lived.get(slot, 0) > self.replaced.get(slot, 0), f"{edge}: {slot} was replaced"

    def teardown(self) -> None:
        """Left alone with everything up, the edges come to one position, and nothing is under way."""
        if not self.edges:
            return
        for edge in list(self.down):
            self.back(edge)
        for _ in range(4):
            self.seconds += takeover.ADOPTED_SECONDS + 1
            for edge in EDGES:
                self.judge(edge, bad=False)
                self.watchdog(edge, 0, alone=False)
            self.one_meaning()
        assert len({state.value for state in self.edges.values()}) == 1
        assert {state.phase for state in self.edges.values()} == {"idle"}
        assert {state.weight for state in self.edges.values()} == {0}


TestEnvironment = Environment.TestCase
TestEnvironment.settings = settings(max_examples=150, stateful_step_count=50, deadline=None, print_blob=True)


class LeavesOut(Environment):
    """Two operators who go on without different edges may give one number two meanings; it does not last."""

    leaves_out = True

    @rule(edge=st.sampled_from(EDGES), alone=st.booleans())
    def go_back(self, edge: str, alone: bool) -> None:
        """An operator without a controller, on an edge host that may not reach the others."""
        if edge in self.down:
            return
        clock, found = self.clock(edge), None if alone else self.found_by(edge)
        now = takeover.adopt(self.edges[edge], found, clock) if found else self.edges[edge]
        try:
            after = steps.go_back(now, edge, clock)
        except SwitchError:
            return
        assert after.epoch > max(now.highest, found.epoch if found else 0)
        self.take(edge, after)


TestLeavesOut = LeavesOut.TestCase
TestLeavesOut.settings = TestEnvironment.settings


def test_an_epoch_with_two_meanings_is_replaced_by_a_new_one() -> None:
    """An abort takes no lock. One that looked before the run's next step, at an edge that the run leaves out, too."""
    machine = LeavesOut()
    machine.first_install("blue")
    machine.away("edge2")
    machine.look_and_plan("anna", 5, "blue")
    machine.one_more("anna", "edge1")
    machine.one_more("anna", "edge1")
    machine.look_and_plan("anna", 0, "green")
    # The other edge comes back, and with it somebody who looks at both, and stands still.
    machine.back("edge2")
    machine.plan_to_abort("ben")
    machine.one_more("anna", "edge1")
    machine.one_more("anna", "edge1")
    machine.end("edge1", "finished")
    machine.one_more("ben", "edge2")
    assert [state.value for state in machine.edges.values()] == ["3:green:-:0:blue", "3:blue:-:0:-"]
    for edge in EDGES[::-1] * 2:
        machine.watchdog(edge, 0, alone=False)
    assert [state.value for state in machine.edges.values()] == ["4:green:-:0:blue"] * 2


def begun(machine: Environment, *steps_done: str) -> None:
    """Begin a cutover to green: prepared on both edges, and committed on those that are named."""
    machine.first_install("blue")
    machine.look_and_plan("anna", 0, "green")
    for edge in EDGES:
        machine.one_more("anna", edge)
    for edge in steps_done:
        machine.one_more("anna", edge)


def values(machine: Environment) -> list[str]:
    return [machine.edges[edge].value for edge in EDGES]


def watched(machine: Environment, alone: bool = False, seconds: int = 0) -> None:
    """Run the watchdog of each edge that is up, some time later."""
    machine.seconds += seconds
    for edge in EDGES:
        machine.watchdog(edge, 0, alone=alone)
        machine.one_meaning()


def test_an_edge_that_dies_in_its_commit_makes_it_when_it_is_back() -> None:
    """It has the step on its disk, and sees that the other one has made it."""
    machine = Environment()
    begun(machine, "edge1")
    machine.away("edge2")
    machine.back("edge2")
    assert values(machine) == ["2:green:-:0:blue"] * 2
    assert {state.phase for state in machine.edges.values()} == {"live"}


def test_an_edge_that_dies_in_its_commit_and_is_back_alone_drops_the_step_and_follows_later() -> None:
    machine = Environment()
    begun(machine, "edge1")
    machine.away("edge2")
    machine.back("edge2", silent=True)
    watched(machine, alone=True)
    assert values(machine) == ["2:green:-:0:blue", "1:blue:-:0:-"]
    watched(machine, alone=True, seconds=DEADLINE + 1)
    assert values(machine) == ["2:green:-:0:blue", "1:blue:-:0:-"]
    assert machine.edges["edge2"].phase == "idle"
    watched(machine)
    assert values(machine) == ["2:green:-:0:blue"] * 2


def test_if_the_edge_that_has_committed_dies_the_others_drop_the_step_until_it_is_back() -> None:
    machine = Environment()
    begun(machine, "edge1")
    machine.away("edge1")
    watched(machine, seconds=DEADLINE + 1)
    assert values(machine)[1] == "1:blue:-:0:-"
    # The higher epoch is current.
    machine.back("edge1")
    watched(machine)
    assert values(machine) == ["2:green:-:0:blue"] * 2


def test_a_new_epoch_on_the_edges_that_are_left_decides_for_the_dead_one() -> None:
    """The run, or the next one, aborts on those that answer; so the dead one follows, whatever it had committed."""
    machine = Environment()
    begun(machine, "edge1")
    machine.away("edge1")
    machine.plan_to_abort("ben")
    machine.one_more("ben", "edge2")
    assert values(machine)[1] == "3:blue:-:0:-"
    machine.back("edge1")
    watched(machine)
    assert values(machine) == ["3:blue:-:0:-"] * 2


@pytest.mark.parametrize("verdicts", [(True, True), (True, False), (False, True)])
def test_one_edge_that_judges_a_bake_bad_moves_all(verdicts: tuple[bool, bool]) -> None:
    machine = Environment()
    begun(machine, *EDGES)
    machine.seconds += DEADLINE + 1
    for edge, bad in zip(EDGES, verdicts, strict=True):
        machine.judge(edge, bad)
    watched(machine, alone=True)
    assert {state.phase for state in machine.edges.values()} == {"idle"}
    watched(machine)
    assert values(machine) == ["12:blue:-:0:-"] * 2


def test_a_bake_that_all_edges_judge_good_stays_and_a_run_that_returns_ends_it() -> None:
    machine = Environment()
    begun(machine, *EDGES)
    machine.seconds += DEADLINE + 1
    machine.judge("edge1", bad=False)
    watched(machine)
    assert [state.phase for state in machine.edges.values()] == ["idle", "live"]
    machine.end("edge2", "finished")
    watched(machine)
    assert values(machine) == ["2:green:-:0:blue"] * 2


def test_an_edge_that_lags_behind_silent_peers_takes_part_in_the_next_switch() -> None:
    """It is back with its old state, reaches no peer, and the run tells it what the others have in effect."""
    machine = LeavesOut()
    machine.first_install("blue")
    machine.away("edge2")
    for live in ("green", "blue"):
        machine.look_and_plan("anna", 0, live)
        machine.one_more("anna", "edge1")
        machine.one_more("anna", "edge1")
        machine.end("edge1", "finished")
    machine.back("edge2", silent=True)
    assert values(machine) == ["3:blue:-:0:green", "1:blue:-:0:-"]
    machine.look_and_plan("anna", 0, "green")
    machine.one_more("anna", "edge2")
    assert values(machine) == ["3:blue:-:0:green"] * 2
    for edge in ("edge1", *EDGES):
        machine.one_more("anna", edge)
    assert values(machine) == ["4:green:-:0:blue"] * 2


def test_a_deploy_that_dies_on_its_way_leaves_no_slot_to_go_back_to() -> None:
    machine = Environment()
    begun(machine, *EDGES)
    for edge in EDGES:
        machine.end(edge, "finished")
    machine.plan_to_deploy("anna")
    machine.one_more("anna", "edge2")
    assert values(machine) == ["2:green:-:0:blue", "2:green:-:0:-"]
    watched(machine)
    assert values(machine) == ["2:green:-:0:-"] * 2
