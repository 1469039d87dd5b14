# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A drill's expectations, figures and verdict. Times are seconds since the epoch, latencies milliseconds.

A request is one line of the load's `requests.jsonl`: {id, kind, sent_at, ms, status, slot, outcome, why}. Its outcome
is `ok`, `unsent` (the load generator could not keep up; doesn't count) or the way in which it was lost.

A record holds what happened, written by the drill's tasks:
{environment, fault, run, began, ended, trouble, recovery, releases: {slot: name},
 before: {live, epoch, units: {host: [unit]}},
 after: {edges: {host: {live, epoch, phase, in_force}}, units: {host: [unit]}},
 children: [record of drill_child], faults: [{host, how, units, at, ended}], undone: when the faults were, or null}.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ...drill import fault as faults
from .scenarios import SCENARIOS, Scenario

Request = Mapping[str, Any]
Record = Mapping[str, Any]

FORMAT = 1
LISTED = 5
# The playbook run of a rollback that must be refused.
EARLY_ROLLBACK = "early-rollback"
# Zero lost in n means, with 95 % confidence, fewer than 3/n.
RULE_OF_THREE = 3.0
KIND = re.compile(r"(?:(ws)|.*)-(\d+)")


@dataclass
class Judgement:
    """The expectations of a drill, each with the result."""

    expectations: list[dict[str, Any]] = field(default_factory=list)

    def expect(self, what: str, wanted: str, found: str, ok: bool) -> None:
        """Add one expectation and its result."""
        self.expectations.append({"what": what, "wanted": wanted, "found": found, "ok": ok})

    @property
    def passed(self) -> bool:
        """Whether all expectations were met."""
        return all(expectation["ok"] for expectation in self.expectations)


def handler_ms(kind: str) -> int:
    """Return how long the service was told to take for a request of this kind (0 for a WebSocket's upgrade)."""
    found = KIND.fullmatch(kind)
    return int(found[2]) if found and not found[1] else 0


def over(request: Request) -> float:
    """Return when a request was over; a WebSocket stays open after its upgrade."""
    found = KIND.fullmatch(str(request["kind"]))
    held = int(found[2]) if found and found[1] else 0
    return float(request["sent_at"]) + (float(request["ms"]) + held) / 1000


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of the values don't exceed; 0.0 without values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)] if ordered else 0.0


def latency(request: Request) -> float:
    """Return the latency of a request without the handler's own time, in milliseconds."""
    return max(0.0, float(request["ms"]) - handler_ms(str(request["kind"])))


def series(requests: Iterable[Request]) -> list[dict[str, Any]]:
    """Return one entry for each second with requests: {at, sent, lost, p50_ms, p99_ms, slots: {slot: n}}."""
    seconds: dict[int, list[Request]] = {}
    for request in requests:
        if request["outcome"] != "unsent":
            seconds.setdefault(int(request["sent_at"]), []).append(request)
    found = []
    for at, sent in sorted(seconds.items()):
        answered = [request for request in sent if request["outcome"] == "ok"]
        taken = [latency(request) for request in answered]
        found.append(
            {
                "at": at,
                "sent": len(sent),
                "lost": len(sent) - len(answered),
                "p50_ms": percentile(taken, 50),
                "p99_ms": percentile(taken, 99),
                "slots": dict(Counter(str(request["slot"]) for request in answered)),
            }
        )
    return found


def figures(requests: Sequence[Request]) -> dict[str, Any]:
    """Return the figures of the load.

    {sent, lost, unsent, lost_at_most_per_million, p50_ms, p99_ms, max_ms, outcomes: {outcome: n}, slots: {slot: n},
    kinds: {kind: {sent, lost}}, unserved_seconds: the longest time without a response}.
    """
    sent = [request for request in requests if request["outcome"] != "unsent"]
    answered = [request for request in sent if request["outcome"] == "ok"]
    taken = [latency(request) for request in answered]
    moments = sorted(float(request["sent_at"]) + float(request["ms"]) / 1000 for request in answered)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    lost = len(sent) - len(answered)
    kinds = Counter(str(request["kind"]) for request in sent)
    lost_kinds = Counter(str(request["kind"]) for request in sent if request["outcome"] != "ok")
    return {
        "sent": len(sent),
        "lost": lost,
        "unsent": len(requests) - len(sent),
        "lost_at_most_per_million": round(RULE_OF_THREE / len(sent) * 1e6, 1) if sent and not lost else None,
        "p50_ms": round(percentile(taken, 50), 1),
        "p99_ms": round(percentile(taken, 99), 1),
        "max_ms": round(max(taken, default=0.0), 1),
        "outcomes": dict(Counter(str(request["outcome"]) for request in requests)),
        "kinds": {kind: {"sent": count, "lost": lost_kinds[kind]} for kind, count in sorted(kinds.items())},
        "slots": dict(Counter(str(request["slot"]) for request in answered)),
        "unserved_seconds": round(max(gaps, default=0.0), 2),
    }


def child(record: Record, name: str) -> dict[str, Any] | None:
    """Return the record of the playbook run `name` (cutover, rollback, abort), None if there was none."""
    return next((dict(found) for found in record["children"] if found["name"] == name), None)


def end_of(run: Mapping[str, Any] | None) -> str:
    """Return how a playbook run ended: done, refused, killed, "not run" or "not ended"."""
    if run is None:
        return "not run"
    if run["code"] is None:
        return "not ended"
    if run["code"] < 0:
        return "killed"
    return "done" if run["code"] == 0 else "refused"


def window(record: Record) -> tuple[float, float] | None:
    """Return the start and end of the time in which requests may be lost; None if none may be lost."""
    practised = SCENARIOS[record["fault"]]
    if practised.lossless or not record["faults"]:
        return None
    began = min(fault["at"] for fault in record["faults"])
    if practised.back_while_broken:
        back = child(record, "rollback")
        ended = back["ended"] if back and back["ended"] else record["ended"]
    else:
        ended = max(fault["ended"] for fault in record["faults"])
    return began, ended + record["recovery"]


def is_lost(request: Request) -> bool:
    """Whether a request got no valid response."""
    return request["outcome"] not in {"ok", "unsent"}


def lost_in(request: Request, allowed: tuple[float, float]) -> bool:
    """Whether a request was lost, and was open at any moment of the `allowed` time."""
    return is_lost(request) and request["sent_at"] <= allowed[1] and over(request) >= allowed[0]


def judge(record: Record, requests: Sequence[Request]) -> dict[str, Any]:
    """Return the drill's result: the record without its lists of units, and the verdict.

    The verdict adds {format, says, verdict: pass|fail, expectations: [{what, wanted, found, ok}], figures, seconds
    (`series`), window, lost: the first lost requests}.
    """
    practised = SCENARIOS[record["fault"]]
    judgement = Judgement()
    if record["trouble"]:
        judgement.expect("the drill runs to its end", "yes", record["trouble"], False)
    numbers = figures(requests)
    allowed = window(record)
    inside = [request for request in requests if allowed and lost_in(request, allowed)]
    numbers["lost_outside"] = numbers["lost"] - len(inside)
    _load(judgement, record, numbers, requests)
    _cutover(judgement, record, practised)
    _losses(judgement, practised, allowed, requests, inside)
    _way_back(judgement, record)
    _end(judgement, record)
    lost = [dict(request) for request in requests if is_lost(request)]
    after = {key: value for key, value in record["after"].items() if key != "units"}
    before = {key: value for key, value in record["before"].items() if key != "units"}
    return {
        **record,
        "format": FORMAT,
        "before": before,
        "after": after,
        "says": practised.says,
        "verdict": "pass" if judgement.passed else "fail",
        "expectations": judgement.expectations,
        "figures": numbers,
        "seconds": series(requests),
        "window": allowed,
        "lost": lost[:LISTED],
    }


def _load(judgement: Judgement, record: Record, numbers: Mapping[str, Any], requests: Sequence[Request]) -> None:
    """Without data, the drill can't pass: the load must run from before the cutover until after the end."""
    sent_at = [float(request["sent_at"]) for request in requests if request["outcome"] != "unsent"]
    ends = [found[key] for found in record["children"] for key in ("began", "ended") if found[key]]
    around = bool(sent_at and ends) and min(sent_at) < min(ends) and max(sent_at) > max(ends)
    judgement.expect(
        "the load runs from before the cutover until after the end",
        "yes",
        f"{numbers['sent']} requests{', the whole time' if around else ', not the whole time'}",
        around,
    )
    if numbers["unsent"]:
        judgement.expect("the load generator keeps up", "0 requests unsent", f"{numbers['unsent']} unsent", False)


def _cutover(judgement: Judgement, record: Record, practised: Scenario) -> None:
    run = child(record, "cutover")
    end = end_of(run)
    found = f"{end}: {run['said']}" if run and run["said"] and end == "refused" else end
    judgement.expect("the cutover", " or ".join(practised.ends), found, end in practised.ends)
    if practised.moment:
        began, ended = (run["began"], run["ended"] or record["ended"]) if run else (0.0, 0.0)
        moments = [_moment(fault["at"], began, ended) for fault in record["faults"]]
        found = " and ".join(sorted(set(moments))) or "never"
        judgement.expect(
            "time of the fault", f"{practised.moment} the cutover", found, set(moments) == {practised.moment}
        )


def _moment(at: float, began: float, ended: float) -> str:
    return "before" if at < began else "during" if at <= ended else "after"


def _losses(
    judgement: Judgement,
    practised: Scenario,
    allowed: tuple[float, float] | None,
    requests: Sequence[Request],
    inside: Sequence[Request],
) -> None:
    lost = [request for request in requests if is_lost(request)]
    if allowed is None:
        judgement.expect("requests lost", "0", _counted(lost), not lost)
        return
    outside = len(lost) - len(inside)
    judgement.expect("requests lost before the fault or after the recovery time", "0", str(outside), outside == 0)
    if practised.felt:
        judgement.expect("requests lost during the fault", "some", _counted(inside), bool(inside))
    # Requests after the recovery time must get responses.
    late = [request for request in requests if request["sent_at"] > allowed[1] and request["outcome"] == "ok"]
    judgement.expect("requests succeed again", "yes", "yes" if late else "no", bool(late))


def _counted(lost: Sequence[Request]) -> str:
    kinds = Counter(str(request["outcome"]) for request in lost)
    words = ", ".join(f"{count} {name}" for name, count in kinds.most_common())
    return f"{len(lost)} ({words})" if lost else "0"


def _way_back(judgement: Judgement, record: Record) -> None:
    expected = {"abort": ("the abort", "done"), "rollback": ("the rollback", "done")}
    if SCENARIOS[record["fault"]].no_way_back:
        expected = {EARLY_ROLLBACK: ("a rollback during the fault", "refused")} | expected
    for name, (what, wanted) in expected.items():
        run = child(record, name)
        if run is not None:
            end = end_of(run)
            found = f"{end}: {run['said']}" if run["said"] and end == "refused" else end
            judgement.expect(what, wanted, found, end == wanted)
        elif name == EARLY_ROLLBACK:
            judgement.expect(what, wanted, "not run", False)


def _end(judgement: Judgement, record: Record) -> None:
    live = record["before"]["live"]
    edges = record["after"]["edges"]
    others = [f"{host}: {seen['live']}, {seen['phase']}" for host, seen in edges.items()
              if (seen["live"], seen["phase"], seen["in_force"]) != (live, "idle", True)]  # fmt: skip
    epochs = sorted({seen["epoch"] for seen in edges.values()})
    agree = bool(edges) and not others and len(epochs) == 1
    found = "; ".join(others) or (f"epochs {', '.join(map(str, epochs))}" if len(epochs) > 1 else live)
    judgement.expect("live slot on all edge hosts at the end", live, found if edges else "unknown", agree)
    missing = faults.outcome(record["before"]["units"], record["after"]["units"])
    words = "; ".join(f"{host}: {', '.join(units)}" for host, units in missing.items())
    found = f"not {words}" if words else "all"
    judgement.expect("services that ran before the drill run again", "all", found, not missing)
