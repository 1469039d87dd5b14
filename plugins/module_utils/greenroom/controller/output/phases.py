# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The phases of a run: the titles, which phases have no tasks, and how long each phase takes."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible import constants


@dataclass(eq=False)
class Phase:
    """One phase of a run. For a play from outside the project, the name is empty until the play begins."""

    number: int
    name: str
    began: float = 0.0
    seconds: float = 0.0
    shown: bool = False
    empty: bool = True


class Phases:
    """The phases of a run and their titles, which `show(text, color=...)` prints."""

    def __init__(self, show: Callable[..., None], plays: Iterable[tuple[str, str]] = (), steps: Path = Path()) -> None:
        """Find the phases of `plays`, pairs of ID and path. `steps` is the folder whose files are phases."""
        self._show = show
        self._began = time.monotonic()
        self._by_play = dict(phases_of(plays, steps))
        self._current: Phase | None = None

    def enter(self, play: str, name: str) -> None:
        """Begin the phase of the play with this ID, unless it has begun."""
        phase = self._by_play.get(play)
        if phase and phase is not self._current:
            self._end_current()
            self._current, phase.began = phase, time.monotonic()
            phase.name = phase.name or name

    def begin_task(self) -> None:
        """Record that the current phase has a task, and print its title."""
        if self._current:
            self._current.empty = False
            self.show_title()

    def show_title(self) -> None:
        """Print the title of the current phase, once."""
        if self._current and not self._current.shown:
            self._show_empty(self._current.number)
            self._current.shown = True
            self._show(f"Phase {self._title(self._current)}", color=constants.COLOR_HIGHLIGHT)

    def end(self, failed: bool) -> None:
        """End the last phase. After a failure, the titles of phases without a task aren't complete."""
        self._end_current()
        if self._current and not failed:
            self._show_empty(self._current.number + 1)

    def show_failed(self) -> None:
        """Print in which phase the run failed."""
        if self._current:
            self._show(f"Failed in phase {self._title(self._current)}", color=constants.COLOR_ERROR)

    def durations(self) -> str:
        """Return a line with the seconds of each phase; phases with the same name are added up."""
        seconds: dict[str, float] = {}
        for phase in dict.fromkeys(self._by_play.values()):
            if not phase.empty:
                seconds[phase.name] = seconds.get(phase.name, 0.0) + phase.seconds
        parts = ", ".join(f"{name} {took:.0f}\xa0s".replace(" ", "\xa0") for name, took in seconds.items())
        line = f"Took {time.monotonic() - self._began:.0f} s{': ' if parts else ''}{parts}"
        # Don't wrap between a name and its seconds.
        return textwrap.fill(line, 100, subsequent_indent="  ", break_on_hyphens=False).replace("\xa0", " ")

    def _show_empty(self, end: int) -> None:
        """Print the titles of phases without a task, so that no number is missing."""
        for phase in dict.fromkeys(self._by_play.values()):
            if phase.number < end and not phase.shown:
                phase.shown = True
                self._show(f"Phase {self._title(phase)}: nothing to do", color=constants.COLOR_SKIP)

    def _title(self, phase: Phase) -> str:
        return f"{phase.number} of {max(each.number for each in self._by_play.values())}: {phase.name}"

    def _end_current(self) -> None:
        if self._current:
            self._current.seconds = time.monotonic() - self._current.began


def phases_of(plays: Iterable[tuple[str, str]], steps: Path) -> Iterator[tuple[str, Phase]]:
    """Yield each play's ID and phase: consecutive plays of the same file in `steps` are one phase."""
    number, before = 0, None
    for play, place in plays:
        path = Path(place.rpartition(":")[0])
        step = path.stem if path.resolve().is_relative_to(steps) else None
        if step is None or step != before:
            number += 1
            phase = Phase(number, step or "")
        before = step
        yield play, phase
