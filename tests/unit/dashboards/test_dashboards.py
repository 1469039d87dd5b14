# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Dashboards: what they show of which environment, and how they reach a server that speaks Grafana's API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plays
import pytest
from ansible.module_utils.greenroom.controller.dashboards import grafana
from ansible.module_utils.greenroom.controller.dashboards.panels import DASHBOARDS
from webserver import Asked, Reply, Site, serve

CATALOGUE = {"shop": {"canary": {"metric": {"name": "shop_orders_total"}}}, "mail": {"canary": {}}, "plain": {}}
TOKEN = "glsa_given-to-the-playbook"


def made(**options: Any) -> dict[str, dict[str, Any]]:
    shown = grafana.shown(CATALOGUE, **({"broker": True, "egress": False} | options))
    found: dict[str, dict[str, Any]] = grafana.dashboards("staging", shown, "prometheus-staging")
    return found


class TestWhatTheyShow:
    def test_an_environment_has_dashboards_for_what_it_has(self) -> None:
        assert made(egress=True).keys() == DASHBOARDS.keys()
        assert DASHBOARDS.keys() - made(broker=False).keys() == {"broker", "egress"}

    def test_the_metric_that_judges_candidates_is_compared_between_the_slots(self) -> None:
        panel = made()["releases"]["panels"][-1]
        (target,) = panel["targets"]
        assert panel["title"] == "shop: shop_orders_total"
        assert (target["expr"], target["legendFormat"]) == ("sum by (slot) (rate(shop_orders_total[5m]))", "{{slot}}")

    def test_each_panel_has_a_place_of_its_own_and_asks_the_environments_prometheus(self) -> None:
        for name, dashboard in made().items():
            places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
            assert len(set(places)) == len(places) > 1, name
            for panel in dashboard["panels"]:
                assert panel["title"], name
                assert panel["fieldConfig"]["defaults"]["unit"], name
                for target in panel["targets"]:
                    assert target["datasource"] == {"type": "prometheus", "uid": "prometheus-staging"}
                    assert (bool(target["expr"]), bool(target["refId"])) == (True, True)

    def test_two_environments_never_write_the_same_dashboard(self) -> None:
        shown = grafana.shown(CATALOGUE, broker=True, egress=True)
        found = [
            dashboard["uid"]
            for environment in ("staging", "a-rather-long-name-of-an-environment", "a-rather-long-name-of-another")
            for dashboard in grafana.dashboards(environment, shown, "any").values()
        ]
        assert len(set(found)) == len(found)
        # What Grafana accepts.
        assert max(map(len, found)) <= 40


class Stand:
    """The part of Grafana's API that writing dashboards needs, as documented; it keeps them in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def respond(self, asked: Asked) -> Reply:
        """Answer one request."""
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Reply(401, '{"message": "Invalid API key"}')
        if asked.path == "/api/frontend/settings":
            return Reply(200, '{"buildInfo": {"version": "10.1.0"}}')
        if asked.path.startswith("/api/dashboards/uid/"):
            kept = self.kept.get(asked.path.rpartition("/")[2])
            return Reply(200, json.dumps(kept)) if kept else Reply(404, '{"message": "Dashboard not found"}')
        if asked.path == "/api/dashboards/db":
            dashboard = json.loads(asked.body)["dashboard"]
            old = self.kept.get(dashboard["uid"])
            version = old["dashboard"]["version"] + 1 if old else 1
            kept = {**dashboard, "id": len(self.kept) + 1, "version": version}
            self.kept[dashboard["uid"]] = {"dashboard": kept, "meta": {"folderId": 0, "folderUid": "", "slug": "x"}}
            return Reply(
                200, json.dumps({"status": "success", "uid": dashboard["uid"], "slug": "x", "version": version})
            )
        return Reply(404, "{}")


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def site(stand: Stand) -> Iterator[Site]:
    with serve(stand.respond) as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    plays.configure(tmp_path)
    reached = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": False}
    values = {"environment_name": "staging", "broker_wanted": True, "egress_wanted": False}
    more = {"dashboards_folder": str(tmp_path / "files"), "catalogue": CATALOGUE}
    plays.write_hosts(tmp_path, {"edge": {"hosts": {"edge1": {}}}}, reached | values)
    play = {"hosts": "all", "gather_facts": False, "vars": more, "roles": [{"role": "dashboards"}]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    return tmp_path


def test_they_are_written_once_and_again_only_after_a_change(folder: Path, stand: Stand, site: Site) -> None:
    given = ("-e", f"dashboards_grafana_url={site.url}", "-e", f"dashboards_grafana_token={TOKEN}")
    first = plays.run(folder, *given)
    assert first.returncode == 0, first.stdout
    assert len(stand.kept) == len(DASHBOARDS) - 1
    assert sorted(file.stem for file in (folder / "files").iterdir()) == sorted(DASHBOARDS.keys() - {"egress"})
    again = plays.run(folder, *given)
    assert "changed=0" in again.stdout, again.stdout
    (uid,) = [uid for uid in stand.kept if uid.startswith("hosts-staging-")]
    stand.kept[uid]["dashboard"]["panels"] = []
    assert "changed=1" in plays.run(folder, *given).stdout
    assert len(stand.kept[uid]["dashboard"]["panels"]) == 6
    assert TOKEN not in first.stdout + again.stdout


def test_check_mode_writes_nothing(folder: Path, stand: Stand, site: Site) -> None:
    given = ("-e", f"dashboards_grafana_url={site.url}", "-e", f"dashboards_grafana_token={TOKEN}")
    assert plays.run(folder, "--check", *given).returncode == 0
    assert (stand.kept, (folder / "files").exists()) == ({}, False)


def test_a_missing_token_and_a_wrong_one_are_told(folder: Path, stand: Stand, site: Site) -> None:
    missing = plays.run(folder, "-e", f"dashboards_grafana_url={site.url}")
    assert "there is no token: set GRAFANA_TOKEN" in " ".join((missing.stdout + missing.stderr).split())
    wrong = plays.run(folder, "-e", f"dashboards_grafana_url={site.url}", "-e", "dashboards_grafana_token=glsa_wrong")
    assert wrong.returncode != 0
    assert "401" in wrong.stdout + wrong.stderr
    assert stand.kept == {}
