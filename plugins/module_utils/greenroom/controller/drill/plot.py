# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The timeline of a drill as an SVG picture: playbook runs, faults, responses by slot, latency and lost requests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

Result = Mapping[str, Any]

WIDTH, LEFT, RIGHT = 960, 92, 14
LANE, GAP, TOP = 20, 7, 22
PLOT, LOST, AXIS = 150, 34, 26
NAMES = {"cutover": "cutover", "rollback": "rollback", "abort": "abort"}


def picture(result: Result) -> str:
    """Return the picture of a drill's result (see `drill.judge`) as a self-contained SVG element."""
    return _Picture(result).svg()


class _Picture:
    def __init__(self, result: Result) -> None:
        self.result = result
        self.seconds: Sequence[Mapping[str, Any]] = result["seconds"]
        self.begin = float(min([second["at"] for second in self.seconds] + [math.floor(result["began"])]))
        last = float(max([second["at"] + 1 for second in self.seconds] + [math.ceil(result["ended"])]))
        self.length = max(1.0, last - self.begin)
        self.parts: list[str] = []

    def x(self, at: float) -> float:
        share = min(1.0, max(0.0, (at - self.begin) / self.length))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def svg(self) -> str:
        lanes = [self._operations, self._fault, self._responses]
        y = TOP
        for lane in lanes:
            lane(y)
            y += LANE + GAP
        top = y + 16
        self._latency(top)
        lost_top = top + PLOT + 12
        self._lost(lost_top)
        bottom = lost_top + LOST
        self._axis(bottom)
        height = bottom + AXIS
        return (
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline and latency">'
            f"{''.join(self._behind(bottom))}{''.join(self.parts)}</svg>"
        )

    def _behind(self, bottom: float) -> Iterator[str]:
        """Yield the time in which losses are allowed, and a line for each start of a fault."""
        if self.result["window"]:
            began, ended = (self.x(at) for at in self.result["window"])
            yield f'<rect class="window" x="{began}" y="{TOP - 6}" width="{max(1, ended - began)}" '
            yield f'height="{bottom - TOP + 6}"/>'
        begins = sorted(self.x(fault["at"]) for fault in self.result["faults"])
        for x in begins:
            yield f'<line class="broke" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{bottom}"/>'
        for x in begins[:1]:
            yield f'<text class="broke" x="{x + 4}" y="{TOP - 10}">fault</text>'

    def _name(self, y: float, text: str, low: float = LANE / 2 + 4) -> None:
        self.parts.append(f'<text class="name" x="{LEFT - 10}" y="{y + low}">{escape(text)}</text>')

    def _bar(self, y: float, span: tuple[float, float], style: str, text: str, title: str) -> None:
        began, ended = span
        x, width = self.x(began), max(2.0, self.x(ended) - self.x(began))
        self.parts.append(
            f'<g><title>{escape(title)}</title><rect class="{style}" x="{x}" y="{y}" width="{width:.1f}" '
            f'height="{LANE}" rx="3"/>'
        )
        # A label that is wider than its bar would overlap the next one.
        if len(text) * 6.4 < width:
            self.parts.append(f'<text class="on" x="{x + 6}" y="{y + LANE / 2 + 4}">{escape(text)}</text>')
        self.parts.append("</g>")

    def _operations(self, y: float) -> None:
        self._name(y, "operator")
        for run in self.result["children"]:
            ended = run["ended"] or self.result["ended"]
            how = "" if run["code"] == 0 else " killed" if (run["code"] or -1) < 0 else " refused"
            style = {"": "run", " killed": "run killed", " refused": "run refused"}[how]
            words = f"{NAMES.get(run['name'], run['name'])}{how}"
            self._bar(y, (run["began"], ended), style, words, f"{words}: {ended - run['began']:.1f} s")
            for phase in run["phases"]:
                x = self.x(phase["at"])
                self.parts.append(
                    f"<g><title>{escape(phase['what'])}</title>"
                    f'<line class="phase" x1="{x}" x2="{x}" y1="{y + 2}" y2="{y + LANE - 2}"/></g>'
                )

    def _fault(self, y: float) -> None:
        self._name(y, "fault")
        broken = self.result["faults"]
        if not broken:
            self.parts.append(f'<text class="none" x="{LEFT + 2}" y="{y + LANE / 2 + 4}">none</text>')
            return
        began = min(fault["at"] for fault in broken)
        short = all(fault["how"] == "restarted" or not fault["units"] for fault in broken)
        ended = max(fault["ended"] for fault in broken) if short else self.result["undone"] or self.result["ended"]
        hosts = sorted({fault["host"] for fault in broken})
        names = sorted({unit for fault in broken for unit in fault["units"]}) or hosts
        words = f"{', '.join(names)} {broken[0]['how']}"
        self._bar(y, (began, ended), "fault", words, f"{words} on {', '.join(hosts)}: {ended - began:.1f} s")

    def _responses(self, y: float) -> None:
        """Draw the responses of each second by slot, stacked in the slots' colors."""
        self._name(y, "responses")
        for second in self.seconds:
            x, width = self.x(second["at"]), self.x(second["at"] + 1) - self.x(second["at"])
            base = y + LANE
            parts = [("blue", second["slots"].get("blue", 0)), ("green", second["slots"].get("green", 0)),
                     ("lost", second["lost"])]  # fmt: skip
            for style, count in parts:
                high = LANE * count / second["sent"]
                if high:
                    base -= high
                    self.parts.append(
                        f'<rect class="{style}" x="{x}" y="{base:.1f}" width="{width + 0.3:.1f}" height="{high:.1f}"/>'
                    )

    def _latency(self, top: float) -> None:
        """Draw median and p99 of each second on a logarithmic scale, from 1 ms."""
        worst = max([second["p99_ms"] for second in self.seconds] + [10.0])
        tens = max(2, math.ceil(math.log10(worst)))

        def y(milliseconds: float) -> float:
            return round(top + PLOT * (1 - math.log10(max(1.0, milliseconds)) / tens), 1)

        self._name(top, "latency", 4)
        for power in range(tens + 1):
            level = y(10**power)
            words = f"{10**power} ms" if power < 3 else f"{10 ** (power - 3)} s"
            self.parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level}" y2="{level}"/>'
                + (f'<text class="tick" x="{LEFT - 10}" y="{level + 4}">{words}</text>' if power < tens else "")
            )
        for style, key in (("p99", "p99_ms"), ("p50", "p50_ms")):
            for run in self._runs():
                points = " ".join(f"{self.x(second['at'] + 0.5)},{y(second[key])}" for second in run)
                self.parts.append(f'<polyline class="{style}" points="{points}"/>')

    def _runs(self) -> Iterator[list[Mapping[str, Any]]]:
        """Yield the runs of seconds with responses: a line must not cross a gap."""
        run: list[Mapping[str, Any]] = []
        for second in self.seconds:
            if run and (second["at"] != run[-1]["at"] + 1 or not second["slots"]):
                yield run
                run = []
            if second["slots"]:
                run.append(second)
        if run:
            yield run

    def _lost(self, top: float) -> None:
        self._name(top, "lost")
        most = max([second["lost"] for second in self.seconds], default=0)
        self.parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top + LOST}" y2="{top + LOST}"/>')
        if not most:
            self.parts.append(f'<text class="none" x="{LEFT + 2}" y="{top + LANE / 2 + 4}">none</text>')
        for second in self.seconds:
            if second["lost"]:
                high = max(3.0, LOST * second["lost"] / most)
                x, width = self.x(second["at"]), self.x(second["at"] + 1) - self.x(second["at"])
                self.parts.append(
                    f'<g><title>{second["lost"]} lost of {second["sent"]}</title><rect class="lost" x="{x}" '
                    f'y="{top + LOST - high:.1f}" width="{width + 0.3:.1f}" height="{high:.1f}"/></g>'
                )

    def _axis(self, bottom: float) -> None:
        step = next((size for size in (5, 10, 15, 30, 60, 120, 300) if self.length / size <= 14), 600)
        for offset in range(0, int(self.length) + 1, step):
            x = self.x(self.begin + offset)
            words = f"{offset // 60}:{offset % 60:02}"
            self.parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
            self.parts.append(f'<text class="time" x="{x}" y="{bottom + 17}">{words}</text>')
