# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The status page: what it gathers, what it shows, and what it says when it can't."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.lock import remote
from ansible.module_utils.greenroom.status_page import gather, page, prometheus, serve
from webserver import Asked, Reply
from webserver import serve as web

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LIVE = "green, release 1.1"
ANSWERS: dict[str, list[tuple[dict[str, str], float]]] = {
    "live": [({"slot": "green"}, 1)],
    "servers": [({"route": "portal_http", "slot": slot}, 2) for slot in ("blue", "green")],
    "requests": [({"slot": "green"}, 10), ({"slot": "blue"}, 0)],
    "errors": [({"slot": "green"}, 0.5)],
    "up": [({"host": "app1"}, 1), ({"host": "app2"}, 0)],
    "memory": [({"host": "app1"}, 55.4)],
    "disk": [({"host": "app1"}, 70)],
    "reboot": [({"host": "app1"}, 1)],
    "certificates": [({"host": "app1"}, 10 * 86400)],
    "backups": [({"what": "databases"}, NOW.timestamp() - 7200)],
}
ALERT = {
    "state": "firing",
    "activeAt": "2026-01-01T11:00:00.5Z",
    "labels": {"alertname": "DiskFull", "severity": "warning", "host": "app1", "job": "hosts"},
    "annotations": {"summary": "A <disk> is almost full"},
}
WATCHDOG = {"state": "firing", "labels": {"alertname": "Watchdog", "severity": "none"}}
PENDING = ALERT | {"state": "pending"}


def note(settings: dict[str, Any], number: int, event: str, **more: Any) -> None:
    """Write an event of a run into the history, as the lock does."""
    since = f"2026-01-01T0{number % 10}:00:00Z"
    me = {"id": str(number), "user": "ann", "host": "control1", "playbook": "site.yml", "since": since}
    remote.History(settings["history"]).add(event, me | more)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "environment": "staging",
        "address": "https://portal.test",
        "history": str(tmp_path / "runs.jsonl"),
        "lock": str(tmp_path / "lock.json"),
        "expire_seconds": 20,
        "shown_runs": 20,
        "listen": "127.0.0.1",
        "port": 0,
    }


@contextmanager
def monitoring(answers: dict[str, Any], alerts: list[dict[str, Any]]) -> Iterator[prometheus.Prometheus]:
    """A server that answers Prometheus' documented protocol."""
    names = {query: name for name, query in prometheus.QUERIES.items()}

    def respond(asked: Asked) -> Reply:
        if asked.path == "/api/v1/alerts":
            return Reply(200, json.dumps({"status": "success", "data": {"alerts": alerts}}), [])
        samples = answers[names[asked.query["query"][0]]]
        result = [{"metric": labels, "value": [0, str(value)]} for labels, value in samples]
        return Reply(200, json.dumps({"status": "success", "data": {"result": result}}), [])

    with web(respond) as site:
        yield prometheus.Prometheus(site.url)


def gathered(settings: dict[str, Any], *alerts: dict[str, Any], **changed: Any) -> gather.Status:
    with monitoring(ANSWERS | changed, list(alerts)) as server:
        return gather.gather(settings, server, NOW)


class TestGathering:
    def test_it_says_which_slot_is_live_and_what_the_slots_have(self, settings: dict[str, Any]) -> None:
        summary = {"live slot": LIVE, "idle slot": "blue, release 1.0"}
        note(settings, 1, "began")
        note(settings, 1, "ended", result="passed", summary=summary)
        status = gathered(settings)
        assert (status["live"], status["problems"]) == ("green", [])
        assert [(slot["name"], slot["live"], slot["release"]) for slot in status["slots"]] == [
            ("blue", False, "1.0"),
            ("green", True, "1.1"),
        ]
        assert status["slots"][1] | {} == status["slots"][1] | {"servers": {"portal_http": 2}, "errors": 5.0}
        # Without a request, there is no share of errors.
        assert status["slots"][0]["errors"] is None

    def test_a_later_run_wins_and_one_that_failed_says_nothing_of_releases(self, settings: dict[str, Any]) -> None:
        before = {"live slot": "blue, release 1.0", "idle slot": "green, empty"}
        after = {"live slot": LIVE, "idle slot": "blue, release 1.0"}
        note(settings, 1, "ended", result="passed", summary=before)
        note(settings, 2, "ended", result="passed", summary=after)
        note(settings, 3, "ended", result="failed", task="edge : Reload", hosts=["edge1"])
        assert [slot["release"] for slot in gathered(settings)["slots"]] == ["1.0", "1.1"]

    def test_alerts_that_fire_are_shown_without_the_one_that_always_does(self, settings: dict[str, Any]) -> None:
        (alert,) = gathered(settings, WATCHDOG, PENDING, ALERT)["alerts"]
        assert alert == {
            "name": "DiskFull",
            "severity": "warning",
            "since": "2026-01-01T11:00:00Z",
            "summary": "A <disk> is almost full",
            "labels": {"host": "app1"},
        }

    def test_the_run_that_has_the_lock_is_running(self, settings: dict[str, Any]) -> None:
        note(settings, 1, "began")
        note(settings, 2, "began")
        remote.Lock(settings["lock"], {"id": "2"}, 20).take()
        status = gathered(settings)
        assert [(run["id"], run["result"]) for run in status["runs"]] == [("2", "running"), ("1", "crashed")]
        assert [run["id"] for run in status["running"]] == ["2"]

    def test_hosts_and_backups(self, settings: dict[str, Any]) -> None:
        status = gathered(settings)
        first, second = status["hosts"]
        assert first | {"memory": 55} == {
            "name": "app1",
            "up": True,
            "memory": 55,
            "disk": 70.0,
            "reboot": True,
            "certificate": 10.0,
        }
        assert (second["up"], second["memory"], second["certificate"]) == (False, None, None)
        assert status["backups"] == [{"what": "databases", "hours": 2.0}]

    @pytest.mark.parametrize("reply", [Reply(500, "", []), Reply(200, "{", []), Reply(200, '{"status": "error"}', [])])
    def test_without_the_monitoring_it_still_shows_the_runs(self, settings: dict[str, Any], reply: Reply) -> None:
        note(settings, 1, "began")
        note(settings, 1, "ended", result="passed")
        with web(lambda asked: reply) as site:
            status = gather.gather(settings, prometheus.Prometheus(site.url), NOW)
        assert [run["result"] for run in status["runs"]] == ["passed"]
        assert len(status["problems"]) == 1
        assert status["problems"][0].startswith("Prometheus ")
        assert "State unknown" in page.page(status)

    def test_changed_lines_of_the_history_are_told(self, settings: dict[str, Any]) -> None:
        note(settings, 1, "began")
        note(settings, 1, "ended", result="passed")
        history = Path(settings["history"])
        history.write_text(history.read_text().replace("ann", "eve", 1))
        assert "at line 2" in " ".join(gathered(settings)["problems"])

    def test_no_slot_is_live_before_the_first_cutover(self, settings: dict[str, Any]) -> None:
        assert "No slot is live" in page.page(gathered(settings, live=[]))


