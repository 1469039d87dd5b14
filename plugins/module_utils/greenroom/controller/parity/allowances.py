# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Allowed differences: what, why, who allowed it, and until when."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ...common.names import suggestion
from .kinds import KINDS

KEYS = ("what", "reason", "owner", "expires")


class AllowanceError(Exception):
    """The file of allowances is wrong. The message has a line for each mistake."""


@dataclass(frozen=True)
class Allowance:
    """A difference that may be: `what` as the report names it, with the `values` of both sides, "" for any."""

    what: str
    values: str
    reason: str
    owner: str
    expires: date

    def expired(self, today: date) -> bool:
        """Return whether it holds no longer; on its last day it still does."""
        return today > self.expires


def read(path: Path) -> list[Allowance]:
    """Return the allowances of a file, none if there is no file. Raises AllowanceError."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, yaml.YAMLError) as error:
        raise AllowanceError(f"{path}: {error}") from error
    if not isinstance(found, dict) or list(found) != ["allowed"] or not isinstance(found["allowed"], list | type(None)):
        raise AllowanceError(f"{path}: it must have one key, `allowed`, with a list")
    entries: list[Any] = found["allowed"] or []
    wrong = [f"entry {number}: {said}" for number, entry in enumerate(entries, 1) for said in _problems(entry)]
    names = Counter(what for entry in entries if isinstance(entry, dict) for what in _named(entry))
    wrong += [f"`{name}` is allowed twice" for name, times in names.items() if times > 1]
    if wrong:
        raise AllowanceError("\n".join(f"{path}: {said}" for said in wrong))
    return [
        Allowance(*_divided(what), entry["reason"], entry["owner"], entry["expires"])
        for entry in entries
        for what in _named(entry)
    ]


def fingerprint(first: Any, second: Any) -> str:
    """Return 8 characters that stand for the values of both sides: with others, an allowance holds no longer."""
    return hashlib.sha256(json.dumps([first, second], sort_keys=True).encode()).hexdigest()[:8]


def _named(entry: dict[str, Any]) -> list[Any]:
    what = entry.get("what")
    return what if isinstance(what, list) else [what]


def _divided(what: str) -> tuple[str, str]:
    """Return what differs and the fingerprint behind ` @`, "" without one."""
    found = re.fullmatch(r"(.*) @([0-9a-f]{8})", what)
    return (found[1], found[2]) if found else (what, "")


def _problems(entry: Any) -> Sequence[str]:
    if not isinstance(entry, dict):
        return [f"it must have the keys {', '.join(KEYS)}"]
    problems = [f"unknown key `{key}`{suggestion(str(key), KEYS)}" for key in entry if key not in KEYS]
    problems += [f"`{key}` is missing" for key in KEYS if not entry.get(key)]
    problems += [f"`{key}` must be text" for key in KEYS[1:3] if entry.get(key) and not isinstance(entry[key], str)]
    if not all(isinstance(what, str) and what for what in _named(entry)) and "what" in entry:
        problems.append("`what` must be text, or a list of texts")
    if problems:
        return problems
    if type(entry["expires"]) is not date:
        problems.append(f"`expires` must be a date such as 2027-03-31, not {entry['expires']!r}")
    for what in _named(entry):
        part = what.partition(":")[0]
        if "*" in what:
            problems.append("`what` allows no wildcards: name each difference, as the report does")
        elif part not in KINDS:
            problems.append(f"`{what}`: a difference begins with its part{suggestion(part, KINDS)}")
    return problems
