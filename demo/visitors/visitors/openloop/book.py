"""The results: one line for each request, and a summary."""

from __future__ import annotations

import json
import math
import os
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .kinds import Kind

LINES = "requests.jsonl"
SUMMARY = "summary.json"
SHOWN = 10


@dataclass
class Count:
    """The results of a group of requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slots: Counter[str] = field(default_factory=Counter)
    ms: array[float] = field(default_factory=lambda: array("f"))
    """Response times of successful requests."""

    def add(self, outcome: str, slot: str, ms: float) -> None:
        """Count a request."""
        self.outcomes[outcome] += 1
        if outcome == "ok":
            self.slots[slot or "none"] += 1
            self.ms.append(ms)

    def figures(self) -> dict[str, Any]:
        """Return sent, ok, lost, and quantiles in ms (0 without successful requests)."""
        ok, unsent = self.outcomes["ok"], self.outcomes["unsent"]
        total = self.outcomes.total()
        return {"sent": total - unsent, "ok": ok, "lost": total - unsent - ok, **quantiles(sorted(self.ms))}


def quantiles(ms: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and maximum of sorted milliseconds (nearest rank)."""

    def at(share: float) -> float:
        return round(ms[max(0, math.ceil(share * len(ms)) - 1)], 3) if ms else 0.0

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)}


class Book:
    """Writes a line for each ended request, and counts them."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder = folder
        self.run = run
        self.stream = (folder / LINES).open("w", encoding="utf-8")
        (folder / SUMMARY).unlink(missing_ok=True)
        self.all = Count()
        self.kinds: dict[str, Count] = {}
        self.seconds: dict[int, Count] = {}
        self.first_lost: list[dict[str, Any]] = []

    def note(self, kind: Kind, line: Mapping[str, Any], spent: float) -> None:
        """Write and count a line; `spent` is the part of its ms that the handler waited on purpose."""
        self.stream.write(json.dumps(line) + "\n")
        outcome, slot, ms = line["outcome"], line["slot"], max(0.0, line["ms"] - spent)
        for count in (
            self.all,
            self.kinds.setdefault(kind.name, Count()),
            self.seconds.setdefault(int(line["sent_at"]), Count()),
        ):
            count.add(outcome, slot, ms)
        if outcome not in ("ok", "unsent") and len(self.first_lost) < SHOWN:
            self.first_lost.append(dict(line))

    def flush(self) -> None:
        """Write buffered lines to the file."""
        self.stream.flush()

    def close(self, began: float, ended: float, late_ms: float) -> dict[str, Any]:
        """Write the summary atomically, and return it."""
        self.stream.close()
        figures = self.all.figures()
        summary = {
            "run": self.run,
            "began": began,
            "ended": ended,
            **{key: figures[key] for key in ("sent", "ok", "lost")},
            "unsent": self.all.outcomes["unsent"],
            "late_ms": round(late_ms, 1),
            "outcomes": dict(self.all.outcomes),
            "slots": dict(self.all.slots),
            "kinds": {
                name: {**count.figures(), "outcomes": dict(count.outcomes)}
                for name, count in sorted(self.kinds.items())
            },
            "seconds": [
                {"at": at, **count.figures(), "slots": dict(count.slots)} for at, count in sorted(self.seconds.items())
            ],
            "first_lost": self.first_lost,
        }
        draft = self.folder / f"{SUMMARY}.new"
        draft.write_text(json.dumps(summary) + "\n", encoding="utf-8")
        os.replace(draft, self.folder / SUMMARY)
        return summary
