"""The report of a proof of the egress guard, as a page and as text."""

from __future__ import annotations

import datetime
import re
from html.parser import HTMLParser

import jinja2
import pytest
from ansible.module_utils.greenroom.controller.hosts import egress_proof
from rendering import ROOT

FOUND = [
    {
        "routes": ["HTTP & more", "ICMP"],
        "places": {"00000001": "app1: root", "00000002": "app1: <shop>"},
        "impossible": [["ICMP", "00000002"]],
        "refused": 3,
    }
]
LISTED = "GR0x00000001az 198.19.200.10\nGR0x00000002az 198.19.200.10\n"
OPEN = "GR0x00000001bz 198.19.200.66\nGR0x00000002bz 198.19.200.66\nGR1x00000001bz icmp\n"
ESCAPE = "GR0x00000002az 198.19.200.66\n"


class Page(HTMLParser):
    """A page's tags, and its text by cell and list item."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def report(name: str, arrived: str, opened: bool = True) -> str:
    loader = jinja2.FileSystemLoader(ROOT / "roles/egress_proof/templates")
    # As the module `template` renders.
    environment = jinja2.Environment(loader=loader, trim_blocks=True, undefined=jinja2.StrictUndefined)
    found = egress_proof.result(FOUND, arrived, opened)
    when = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    return environment.get_template(name).render(environment_name="staging", found=found, now=lambda utc: when)


def test_the_page_has_each_attempt_and_needs_no_program() -> None:
    page = Page(report("guard.html.j2", LISTED + OPEN))
    assert "script" not in page.tags
    assert page.tags.count("td") == 4
    assert [text for text in page.texts if re.fullmatch(r"\W/\W", text)] == ["○/●", "○/●", "○/●"]
    assert {"PASSED", "HTTP & more", "app1: <shop>"} <= set(page.texts)


def test_an_escape_is_on_the_page_and_in_the_text() -> None:
    assert {"FAILED", "Escaped: HTTP & more, from app1: <shop>", "●/●"} <= set(
        Page(report("guard.html.j2", LISTED + OPEN + ESCAPE)).texts
    )
    text = report("guard.txt.j2", LISTED + OPEN + ESCAPE)
    assert "2026-01-02 03:04 UTC: FAILED\n" in text
    assert "\nEscaped: HTTP & more, from app1: <shop>\n" in text
    assert "\n  HTTP & more: 1 and 2 of 2\n" in text


@pytest.mark.parametrize("name", ["guard.html.j2", "guard.txt.j2"])
def test_a_proof_without_the_counter_check_says_so(name: str) -> None:
    assert "show" in report(name, LISTED, opened=False)
    assert "not tried" in report("guard.txt.j2", LISTED, opened=False)
