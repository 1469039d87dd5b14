# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Words that the glossary replaced don't come back. A name in code that contains one is not meant."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("roles", "playbooks", "plugins", "library", "docs", "lab", "inventories", "services", "site.yml", "Makefile")
# The glossary has to name what it replaces.
EXEMPT = {"docs/glossary.md"}
BANNED = {
    r"mend(?:s|ed|ing)?": "repair, fix",
    r"imagined": "check mode",
    r"somebody|anybody|whoever": "say who: the operator, a client, a user, the run",
    r"cut-overs?": "cutover; the verb is: cut over",
    r"roll-backs?": "rollback; the verb is: roll back",
    r"made anew|anew": "again",
    r"in force": "in effect",
    r"what came of it": "result",
    r"ways of people": "smoke checks",
    r"the slot beside": "baseline, idle slot",
    r"to be found out": "can't tell",
    r"see to it": "make sure",
    r"patience": "timeout",
    r"is to be|are to be": "say who does it, or: must",
    r"shall": "must, will",
    r"under way": "in progress, running",
    r"of one's own": "your own",
    r"for who has": "for those who have",
    r"otherwise than": "say what differs",
    r"what is no|who is no": "what is not a",
}


def files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "--", *PLACES], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if name not in EXEMPT and (ROOT / name).is_file()]


@pytest.mark.parametrize("word", BANNED)
def test_a_banned_word_stands_nowhere(word: str) -> None:
    found = re.compile(rf"(?<![\w-])(?:{word})(?![\w-])", re.IGNORECASE)
    hits = [
        f"{name}:{number}: {line.strip()}"
        for name in files()
        for number, line in enumerate((ROOT / name).read_text(errors="ignore").splitlines(), 1)
        if found.search(line)
    ]
    assert not hits, f"write instead: {BANNED[word]}\n" + "\n".join(hits)


def test_what_is_banned_would_be_found() -> None:
    """The control: each pattern finds its own words."""
    for word in BANNED:
        example = re.sub(r"\(\?:.*?\)|\[.*?\]|\?", "", word).split("|")[0]
        assert re.fullmatch(word, example, re.IGNORECASE), word
