# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares the client's results with the backends' logs: lost requests, repeated ones, ones in the wrong slot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ABOVE_ZERO = 3.0
"""If none of N is lost, the true rate is below 3/N with 95 % confidence (the rule of three)."""


@dataclass(frozen=True)
class Rise:
    """A time, in seconds since 1970, in which a candidate's weight only grew, from 0 to 100 %."""

    began: float
    ended: float
    candidate: str


@dataclass
class Account:
    """The results of the requests of one load."""

    sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """By outcome: refused, reset, eof, truncated, timeout, 5xx, ws_closed, wrong."""
    unsent: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Sent requests by kind."""
    kinds_lost: Counter[str] = field(default_factory=Counter)
    unlogged: list[str] = field(default_factory=list)
    """IDs with a good response that no backend logged: the logs disagree, so the counts prove nothing."""
    repeated: list[str] = field(default_factory=list)
    """IDs that were handled more than once, so something repeats requests."""
    elsewhere: list[str] = field(default_factory=list)
    """IDs that were handled by another slot than the response named."""
    done_and_lost: int = 0
    """Number of requests that were lost for the client, although a backend handled them."""
    foreign: list[str] = field(default_factory=list)
    """IDs that were logged but never sent."""
    unsticky: list[str] = field(default_factory=list)
    """Clients that were moved from the candidate back to the live slot while its weight only grew."""

    @property
    def losses(self) -> int:
        """Number of lost requests."""
        return self.lost.total()

    @property
    def agrees(self) -> bool:
        """Whether the client's results and the backends' logs agree."""
        return not (self.unlogged or self.repeated or self.elsewhere or self.foreign)

    def add(self, other: Account) -> None:
        """Add another load's account."""
        self.sent += other.sent
        self.unsent += other.unsent
        self.done_and_lost += other.done_and_lost
        for mine, more in ((self.lost, other.lost), (self.kinds, other.kinds), (self.kinds_lost, other.kinds_lost)):
            mine.update(more)
        for names, more_names in (
            (self.unlogged, other.unlogged),
            (self.repeated, other.repeated),
            (self.elsewhere, other.elsewhere),
            (self.foreign, other.foreign),
            (self.unsticky, other.unsticky),
        ):
            names.extend(more_names)

    def as_data(self) -> dict[str, Any]:
        """Return the account as data for JSON."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Account:
        """Return the account from the data of `as_data`; raises TypeError for other data."""
        counted = {name: Counter(data.get(name, {})) for name in ("lost", "kinds", "kinds_lost")}
        return cls(**{**data, **counted})

    def line(self) -> str:
        """Format the account as one line."""
        lost = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.lost.items())) or "none"
        books = (
            "the backends' logs agree"
            if self.agrees
            else f"not in the logs {len(self.unlogged)}, handled twice {len(self.repeated)}, by another slot "
            f"{len(self.elsewhere)}, never sent {len(self.foreign)}"
        )
        moved = f"; {len(self.unsticky)} clients were moved back" if self.unsticky else ""
        return f"{self.sent} sent, lost {lost}{bound(self.sent, self.losses)}; {books}{moved}"


def bound(sent: int, lost: int) -> str:
    """Format the upper bound of the rate of losses; empty if there were losses."""
    return f" (fewer than {ABOVE_ZERO / sent * 1e6:,.0f} in a million, at 95 %)" if sent and not lost else ""


def logged(lines: Iterable[str]) -> dict[str, list[str]]:
    """Read lines `<id> <slot>` from the app hosts' journals: {request ID: slots that handled it}."""
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, slot = line.strip().partition(" ")
        if name:
            found.setdefault(name, []).append(slot)
    return found


def moved_back(lines: Iterable[Mapping[str, Any]], rise: Rise) -> set[str]:
    """Return the clients that got a response from the candidate, and from the other slot for a later request."""
    own = [
        line for line in lines if line.get("visitor") and line["slot"] and rise.began <= line["sent_at"] < rise.ended
    ]
    known: dict[str, float] = {}
    for line in own:
        if line["slot"] == rise.candidate:
            answered = line["sent_at"] + line["ms"] / 1000
            known[line["visitor"]] = min(answered, known.get(line["visitor"], answered))
    return {
        line["visitor"]
        for line in own
        if line["slot"] != rise.candidate and line["sent_at"] > known.get(line["visitor"], line["sent_at"])
    }


def reconcile(lines: Iterable[str], done: Mapping[str, list[str]], rises: Iterable[Rise] = ()) -> Account:
    """Compare openloop's lines with the backends' logs, {id: slots}, and check stickiness while weights grew."""
    account = Account()
    known = set()
    read: list[dict[str, Any]] = [json.loads(text) for text in lines]
    for line in read:
        name, kind, outcome = line["id"], line["kind"], line["outcome"]
        known.add(name)
        if outcome == "unsent":
            account.unsent += 1
            continue
        account.sent += 1
        account.kinds[kind] += 1
        slots = done.get(name, [])
        if len(slots) > 1:
            account.repeated.append(name)
        if outcome != "ok":
            account.lost[outcome] += 1
            account.kinds_lost[kind] += 1
            account.done_and_lost += bool(slots)
        elif not slots:
            account.unlogged.append(name)
        elif line["slot"] not in slots:
            account.elsewhere.append(name)
    account.foreign = sorted(done.keys() - known)
    account.unsticky = sorted(visitor for rise in rises for visitor in moved_back(read, rise))
    return account
