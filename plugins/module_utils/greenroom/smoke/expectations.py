# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compare an HTTP response with the expected one."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.web import Answer
from .captures import CaptureError, json_path

Difference = tuple[str, str]
"""What was expected, and what the response has."""


def differences(expect: Mapping[str, Any], answer: Answer) -> Iterator[Difference]:
    """Compare a response with `expect` of the module smoke_check; the default for the status is 200."""
    wanted = [int(status) for status in listed(expect.get("status"))] or [200]
    if answer.status not in wanted:
        yield f"status {' or '.join(map(str, wanted))}", short(answer)
    for name, value in (expect.get("headers") or {}).items():
        yield from _header(name, value, answer)
    yield from _body(expect, answer)
    for path, value in (expect.get("json") or {}).items():
        yield from _json(path, value, answer)


def _header(name: str, value: Any, answer: Answer) -> Iterator[Difference]:
    found = answer.header(name)
    got = "none" if found is None else f"{name}: {found}"
    if value is None or isinstance(value, bool):
        if bool(value) != (found is not None):
            yield f"{'a' if value else 'no'} header {name}", got
    elif found != str(value):
        yield f"header {name}: {value}", got


def _body(expect: Mapping[str, Any], answer: Answer) -> Iterator[Difference]:
    for text in listed(expect.get("contains")):
        if str(text) not in answer.text:
            yield f"a body with '{text}'", short(answer)
    for text in listed(expect.get("not_contains")):
        if str(text) in answer.text:
            yield f"a body without '{text}'", short(answer)
    for pattern in listed(expect.get("matches")):
        if not re.search(str(pattern), answer.text, re.MULTILINE):
            yield f"a body matching {pattern}", short(answer)


def _json(path: str, value: Any, answer: Answer) -> Iterator[Difference]:
    """Compare one value; a string also equals a number or boolean that JSON writes the same way."""
    expected = f"{path} = {json.dumps(value)}"
    try:
        found = json_path(answer.text, path)
    except CaptureError as error:
        yield expected, f"{error} in {short(answer)}"
        return
    if found != value and not (isinstance(value, str) and json.dumps(found) == value):
        yield expected, json.dumps(found)


def listed(value: Any) -> list[Any]:
    """Return a value, a list of values or None as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def short(answer: Answer) -> str:
    """Describe a response in one line."""
    where = answer.header("Location")
    body = " ".join(_plain(answer).split())
    return f"status {answer.status}" + (f" to {where}" if where else f": {body}" if body else "")


def _plain(answer: Answer) -> str:
    """Return the body, without tags if it is a page."""
    if "html" not in (answer.header("Content-Type") or ""):
        return answer.text
    return html.unescape(re.sub(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", " ", answer.text, flags=re.S | re.I))
