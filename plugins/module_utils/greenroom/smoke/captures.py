# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Extract values from an HTTP response: by JSON path, header, cookie, form, input or regular expression."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from ..common.web import Answer


class CaptureError(Exception):
    """A value is missing; the text names it."""


_PART = re.compile(r"""\.?(?:([^.\[\]]+)|\[(-?\d+)\]|\["([^"]*)"\]|\[([^\[\]=]+)=([^\[\]]*)\])""")


def json_path(text: str, path: str) -> Any:
    """Return the value at `path` in a JSON text; raises CaptureError if there is none.

    Parts of a path: `key`, `[0]` (negative numbers count from the end), `["a.b"]`, and `[attributes.name=csrf_token]`,
    the first item of a list that has this value at this path. Example:
    `ui.nodes[attributes.name=csrf_token].attributes.value`.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CaptureError("no valid JSON") from error
    return _walk(value, path)


def _walk(value: Any, path: str) -> Any:
    position = 0
    while position < len(path):
        part = _PART.match(path, position)
        if part is None:
            raise CaptureError(f"invalid path at '{path[position:]}'")
        position = part.end()
        key, index, quoted, test, wanted = part.groups()
        try:
            if index is not None:
                value = value[int(index)]
            elif test is not None:
                value = next(item for item in value if _text(_find(item, test)) == wanted)
            else:
                value = value[key if quoted is None else quoted]
        except (KeyError, IndexError, TypeError, StopIteration) as error:
            raise CaptureError(f"nothing at {path[:position]}") from error
    return value


def _find(value: Any, path: str) -> Any:
    try:
        return _walk(value, path)
    except CaptureError:
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Page(HTMLParser):
    """The forms and inputs of a page; the parser decodes entities in attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.inputs: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(given)
        elif tag in ("input", "button") and "name" in given:
            self.inputs.setdefault(given["name"], given.get("value", ""))


def capture(source: Mapping[str, Any], answer: Answer, cookies: Mapping[str, str]) -> str:
    """Return the value that `source` describes in a response; raises CaptureError if it is missing.

    `source` has one of `json` (path), `header`, `cookie`, `input` (name; gives its value) and `form` (id or name, empty
    for the first; gives its action as an absolute URL); without one, the value is the body. `regex` then takes its
    first group, or the whole match, and `unescape` decodes HTML entities.
    """
    text = _source(source, answer, cookies)
    if source.get("regex"):
        match = re.search(source["regex"], text, re.MULTILINE)
        if match is None:
            raise CaptureError(f"nothing matches {source['regex']}")
        text = match.group(1 if match.re.groups else 0) or ""
    return html.unescape(text) if source.get("unescape") else text


def _source(source: Mapping[str, Any], answer: Answer, cookies: Mapping[str, str]) -> str:
    if "json" in source:
        return _text(json_path(answer.text, source["json"]))
    if "header" in source:
        return _present(answer.header(source["header"]), f"no header {source['header']}")
    if "cookie" in source:
        return _present(cookies.get(source["cookie"]), f"no cookie {source['cookie']}")
    if "input" in source:
        return _present(_Page(answer.text).inputs.get(source["input"]), f"no input {source['input']}")
    if "form" in source:
        name = source["form"] or ""
        for form in _Page(answer.text).forms:
            if name in ("", form.get("id"), form.get("name")):
                return urljoin(answer.url, form.get("action", ""))
        raise CaptureError(f"no form {name}".rstrip())
    return answer.text


def _present(value: str | None, otherwise: str) -> str:
    if value is None:
        raise CaptureError(otherwise)
    return value
