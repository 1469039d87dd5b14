# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The report of a drill: one file that says everything, and needs nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from ansible.module_utils.greenroom.controller.drill import drill, page, plot, scenarios
from drill_samples import record, sample

FAULTS = sorted(scenarios.SCENARIOS)
VOID = {"meta", "link", "br", "img", "input"}


class Nesting(HTMLParser):
    """Follows what is open, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Nothing is open then."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("fault", FAULTS)
def test_a_page_is_whole_and_needs_no_other_file(fault: str) -> None:
    result = drill.judge(*sample(fault))
    text = page.page(result)
    parser = Nesting()
    parser.feed(text)
    assert parser.open == []
    assert not re.search(r"(?i)https?:|<script|<link|<img|@import|url\(|src=", text)
    for words in ("PASSED", result["says"], "Expected and found", f"{result['figures']['sent']:,}"):
        assert words in parser.text


@pytest.mark.parametrize("fault", FAULTS)
def test_the_picture_is_well_formed_and_nothing_lies_outside_of_it(fault: str) -> None:
    picture = ET.fromstring(plot.picture(drill.judge(*sample(fault))))
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    for one in picture.iter("rect"):
        x, y, wide, high = (float(one.attrib[key]) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    for line in picture.iter("polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_the_line_of_latency_has_a_gap_where_nothing_was_answered() -> None:
    result = drill.judge(*sample("fails-after-cutover"))
    lines = [line for line in ET.fromstring(plot.picture(result)).iter("polyline") if line.get("class") == "p99"]
    assert len(lines) == 2


def test_what_comes_from_outside_is_escaped() -> None:
    happened, sent = sample("candidate-unhealthy")
    happened["children"][0]["said"] = "<b>no</b> & <script>alert(1)</script>"
    happened["faults"][0]["units"] = ["<i>.service"]
    sent[3] |= {"outcome": "5xx", "why": "<img src=x>"}
    text = page.page(drill.judge(happened, sent))
    assert not re.search("<b>no|<script|<i>.service|<img", text)
    assert "&lt;script&gt;" in text


def test_a_failed_drill_says_what_was_not_as_expected() -> None:
    happened, sent = sample("none")
    sent[3] |= {"outcome": "reset", "why": "connection reset by peer"}
    text = page.page(drill.judge(happened, sent))
    assert "FAILED" in text
    assert "connection reset by peer" in text
    assert text.count('<tr class="bad">') == 1


def test_a_drill_without_any_load_or_run_still_has_a_page() -> None:
    text = page.page(drill.judge(record("none", 5, [], trouble="Send requests: no such image"), []))
    assert "no such image" in text


def test_what_happened_is_told_in_order() -> None:
    told = [what for _, what in page.events(drill.judge(*sample("fails-after-cutover")))]
    assert told == [
        "first request sent",
        "cutover starts",
        "green sends most responses",
        "cutover: done",
        "shop-green.service stopped on app1",
        "first lost request sent",
        "rollback starts",
        "blue sends most responses",
        "rollback: done",
        "fault undone",
    ]
