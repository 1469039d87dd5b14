# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The visitors without a site: their schedule, what they see of a page, their settings, and the verdict on a load."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from visitors import simulate
from visitors.journeys import JOURNEYS
from visitors.pages import Page, kind
from visitors.report import with_verdict
from visitors.schedule import Habits, Visit, turns, visits
from visitors.settings import Load, Settings, SettingsError
from visitors.verdict import judge
from visitors.visitor import VisitError, Visitor

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST_VISIT = ("2026-01-05T00:03:53+00:00", 8, "recover")
HABITS = Habits("1", 50, {"browse": 8, "order": 7, "mistype": 3, "recover": 2})


def day(habits: Habits = HABITS, start: datetime = MONDAY) -> list[Visit]:
    return list(visits(habits, start, start + DAY))


# The schedule


def test_the_same_seed_and_date_are_the_same_day() -> None:
    assert day() == day()
    assert day() != day(Habits("2", HABITS.users, HABITS.journeys))
    assert [visit.due.time() for visit in day()] != [visit.due.time() for visit in day(start=MONDAY + DAY)]


def test_this_day_is_as_it_was() -> None:
    """A visit that moves is a change that operators see: their audit trail doesn't fit the plan any more."""
    first = day()[0]
    assert (first.due.isoformat(), first.person, first.journey) == FIRST_VISIT


@given(st.integers(0, 365), st.text(max_size=5))
def test_every_hour_has_five_to_ten_visits_and_the_afternoon_more_than_the_night(offset: int, seed: str) -> None:
    habits = Habits(seed, HABITS.users, HABITS.journeys)
    by_hour = Counter(visit.due.hour for visit in day(habits, MONDAY + offset * DAY))
    assert len(by_hour) == 24
    assert all(5 <= count <= 10 for count in by_hour.values())
    assert by_hour[15] > by_hour[3] == 5


@given(st.lists(st.integers(1, 24 * 60 - 1), max_size=5, unique=True))
def test_a_day_in_pieces_is_the_day(cuts: list[int]) -> None:
    edges = [MONDAY, *(MONDAY + timedelta(minutes=cut) for cut in sorted(cuts)), MONDAY + DAY]
    pieces = [list(visits(HABITS, start, end)) for start, end in itertools.pairwise(edges)]
    assert [visit for piece in pieces for visit in piece] == day()


def test_all_journeys_are_made_and_everybody_may_come() -> None:
    month = [visit for number in range(30) for visit in day(start=MONDAY + number * DAY)]
    made = Counter(visit.journey for visit in month)
    assert set(made) == set(HABITS.journeys) == set(JOURNEYS)
    assert made["browse"] > made["order"] > made["mistype"] > made["recover"]
    users = Counter(visit.person for visit in month)
    assert set(users) == set(range(50))
    assert users[0] > users[49]
    assert len({visit.seed for visit in month}) == len(month)


def test_nobody_may_come_at_night() -> None:
    by_hour = Counter(visit.due.hour for visit in day(Habits("1", 1, {"browse": 1}, quietest=0, busiest=4)))
    assert by_hour[3] == 0
    assert by_hour[15] > 2


def test_an_interval_is_the_one_that_a_moment_is_in() -> None:
    at = MONDAY.replace(hour=9, minute=47, second=11)
    assert simulate.span(at, 10, None) == (MONDAY.replace(hour=9, minute=40), MONDAY.replace(hour=9, minute=50))
    assert simulate.span(at, 60, None) == (MONDAY.replace(hour=9), MONDAY.replace(hour=10))
    assert simulate.span(at, 10, timedelta(hours=2))[1] == MONDAY.replace(hour=11, minute=40)


# The visits of a load


@given(st.integers(1, 50), st.text(max_size=5))
def test_under_load_everybody_comes_and_nobody_waits_for_another(concurrent: int, seed: str) -> None:
    habits = Habits(seed, 50, HABITS.journeys)
    made = [list(itertools.islice(turns(habits, concurrent, number), 20)) for number in range(concurrent)]
    assert all(len(visits) == 20 for visits in made)
    of_each = [{visit.person for visit in visits} for visits in made]
    assert sum(len(users) for users in of_each) == len(set().union(*of_each))
    assert set().union(*of_each) <= set(range(50))
    assert len({visit.seed for visits in made for visit in visits}) == 20 * concurrent


