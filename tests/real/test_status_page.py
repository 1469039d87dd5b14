# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The status page at the edge, and the history of the runs that it shows."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.greenroom.status_page.prometheus import QUERIES
from environment import ROOT, Environment, until

PATH = "/.greenroom/status"
ASK = """
import json, urllib.parse, urllib.request
queries = json.loads(%r)
for name, query in queries.items():
    words = urllib.parse.urlencode({"query": query})
    answer = json.load(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/query?" + words))
    print(json.dumps([name, len(answer["data"]["result"])]))
"""
DATA = """
import urllib.request
asked = urllib.request.Request("http://localhost:8408/", headers={"Accept": "application/json"})
print(urllib.request.urlopen(asked, timeout=30).read().decode())
"""
# Someone changes the first line of the history, and later puts it right.
CHANGE = """
import pathlib
file = pathlib.Path("/var/lib/greenroom/history/runs.jsonl")
kept = file.with_name("kept")
if kept.exists():
    kept.replace(file)
else:
    kept.write_bytes(file.read_bytes())
    file.write_bytes(file.read_bytes().replace(b'"user"', b'"User"', 1))
"""


def shown_in_dashboards(code: int) -> dict[str, str]:
    """The queries in the files that playbooks/dashboards.yml has written: {dashboard, panel and legend: PromQL}."""
    files = sorted((ROOT / "reports/dashboards/staging").glob("*.json"))
    assert (code, len(files)) == (0, 6)
    return {
        f"{file.stem} {panel['title']} {target['legendFormat']}": target["expr"]
        for file in files
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    }


def status(staging: Environment) -> dict[str, Any]:
    """The page's data, from the ops host itself."""
    data: dict[str, Any] = json.loads(staging.python("ops1", DATA))
    return data


def test_every_question_to_the_monitoring_has_an_answer(staging: Environment) -> None:
    shown = shown_in_dashboards(staging.play("playbooks/dashboards.yml").code)
    # No host needs a reboot, and nothing may be broken.
    queries = {name: query for name, query in (QUERIES | shown).items() if name != "reboot" and "ALERTS" not in query}

    def unanswered() -> list[str]:
        # Without requests, there is no share of failed ones.
        assert staging.get("/version")[0] == 200
        found = dict(json.loads(line) for line in staging.python("ops1", ASK % json.dumps(queries)).splitlines())
        return [name for name, number in found.items() if not number]

    until(lambda: not unanswered(), 120, "Prometheus has all that the page and the dashboards show")


def test_the_edge_shows_it_to_who_has_the_password(staging: Environment) -> None:
    code, headers, text = staging.get(PATH)
    assert (code, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"{staging.live()} is live" in text.lower()
    assert "<script" not in text
    connection = staging.connection()
    connection.request("GET", PATH)
    assert connection.getresponse().status == 401


def test_a_run_is_shown_with_its_reason_and_its_result(staging: Environment) -> None:
    # It may have something to do: another test may have deployed.
    assert staging.play("playbooks/monitoring.yml", "-e", "reason='a test'").code == 0
    wanted = ("monitoring.yml", "a test", "passed")

    def shown() -> bool:
        last = status(staging)["runs"][0]
        return (last["playbook"], last["reason"], last["result"]) == wanted

    until(shown, 30, "the page shows the last run")


def test_changed_lines_of_the_history_are_told(staging: Environment) -> None:
    staging.python("ops1", CHANGE)
    try:
        until(lambda: status(staging)["problems"], 30, "the page tells that the history was changed")
        audit = staging.play("playbooks/audit.yml", "-e", "since=1h")
        assert "ops1: the history does not fit together at line 2" in audit.output
    finally:
        staging.python("ops1", CHANGE)
    until(lambda: not status(staging)["problems"], 30, "the page shows the whole history")


def test_without_prometheus_it_says_so_and_recovers_by_itself(staging: Environment) -> None:
    staging.ssh_now("ops1", "sudo systemctl stop prometheus")
    try:
        data = until(lambda: (now := status(staging))["problems"] and now, 30, "the page tells that Prometheus is down")
        assert data["problems"][0].startswith("Prometheus does not respond")
        assert data["runs"]
    finally:
        staging.ssh_now("ops1", "sudo systemctl start prometheus")
    until(lambda: not status(staging)["problems"], 60, "the page shows everything again")


def test_it_comes_back_after_it_was_killed(staging: Environment) -> None:
    staging.ssh_now("ops1", "sudo systemctl kill --signal=KILL greenroom-status-page")
    until(lambda: staging.get(PATH)[0] == 200, 60, "the page is back")
