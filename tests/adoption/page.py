# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What docs/adopt.md tells a reader to write and to run, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/adopt.md"
FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"(?:^    \S.*\n)(?:^     .*\n)*", re.M)
SECTION = re.compile(r"^## (.+)$", re.M)


@dataclass(frozen=True)
class Step:
    """A file to write, with its content, or a command to run, without a content."""

    section: str
    words: str
    content: str = ""

    @property
    def lines(self) -> int:
        """How many lines the operator writes for it. A command is one, even if the page wraps it."""
        return len(self.content.splitlines()) or 1


def steps(text: str | None = None) -> list[Step]:
    """Return the files (a name, then a block) and commands (an indented block) of the page, in order."""
    text = PAGE.read_text() if text is None else text
    sections = [(found.start(), found[1]) for found in SECTION.finditer(text)]
    blanked = re.sub(
        r"^```.*?^```$", lambda found: re.sub(r"[^\n]", " ", found[0]).rstrip(" "), text, flags=re.M | re.S
    )
    found = [(each.start(), each[1], each[2]) for each in FILE.finditer(text)]
    for each in COMMAND.finditer(blanked):
        found.append((each.start(), re.sub(r"\s*\\\n\s*", " ", each[0]).strip(), ""))

    def section(place: int) -> str:
        return [name for start, name in sections if start < place][-1]

    return [Step(section(place), words, content) for place, words, content in sorted(found)]