def test_the_seed_decides_about_the_visits_of_a_load() -> None:
    def made(seed: str) -> list[Any]:
        return list(itertools.islice(turns(Habits(seed, 50, HABITS.journeys), 10, 3), 300))

    assert made("1") == made("1")
    assert [visit.journey for visit in made("1")] != [visit.journey for visit in made("2")]
    assert {visit.journey for visit in made("1")} == set(JOURNEYS)
    assert {visit.person for visit in made("1")} == {3, 13, 23, 33, 43}


def test_a_visitor_without_a_user_of_its_own_makes_no_visit() -> None:
    habits = Habits("1", 5, {"browse": 1})
    assert list(turns(habits, 10, 5)) == []
    assert list(turns(habits, 3, 3)) == []


class Clock(datetime):
    """A time that passes only when somebody sleeps."""

    at = MONDAY

    @classmethod
    def now(cls, zone: Any = None) -> datetime:  # type: ignore[override]
        return Clock.at


def test_everybody_comes_at_their_minute_and_the_last_one_before_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    came: list[tuple[datetime, Visit]] = []

    def sleep(seconds: float) -> None:
        Clock.at += timedelta(seconds=seconds)

    def make(_settings: Settings, visit: Visit, _pause: object) -> dict[str, object]:
        came.append((Clock.at, visit))
        return {"ok": visit.journey != "order"}

    monkeypatch.setattr(simulate, "datetime", Clock)
    monkeypatch.setattr("visitors.simulate.time.sleep", sleep)
    monkeypatch.setattr(simulate, "make", make)
    given = settings(tmp_path, {"people": [f"{number}@b.invalid" for number in range(50)], "journeys": HABITS.journeys})
    # The start is late, as a first one is that has to fetch the image.
    start = MONDAY.replace(hour=15)
    Clock.at = start + timedelta(minutes=20)
    assert simulate.run(given, start, start + timedelta(hours=1), wait=True) == 0
    assert [visit for _, visit in came] == list(visits(given.habits, start, start + timedelta(hours=1)))
    for at, visit in came:
        assert at == max(start + timedelta(minutes=20), min(visit.due, start + timedelta(minutes=58)))
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["visits"] == len(came)
    assert last["well"] == sum(visit.journey != "order" for _, visit in came)


# What a visitor makes of an answer


def answer(status: int, url: str = "https://a.test/login?flow=1", **headers: str) -> SimpleNamespace:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, url=url, text=PAGE, headers=sent, history=[], error=ConnectionError())


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (429, "GET /login: status 429: too many requests from this address for the edge"),
        (503, "GET /login: status 503 at /login"),
        (0, r"GET /login: no response \(ConnectionError\)"),
        (200, "GET /login: ended at /login, which is not the expected page"),
    ],
)
def test_what_is_wrong_is_said_with_the_step(tmp_path: Path, status: int, said: str) -> None:
    site = settings(tmp_path, {}).site
    visitor = Visitor(requests.Session(), site, site.users[0], random.Random(1), (0, 0))
    with pytest.raises(VisitError, match=f"^{said}$"):
        visitor.judge("GET", "https://a.test/login?flow=secret", answer(status), lambda page: page.path == "/")


def test_requests_slots_and_ids_are_noted(tmp_path: Path) -> None:
    site = settings(tmp_path, {}).site
    visitor = Visitor(requests.Session(), site, site.users[0], random.Random(1), (0, 0))
    page = visitor.judge(
        "GET", site.url, answer(200, X_Greenroom_Slot="blue", X_Request_Id="7"), lambda page: page.known
    )
    assert page.path == "/login"
    assert (visitor.counts["requests"], visitor.slots, visitor.request) == (1, {"blue"}, "7")


# Pages