class TestThePage:
    def shown(self, settings: dict[str, Any], *alerts: dict[str, Any]) -> str:
        return str(page.page(gathered(settings, *alerts)))

    def test_it_needs_nothing_from_elsewhere_and_no_script(self, settings: dict[str, Any]) -> None:
        text = self.shown(settings, ALERT)
        assert not re.search(r"<script|<link|<img|@import|url\(|\bon\w+=", text)
        assert re.findall(r'(?:href|src)="([^"]*)"', text) == ["https://portal.test"]

    def test_what_runs_say_is_text_and_never_markup(self, settings: dict[str, Any]) -> None:
        evil = "<script>alert(1)</script>"
        who = {"user": evil, "playbook": evil, "reason": evil}
        note(settings, 1, "ended", result="failed", task=evil, hosts=[evil], **who)
        text = self.shown(settings, ALERT)
        assert "<script" not in text
        assert text.count("&lt;script&gt;") == 5
        assert "A &lt;disk&gt; is almost full" in text

    def test_it_says_in_words_what_its_colors_say(self, settings: dict[str, Any]) -> None:
        assert "<strong>Green is live</strong>" in self.shown(settings)
        assert "<strong>Green is live, 1 alert</strong>" in self.shown(settings, ALERT)
        text = self.shown(settings)
        assert '<strong class="bad">does not respond</strong>' in text

    def test_a_full_page_is_small(self, settings: dict[str, Any]) -> None:
        for number in range(99):
            note(settings, number, "ended", result="passed", reason="x" * 200)
        assert 10_000 < len(self.shown(settings, *[ALERT] * 50)) < 100_000


@pytest.fixture
def url(settings: dict[str, Any]) -> Iterator[str]:
    with monitoring(ANSWERS, []) as server:
        site = serve.serve(settings | {"prometheus": server.url})
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()
        site.server_close()


class TestServing:
    def ask(self, url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        asked = urllib.request.Request(url, headers=headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=20) as response:
                return response.status, dict(response.headers), response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    @pytest.mark.parametrize("path", ["/", "/.greenroom/status", "/.greenroom/status?a=b"])
    def test_people_get_the_page(self, url: str, path: str) -> None:
        status, headers, text = self.ask(url + path, Accept="text/html")
        assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
            200,
            "text/html; charset=utf-8",
            "no-store",
        )
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Green is live" in text

    def test_programs_get_data(self, url: str) -> None:
        status, headers, text = self.ask(url, Accept="application/json")
        assert (status, headers["Content-Type"], json.loads(text)["live"]) == (200, "application/json", "green")

    def test_nothing_else_is_served(self, url: str) -> None:
        assert self.ask(f"{url}/etc/passwd")[0] == 404
        assert self.ask(url, "POST")[0] == 501
        status, headers, text = self.ask(url, "HEAD")
        assert (status, text, int(headers["Content-Length"]) > 1000) == (200, "", True)

    def test_many_people_cost_one_question(self, settings: dict[str, Any]) -> None:
        asked = []
        latest = serve.Latest(lambda: asked.append(1) or {"number": len(asked)})  # type: ignore[func-returns-value]
        assert [latest.status()["number"] for _ in range(50)] == [1] * 50
        latest._until = 0
        assert latest.status()["number"] == 2
