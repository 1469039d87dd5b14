# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Allowances, verdicts, and what people and pipelines get to see."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.module_utils.greenroom.controller.parity import allowances, document, report
from ansible.module_utils.greenroom.controller.parity.compare import compare
from ansible.module_utils.greenroom.controller.parity.result import Result, judge

from .test_compare import document as twin
from .test_compare import on, part

TODAY = date(2026, 12, 1)
ALLOWED = """
allowed:
  - what: "files: /etc/app.conf: timeout"
    reason: production has patience
    owner: platform team
    expires: {expires}
"""


def result(tmp_path: Path, plant: str = "", allowed: str = "") -> Result:
    """The result of twins, in one of which `plant` differs: any of finding, unknown, silent."""
    first, second = twin("staging", "198.51.100", "blue"), twin("production", "203.0.113", "green")
    if "finding" in plant:
        on(second, "app1", "files")["/etc/app.conf"]["settings"]["timeout"] = ["<script>alert(1)</script>"]
    if "unknown" in plant:
        second["hosts"]["app1"]["parts"]["packages"] = part({}, {"*": "dpkg-query did not end within 30 s"})
    if "silent" in plant:
        second["hosts"]["app1"] |= {"silent": "timed out", "parts": {}}
    path = tmp_path / "parity.yml"
    if allowed:
        path.write_text(allowed)
    return judge((first, second), compare(first, second), allowances.read(path), TODAY)


@pytest.mark.parametrize(
    ("plant", "allowed", "verdict"),
    [
        ("", "", "equal"),
        ("finding", "", "differs"),
        ("unknown", "", "can't tell"),
        ("finding, unknown", "", "differs"),
        ("finding", ALLOWED.format(expires="2026-12-01"), "equal"),
        ("finding, unknown", ALLOWED.format(expires="2026-12-01"), "can't tell"),
        ("finding", ALLOWED.format(expires="2026-11-30"), "differs"),
        ("", ALLOWED.format(expires="2027-12-01"), "differs"),
    ],
)
def test_the_verdict(tmp_path: Path, plant: str, allowed: str, verdict: str) -> None:
    assert result(tmp_path, plant, allowed)["verdict"] == verdict


VALUES = allowances.fingerprint(["30s"], ["<script>alert(1)</script>"])


def test_an_allowance_may_hold_for_these_values_only(tmp_path: Path) -> None:
    allowed = ALLOWED.format(expires="2027-12-01")
    exact = allowed.replace("timeout", f"timeout @{VALUES}")
    assert result(tmp_path, "finding", exact)["verdict"] == "equal"
    other = result(tmp_path, "finding", allowed.replace("timeout", "timeout @00000000"))
    assert [entry["note"] for entry in other["findings"]] == ["platform team allowed it with other values"]


def test_one_entry_may_allow_what_has_the_same_reason(tmp_path: Path) -> None:
    allowed = ALLOWED.format(expires="2027-12-01")
    both = allowed.replace('"files: /etc/app.conf: timeout"', '["files: /etc/app.conf: timeout", "packages: curl"]')
    found = result(tmp_path, "finding", both)
    assert [entry["what"] for entry in found["allowed"]] == ["files: /etc/app.conf: timeout"]
    assert [entry["what"] for entry in found["findings"]] == ["packages: curl"]


def test_an_expired_allowance_says_whose_it_was(tmp_path: Path) -> None:
    found = result(tmp_path, "finding", ALLOWED.format(expires="2026-11-30"))
    assert [entry["note"] for entry in found["findings"]] == ["was allowed until 2026-11-30 by platform team"]


def test_an_allowance_without_a_difference_is_a_finding(tmp_path: Path) -> None:
    found = result(tmp_path, "", ALLOWED.format(expires="2027-12-01"))
    assert [entry["note"] for entry in found["findings"]] == [
        "platform team allowed it, but nothing differs; remove it from the list"
    ]