PAGE = """
<form action="https://a.test/self-service/login?flow=1" method="POST"><input type="hidden" name="csrf_token" value="x">
  <input name="identifier"><input type="password" name="password" value="">
  <button type="submit" name="method" value="password">Log in</button>
  <button name="method" value="code">By mail</button></form>
<form action="/orders" method="post">
  <select name="item"><option>Gaffer tape</option><option value="2">Fog fluid</option></select>
  <button type="submit">Order</button></form>
<form action="/logout" method="post"><input name="form_token" value="t"></form>
"""


def test_a_form_sends_what_a_browser_would() -> None:
    page = Page("https://a.test/login?flow=1#there", PAGE)
    assert (page.path, page.fragment, page.known) == ("/login", "there", True)
    login = page.having("password")
    assert login is not None
    assert login.method == "post"
    assert login.values == {"csrf_token": "x", "identifier": "", "password": "", "method": "password"}
    order = page.having("item")
    assert order is not None
    assert order.choices == {"item": ["Gaffer tape", "2"]}
    assert order.values == {"item": "Gaffer tape"}
    assert page.having("nothing") is None
    assert page.leading("/logout") is page.forms[2]
    assert not Page("https://a.test/", "<p>Nothing").known


def test_visits_share_the_names_of_their_pages() -> None:
    url = "https://a.test/orders/0b6b0c4e-52d6-4f0e-9c1a-0c7f5b1a2d3e/cancel?flow=1"
    assert kind(url) == "/orders/<id>/cancel"


@pytest.mark.parametrize(("first", "paid"), [(0.1, 1), (0.9, 0)])
def test_most_orders_are_paid_where_there_is_a_form_for_it(tmp_path: Path, first: float, paid: int) -> None:
    """`first` decides whether the visitor pays; nobody cancels what can be paid only."""
    form = '<form action="/orders/{0}/{1}" method="post"><input name="card" value="4000000000000002"></form>'
    known = '<form action="/logout" method="post"></form>'
    identifier = "0b6b0c4e-52d6-4f0e-9c1a-0c7f5b1a2d3e"
    sent: list[tuple[str, dict[str, str]]] = []

    class Site(Visitor):
        def _send(self, method: str, url: str, data: dict[str, str] | None, expected: Any) -> Page:
            sent.append((kind(url), data or {}))
            more = form.format(identifier, "pay") if url.endswith("/orders") else ""
            page = Page(
                f"https://a.test{ {'/login': '/'}.get(kind(url), '/orders') }#order-{identifier}", PAGE + more + known
            )
            return page

    site = settings(tmp_path, {}).site
    chance = SimpleNamespace(random=lambda: first, uniform=lambda *_: 0, choice=lambda items: items[0])
    visitor = Site(requests.Session(), site, site.users[0], chance, (0, 0))  # type: ignore[arg-type]
    JOURNEYS["order"](visitor)
    pays = [data["card"] for path, data in sent if path == "/orders/<id>/pay"]
    assert pays == ["4242424242424242"] * paid
    assert visitor.counts["payments"] == paid


# Settings

GIVEN = {
    "url": "https://a.test/",
    "ca_file": "/ca.crt",
    "mail_url": "http://127.0.0.1:1080",
    "people": ["a@b.invalid"],
    "seed": 1,
    "journeys": {"browse": 1, "recover": 1, "order": 0},
}


def settings(tmp_path: Path, change: dict[str, Any], **environment: str) -> Settings:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({key: value for key, value in {**GIVEN, **change}.items() if value is not None}))
    return Settings.read(path, {"VISITORS_PASSWORD": "one for all", **environment})


def test_settings_are_read_and_secrets_are_not_shown(tmp_path: Path) -> None:
    found = settings(tmp_path, {"load": {"users": 1}}, VISITORS_PASSWORDS='{"a@b.invalid": "my own"}')
    assert found.site.url == "https://a.test"
    assert found.site.password_of("a@b.invalid") == "my own"
    assert found.site.password_of("c@b.invalid") == "one for all"
    assert set(found.habits.journeys) == {"browse", "recover"}
    assert (found.load.users, found.load.duration) == (1, 60)
    assert "one for all" not in repr(found)
    assert "my own" not in repr(found)


