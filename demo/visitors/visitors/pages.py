"""Parses pages: address and forms."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def kind(url: str) -> str:
    """Return a URL's path with IDs replaced by `<id>`."""
    return ID.sub("<id>", urlsplit(url).path)


@dataclass
class Form:
    """A form with its default values, and its first button pressed."""

    action: str
    method: str = "post"
    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    """Options of each list."""


class Page(HTMLParser):
    """A page and its forms."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self._buttons: set[int] = set()
        self._list = ""
        self._option: str | None = None
        self.feed(html)

    @property
    def path(self) -> str:
        """Path of the page's URL."""
        return urlsplit(self.url).path

    @property
    def fragment(self) -> str:
        """Fragment of the page's URL."""
        return urlsplit(self.url).fragment

    @property
    def known(self) -> bool:
        """Whether the user is logged in: then there is a logout form."""
        return any(form.action == "/logout" for form in self.forms)

    def having(self, name: str) -> Form | None:
        """Return the form with a field."""
        return next((form for form in self.forms if name in form.values), None)

    def leading(self, action: str) -> Form | None:
        """Return the form with this path as its action."""
        return next((form for form in self.forms if urlsplit(form.action).path == action), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms and their fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get").lower()))
            return
        if not self.forms:
            return
        form, name = self.forms[-1], values.get("name", "")
        if tag == "option" and self._list:
            self._option = ""
            if "value" in values:
                form.choices[self._list].append(values["value"])
                self._option = None
        elif not name:
            return
        elif tag == "select":
            self._list = name
            form.choices[name] = []
            form.values[name] = ""
        elif tag == "button" or values.get("type") == "submit":
            if len(self.forms) not in self._buttons:
                self._buttons.add(len(self.forms))
                form.values.setdefault(name, values.get("value", ""))
        elif tag in ("input", "textarea"):
            form.values.setdefault(name, values.get("value", ""))

    def handle_data(self, data: str) -> None:
        """Collect an option's text, which is its value by default."""
        if self._option is not None:
            self._option += data

    def handle_endtag(self, tag: str) -> None:
        """Complete options and lists; a list's default is its first option."""
        if tag == "option" and self._option is not None:
            self.forms[-1].choices[self._list].append(self._option.strip())
            self._option = None
        elif tag == "select" and self._list:
            form = self.forms[-1]
            form.values[self._list] = next(iter(form.choices[self._list]), "")
            self._list = ""