def test_an_allowance_of_what_could_not_be_read_is_none(tmp_path: Path) -> None:
    allowed = ALLOWED.format(expires="2027-12-01").replace("files: /etc/app.conf: timeout", "packages: openssl")
    assert result(tmp_path, "unknown", allowed)["findings"] == []
    assert result(tmp_path, "silent", ALLOWED.format(expires="2027-12-01"))["findings"] == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "{what: ['files: /a', 'files: /etc/*'], reason: r, owner: o, expires: 2027-01-01}",
            "what` allows no wildcards",
        ),
        ("{what: 'file: /etc/x', reason: r, owner: o, expires: 2027-01-01}", 'did you mean "files"?'),
        ("{what: 'files: /etc/x', reason: r, owner: o}", "entry 1: `expires` is missing"),
        ("{what: 'files: /etc/x', reason: '', owner: o, expires: 2027-01-01}", "entry 1: `reason` is missing"),
        ("{what: 'files: /etc/x', reason: r, owner: o, expires: never}", "must be a date such as 2027-03-31, not 'nev"),
        ("{what: 'files: /etc/x', reason: r, owner: [o], expires: 2027-01-01}", "`owner` must be text"),
        (
            "{what: 'files: /etc/x', reason: r, ownr: o, expires: 2027-01-01}",
            'unknown key `ownr`; did you mean "owner"?',
        ),
        ("just a text", "entry 1: it must have the keys what, reason, owner, expires"),
    ],
)
def test_a_wrong_allowance_is_refused(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "parity.yml"
    path.write_text(f"allowed:\n  - {entry}\n")
    with pytest.raises(allowances.AllowanceError) as refusal:
        allowances.read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert said in str(refusal.value)


@pytest.mark.parametrize("content", ["allow: []", "- what: x", "allowed: {}", "allowed: [", ""])
def test_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "parity.yml"
    path.write_text(content)
    with pytest.raises(allowances.AllowanceError):
        allowances.read(path)


def test_the_same_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "parity.yml"
    entry = ALLOWED.format(expires="2027-01-01")
    path.write_text(entry + entry.removeprefix("\nallowed:\n"))
    with pytest.raises(allowances.AllowanceError, match="is allowed twice"):
        allowances.read(path)


class TestTheTerminal:
    def test_shows_both_values_where_to_look_and_what_repairs_it(self, tmp_path: Path) -> None:
        assert report.lines(result(tmp_path, "finding, unknown")) == [
            f"medium  files: /etc/app.conf: timeout @{VALUES} (on app1)",
            '        staging     ["30s"]',
            '        production  ["<script>alert(1)</script>"]',
            "        look: cat /etc/app.conf; repair: site.yml",
            "unknown packages (on app1)",
            "        production: dpkg-query did not end within 30 s",
            "Differs. staging (2026-12-01T10:00:00Z) and production (2026-12-01T10:00:00Z): 57 items compared, "
            "1 differ, 0 allowed, 1 unknown",
        ]

    def test_says_that_twins_are_equal(self, tmp_path: Path) -> None:
        assert report.lines(result(tmp_path))[0].startswith("Equal. staging")


def test_the_page_escapes_values_and_needs_no_network(tmp_path: Path) -> None:
    page = report.page(result(tmp_path, "finding, unknown"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "src=" not in page
    assert "href=" not in page
    assert "dpkg-query did not end within 30 s" in page


def test_a_pipeline_gets_a_failure_an_error_and_the_parts_that_are_equal(tmp_path: Path) -> None:
    suite = ElementTree.fromstring(report.junit(result(tmp_path, "finding, unknown")))
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds["files: /etc/app.conf: timeout"] == ["failure"]
    assert kinds["packages"] == ["error"]
    assert kinds["Kernel settings"] == []
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == ("1", "1", str(len(kinds)))


class TestADocument:
    def written(self, tmp_path: Path, **changed: Any) -> Path:
        path: Path = document.write(tmp_path, twin("staging", "198.51.100", "blue") | changed)
        return path

    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        path = self.written(tmp_path)
        assert document.read(path) == twin("staging", "198.51.100", "blue")
        assert path.stat().st_mode & 0o7 == 0

    def test_the_newest_of_an_environment_is_taken(self, tmp_path: Path) -> None:
        self.written(tmp_path)
        later = self.written(tmp_path, taken="2026-12-02T09:00:00Z")
        self.written(tmp_path, environment="staging-2", taken="2026-12-03T09:00:00Z")
        assert document.newest(tmp_path, "staging") == later

    def test_one_that_was_never_taken_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(document.DocumentError, match=r"no snapshot of production in .* playbooks/snapshot.yml"):
            document.newest(tmp_path, "production")

    def test_nothing_to_compare_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(document.DocumentError, match="Say what to compare: -e parity_of="):
            document.newest(tmp_path, "")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("{", "is no snapshot, or only a part of one"),
            ('{"format": 99}', "has format 99, and this version compares format 1"),
            ("[]", "has format None"),
        ],
    )
    def test_what_is_none_is_refused(self, tmp_path: Path, content: str, said: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(content)
        with pytest.raises(document.DocumentError, match=said):
            document.read(path)

    def test_an_edited_one_is_refused_with_the_place(self, tmp_path: Path) -> None:
        path = self.written(tmp_path)
        edited = json.loads(path.read_text())
        edited["hosts"]["app1"]["parts"]["packages"]["items"] = []
        path.write_text(json.dumps(edited))
        with pytest.raises(document.DocumentError, match="hosts/app1/parts/packages/items"):
            document.read(path)

    def test_is_made_of_what_the_hosts_said(self) -> None:
        began = 1_796_124_472.0
        results = {
            "app1": {"parts": {}, "clock": began + 7200, "root": True},
            "app2": {"unreachable": True, "msg": "timed out\nmore"},
            "app3": {"failed": True, "msg": "no python"},
        }
        known = {"environment": "staging", "names": {"domain": ["a.test"], "vault": [""]}, "addresses": {}, "sizes": {}}
        made = document.document(results, {"all": ["app1"], "staging": ["app1"], "app": ["app1"]}, known, {}, began)
        assert made["names"] == {"domain": ["a.test"], "vault": []}
        assert made["hosts"]["app1"]["groups"] == ["app"]
        assert [made["hosts"][name]["silent"] for name in results] == ["", "timed out", "no python"]
        assert made["taken"] == "2026-12-01T11:27:52Z"
