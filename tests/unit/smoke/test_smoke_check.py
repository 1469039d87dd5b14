# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module smoke_check: arguments, check mode, report, secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from modules import run_module
from webserver import Reply, serve


def test_all_checks_pass_and_nothing_changes(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "smoke.xml"
    with serve(lambda asked: Reply(200, "7")) as site:
        result = run_module(
            "smoke_check",
            checks=[
                {"name": "one", "url": "/", "expect": {"status": 200, "contains": 7}},
                {"name": "two", "url": "/${number}", "mutates": True},
            ],
            defaults={"url": site.url, "headers": {"X-Number": 5}},
            variables={"number": 5},
            junit=str(report),
        )
    assert not result.get("failed")
    assert (result["changed"], result["skipped_checks"]) == (False, 0)
    assert result["summary"].startswith("2 of 2 checks passed in ")
    assert [sorted(check) for check in result["checks"]] == [
        ["expected", "got", "name", "ok", "seconds", "skipped", "unreadable"]
    ] * 2
    assert {asked.path for asked in site.asked} == {"/", "/5"}
    assert site.asked[0].headers["X-Number"] == "5"
    assert ElementTree.parse(report).getroot().get("tests") == "2"


def test_a_failed_check_fails_the_module_in_one_line_with_all_verdicts(tmp_path: Path) -> None:
    report = tmp_path / "smoke.xml"
    with serve(lambda asked: Reply(503, "no database")) as site:
        result = run_module(
            "smoke_check",
            checks=[{"name": "one", "url": site.url}, {"name": "two", "url": site.url, "expect": {"status": 503}}],
            junit=str(report),
        )
    assert result["failed"]
    assert result["msg"] == "1 of 2 checks failed; first: one: expected status 200, got status 503: no database"
    assert [check["ok"] for check in result["checks"]] == [False, True]
    assert ElementTree.parse(report).getroot().get("failures") == "1"


def test_an_error_says_whose_checks_failed_and_what_to_do() -> None:
    with serve(lambda asked: Reply(503)) as site:
        result = run_module(
            "smoke_check",
            checks=[{"name": "one", "url": site.url}],
            subject="blue (live, release 1.0)",
            hint="Repair it",
        )
    assert result["msg"].startswith(
        "Repair it. blue (live, release 1.0): 1 of 1 checks failed; first: one: expected status 200"
    )


def test_a_page_is_shown_as_plain_text() -> None:
    page = "<html><head><style>p {color: red}</style></head><body><h1>Not\n found</h1><p>a &lt; b</p></body></html>"
    with serve(lambda asked: Reply(404, page, [("Content-Type", "text/html; charset=utf-8")])) as site:
        result = run_module("smoke_check", checks=[{"name": "one", "url": site.url}])
    assert result["msg"].endswith("got status 404: Not found a < b")
    with serve(lambda asked: Reply(404, "<a> is text here", [("Content-Type", "text/plain")])) as site:
        result = run_module("smoke_check", checks=[{"name": "one", "url": site.url}])
    assert result["msg"].endswith("got status 404: <a> is text here")


def test_checks_whose_secrets_can_not_be_read_are_never_passed() -> None:
    with serve(lambda asked: Reply()) as site:
        result = run_module("smoke_check", checks=[{"name": "one", "url": site.url}], unreadable=["password"])
    assert (site.asked, result["unreadable_checks"], result["skipped_checks"]) == ([], 1, 0)
    assert result["summary"].startswith("0 of 0 checks passed")


@pytest.mark.parametrize(("check", "mutating"), [(True, True), (False, False), (True, False)])
def test_check_mode_and_protected_environments_run_no_mutating_check(
    check: bool, mutating: bool, tmp_path: Path
) -> None:
    report = tmp_path / "smoke.xml"
    with serve(lambda asked: Reply()) as site:
        result = run_module(
            "smoke_check",
            check=check,
            checks=[{"name": "look", "url": site.url}, {"name": "buy", "url": f"{site.url}/buy", "mutates": True}],
            mutating=mutating,
            junit=str(report),
        )
    assert [asked.path for asked in site.asked] == ["/"]
    assert result["skipped_checks"] == 1
    assert result["summary"].endswith(", 1 skipped because they change data")
    assert report.exists() != check


def test_no_secret_is_ever_shown() -> None:
    def respond(asked: Any) -> Reply:
        shown = f"{asked.headers.get('Authorization')} {asked.body} {asked.headers.get('Cookie')}"
        return Reply(401, f"you sent {shown}", [("Set-Cookie", "session=c00kie-value")])

    with serve(respond) as site:
        result = run_module(
            "smoke_check",
            checks=[
                {
                    "name": "login",
                    "steps": [
                        {"url": "/", "expect": {"status": 401}},
                        {"url": "/", "form": {"password": "${persona}"}, "expect": {"contains": "${persona}!"}},
                    ],
                },
                {"name": "own", "url": "/", "username": "me", "password": "own secret"},
                {"name": "cookie", "url": "/", "expect": {"status": 401, "headers": {"Set-Cookie": False}}},
            ],
            defaults={"url": site.url, "username": "smoke", "password": "basic secret"},
            secret_variables={"persona": "persona secret"},
        )
    assert result["failed"]
    assert [check["ok"] for check in result["checks"]] == [False] * 3
    reported = {**result, "invocation": None, "text": None}
    for secret in ("persona", "basic", "own"):
        assert f"{secret} secret" not in result["text"]
        assert f"{secret}+secret" not in str(reported)
    assert "c00kie" not in str(reported)
    assert "c21va2U6" not in str(reported)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checks": [{"name": "it"}]}, "check 'it': url is missing"),
        ({"checks": [{"name": "it", "ulr": "/"}]}, "ulr"),
        ({"checks": [{"name": "it", "url": "/", "expect": {"stauts": 1}}]}, "stauts"),
        ({"checks": [{"name": "it", "url": "/", "type": "udp"}]}, "udp"),
        ({"checks": [{"url": "/"}]}, "name"),
        ({"checks": [], "deadline": 0}, "must be positive"),
        ({"checks": [], "concurrency": 0}, "must be positive"),
        ({}, "checks"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    result = run_module("smoke_check", **arguments)
    assert result["failed"]
    assert message in result["msg"]


def test_a_report_that_cannot_be_written_is_said_and_the_verdicts_stay() -> None:
    with serve(lambda asked: Reply()) as site:
        result = run_module("smoke_check", checks=[{"name": "a", "url": site.url}], junit="/dev/null/x.xml")
    assert result["failed"]
    assert result["msg"].startswith("can't write the report /dev/null/x.xml: ")
    assert result["checks"][0]["ok"]