def test_without_mail_nobody_recovers_an_account(tmp_path: Path) -> None:
    assert set(settings(tmp_path, {"mail_url": ""}).habits.journeys) == {"browse"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": None}, "url: missing"),
        ({"poeple": []}, "poeple: unknown"),
        ({"people": []}, "people and journeys: each needs at least one entry"),
        ({"journeys": {"recover": 1}, "mail_url": ""}, "people and journeys: each needs at least one entry"),
        ({"interval": 7}, "an hour isn't a multiple of 7 minutes"),
        ({"logins": {"quietest": 9, "busiest": 3}}, "quietest must be 0 or more"),
        ({"logins": {"hourly": 3}}, "hourly"),
        ({"load": {"user": 3}}, "user"),
        ({"load": {"users": 2}}, "load.users: 2, but people has only 1; each needs one of its own"),
        ({"journeys": {"shop": 1}}, "shop: unknown journey"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(tmp_path, change)


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="VISITORS_PASSWORD is missing"):
        settings(tmp_path, {}, VISITORS_PASSWORD="")


# The verdict

THRESHOLDS = Load(users=7, p95_ms=800, error_percent=1)


def judged(**changes: Any) -> dict[str, Any]:
    return judge(THRESHOLDS, **{"users": 7, "requests": 1000, "failed": 0, "p95_ms": 800, "failures": {}, **changes})


def test_a_load_that_is_borne_passes() -> None:
    assert judged(failed=10, failures={"status 503": 10}) == {
        "passed": True,
        "problems": [],
        "thresholds": [
            {"name": "95 % of the requests, at most", "wanted": "800 ms", "measured": "800 ms", "held": True},
            {"name": "Failed requests, at most", "wanted": "1 %", "measured": "1.00 %", "held": True},
            {"name": "Users, at least", "wanted": "7", "measured": "7", "held": True},
        ],
        "users": 7,
        "seconds": 60,
        "requests": 1000,
        "failed": 10,
        "error_percent": 1.0,
        "p95_ms": 800,
        "reasons": ["10 times: status 503"],
    }


def test_each_threshold_that_is_crossed_is_named_with_its_figures() -> None:
    failures = {"status 500": 2, "status 503": 9, "no answer": 1, "status 429": 5}
    found = judged(users=5, failed=17, p95_ms=1234.5, failures=failures)
    assert not found["passed"]
    assert found["problems"] == [
        "only 5 of 7 users sent a request",
        "95 % of the requests took up to 1234 ms, 800 ms are allowed",
        "1.70 % of the requests failed, 1 % are allowed",
    ]
    assert [each["held"] for each in found["thresholds"]] == [False, False, False]
    assert found["reasons"] == ["9 times: status 503", "5 times: status 429", "2 times: status 500"]


def test_a_load_that_asked_for_nothing_proves_nothing() -> None:
    assert judged(users=0, requests=0, p95_ms=0)["problems"] == ["no request was sent"]


def test_the_report_shows_the_verdict_before_the_tables_of_locust() -> None:
    page = '<head><script>"<body>"</script></head><body><div id="root"></div></body>'
    bad = with_verdict(page, judged(p95_ms=801, failures={"<b>": 3}))
    before, _shown, after = bad.partition('<section class="verdict failed"><h1>The load test failed</h1>')
    assert before.startswith('<head><script>"<body>"</script></head><body><style>')
    assert after.endswith('</section><div id="root"></div></body>')
    assert "<p>1000 requests by 7 users in 60 s.</p>" in after
    assert "<li>95 % of the requests took up to 801 ms, 800 ms are allowed</li>" in after
    assert "<td>95 % of the requests, at most</td><td>800 ms</td><td>801 ms</td><td>not held</td>" in after
    assert "<li>3 times: &lt;b&gt;</li>" in after
    assert "The load test passed" in with_verdict(page, judged())
