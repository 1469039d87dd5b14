# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A table of synthetic users for testers, with their traits as the server has them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .client import Identity
from .identities import mark_of
from .server import Server

FIRST = ("key", "login", "id", "state", "verified")
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d .,()/-]*\Z)")
"""What a spreadsheet would calculate: users may change their own traits. A telephone or other number is harmless."""


class ExportError(Exception):
    """The people file can't be used; the text says why."""


def table(server: Server, path: str, user_set: str, limit: int) -> tuple[str, int]:
    """Return a CSV table of the users in a people file, and their number.

    It has all personas, and the first `limit` numbered users. Who is gone, or isn't a user of the set, is left out.
    """
    listed = {str(person["id"]): person for person in _listed(path, limit)}
    found = {each["id"]: each for page in server.by_id(list(listed)) for each in page}
    rows = [
        _row(person, found[each]) for each, person in listed.items() if each in found and mark_of(found[each], user_set)
    ]
    columns = dict.fromkeys((*FIRST, *sorted({name for row in rows for name in row} - {*FIRST})))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue(), len(rows)


def _listed(path: str, limit: int) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a people file: all personas, which come first, then the first users."""
    numbered = 0
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                person = json.loads(line)
                numbered += str(person["key"]).isdecimal()
                if numbered > limit:
                    return
                yield person
    except FileNotFoundError:
        return  # no users
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path}: not a people file; run playbooks/seed.yml again") from error


def _row(person: Mapping[str, Any], identity: Identity) -> dict[str, str]:
    addresses = identity.get("verifiable_addresses") or []
    row = {
        "key": str(person["key"]),
        "login": _cell(person["email"]),
        "id": str(identity["id"]),
        "state": str(identity.get("state", "")),
        "verified": "true" if any(each.get("verified") for each in addresses) else "false",
    }
    return row | {name: _cell(value) for name, value in _flat(identity.get("traits"), "traits")}


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(each, f"{path}.{name}")
    elif value is not None:
        yield path, value


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if _FORMULA.match(text) else text
