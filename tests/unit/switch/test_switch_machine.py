# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Several edges, operators that stall, die and come back, watchdogs, hosts that go away: never two truths.

Operators follow the order of the playbooks (look at all, prepare all, note the epoch, commit all) without any lock
between them: each stands still wherever it likes, for as long as it likes, and goes on with what it knew.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible.module_utils.greenroom.switch import steps
from ansible.module_utils.greenroom.switch.bluegreen import SLOTS, State, SwitchError
from ansible.module_utils.greenroom.switch.steps import Wish
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

EDGES = ("edge1", "edge2")
OPERATORS = ("anna", "ben")
DEADLINE = 60


@dataclass
class Plan:
    """What an operator is doing: one step, on edge after edge."""

    wish: Wish
    missing: set[str] = field(default_factory=lambda: set(EDGES))
    done: set[str] = field(default_factory=set)


class Environment(RuleBasedStateMachine):
    """The edges' states as on disk; `meaning` is what each epoch that was ever in force stands for."""

    leaves_out = False
    """Do operators go on without the edges that do not answer when they look, each without other ones?"""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 1_000_000.0
        self.edges: dict[str, State] = {}
        self.down: set[str] = set()
        self.copy = 0
        self.plans: dict[str, Plan] = {}
        self.number = 0
        self.meaning: dict[int, tuple[str, str, int]] = {}

    @initialize(live=st.sampled_from(SLOTS))
    def first_install(self, live: str) -> None:
        for edge in EDGES:
            self.edges[edge] = steps.first("site", Wish(live=live, epoch=1), [], "", self.clock)

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

    def ask(self, edge: str, wish: Wish) -> bool:
        """Call the module on an edge, and once more: a repetition changes nothing. Returns whether it was refused."""
        try:
            after = steps.decide(self.edges[edge], wish, self.clock)
        except SwitchError:
            return False
        assert steps.decide(after, wish, self.clock) == after
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
        )
        self.plans[operator] = Plan(wish, set(self.up()))

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
        if edge in self.down or not self.ask(edge, plan.wish):
            # A playbook ends here; somebody aborts, or nobody does.
            del self.plans[operator]
            return
        plan.missing.discard(edge)
        plan.done.add(edge)
        if plan.missing:
            return
        del self.plans[operator]
        if plan.wish.state == "prepared":
            self.copy = max(self.copy, plan.wish.epoch or 0)
            commit = Wish("present", epoch=plan.wish.epoch, operation=plan.wish.operation, deadline=DEADLINE)
            self.plans[operator] = Plan(commit, plan.done)

    @rule(edge=st.sampled_from(EDGES), state=st.sampled_from(["draining", "finished"]))
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
        return max(peers, key=lambda state: state.epoch, default=None)

    @rule(edge=st.sampled_from(EDGES), seconds=st.sampled_from([0, 0, DEADLINE + 1]), alone=st.booleans())
    def watchdog(self, edge: str, seconds: int, alone: bool) -> None:
        """Look after one edge, some time later; `alone`: no peer answers in time."""
        self.clock += seconds
        if edge in self.down:
            return
        before, found = self.edges[edge], None if alone else self.found_by(edge)
        state = steps.adopt(before, found, self.clock) if found else before
        after = steps.expire(state, self.clock)
        if after.live != before.live:
            assert (found and found.precedence > before.precedence) or before.operation, (
                "the live slot changed by itself"
            )
        assert steps.expire(after, self.clock) == after
        self.take(edge, after)

    @precondition(lambda self: len(self.down) < len(EDGES) - 1)
    @rule(edge=st.sampled_from(EDGES))
    def away(self, edge: str) -> None:
        self.down.add(edge)

    @precondition(lambda self: self.down)
    @rule(edge=st.sampled_from(EDGES))
    def back(self, edge: str) -> None:
        """An edge returns: it catches up before it serves."""
        if edge in self.down:
            self.down.discard(edge)
            if found := self.found_by(edge):
                self.take(edge, steps.adopt(self.edges[edge], found, self.clock))

    # --- what always holds ---

    @invariant()
    def one_meaning(self) -> None:
        if self.leaves_out:
            return
        for edge, state in self.edges.items():
            assert self.meaning.setdefault(state.epoch, state.position) == state.position, f"{edge}: two truths"

    def teardown(self) -> None:
        """Left alone with everything up, the edges come to one position, and nothing is under way."""
        if not self.edges:
            return
        for edge in list(self.down):
            self.back(edge)
        for _ in range(4):
            self.clock += steps.ADOPTED_LONGEST + 1
            for edge in EDGES:
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
    assert [state.value for state in machine.edges.values()] == ["3:green:-:0", "3:blue:-:0"]
    for edge in EDGES[::-1] * 2:
        machine.watchdog(edge, 0, alone=False)
    assert [state.value for state in machine.edges.values()] == ["4:green:-:0"] * 2
