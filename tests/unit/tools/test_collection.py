# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""`make collection`: the archive, installed in an empty project, works there without anything of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_haproxy import FakeHaproxy
from fake_kratos import FakeKratos
from webserver import Asked, Reply, Site, serve

from tools import collection

PROGRAMS = Path(sys.executable).parent
OURS = "greenroom.greenroom"
PASSWORD = "correct horse 7"


class Project:
    """An empty project with the collection."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self.folder, self.archive = folder, archive
        settings = ["collections_path = collections", f"local_tmp = {folder}/local", f"remote_tmp = {folder}/remote"]
        (folder / "ansible.cfg").write_text("\n".join(["[defaults]", *settings, ""]))
        done = self.run("ansible-galaxy", "collection", "install", str(archive), "--offline", "-p", "collections")
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH"))}
        environment = {**own, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "COLUMNS": "10000"}
        command = [str(PROGRAMS / program), *words]
        return subprocess.run(
            command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True, timeout=250
        )

    def play(self, *tasks: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Run tasks on this machine, failed ones too, and return the result of each module."""
        names = [next(name for name in task if name.startswith(OURS)).rpartition(".")[2] for task in tasks]
        plain = [
            {**task, "register": f"result_{index}", "ignore_errors": True} for index, task in enumerate(tasks, start=1)
        ]
        results = {name: f"{{{{ result_{index} }}}}" for index, name in enumerate(names, start=1)}
        told = {"ansible.builtin.copy": {"content": results, "dest": str(self.folder / "results.json"), "mode": "0600"}}
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [*plain, told]}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        done = self.run("ansible-playbook", "play.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, dict[str, Any]] = json.loads((self.folder / "results.json").read_text())
        # A module that can't be imported fails without a message of its own.
        assert not [name for name, result in found.items() if "Error: No module" in str(result)], found
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    return Project(folder, collection.build(tmp_path_factory.mktemp("dist")))


def test_the_archive_has_the_modules_and_nothing_of_the_project(project: Project) -> None:
    with tarfile.open(project.archive) as archive:
        names = archive.getnames()
    assert {"README.md", "CHANGELOG.md", "LICENSE", "docs/modules.md"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert tops <= {"plugins", "meta", "docs", "README.md", "CHANGELOG.md", "LICENSE", "MANIFEST.json", "FILES.json"}
    assert not [name for name in names if "portal" in name or "environment_" in name or name.endswith(".pyc")]
    found = [name for name in names if name.startswith("plugins/modules/") and name.endswith(".py")]
    assert sorted(Path(name).stem for name in found) == collection.modules()


def test_no_plugin_imports_what_only_the_checkout_has(project: Project) -> None:
    for file in (project.folder / "collections").rglob("plugins/**/*.py"):
        assert "ansible.module_utils.greenroom" not in file.read_text(), file


def test_ansible_doc_shows_modules_and_filters(project: Project) -> None:
    shown = project.run("ansible-doc", "--json", *(f"{OURS}.{name}" for name in collection.modules()))
    documented = json.loads(shown.stdout)
    assert sorted(documented) == [f"{OURS}.{name}" for name in collection.modules()]
    for name, item in documented.items():
        assert item["doc"]["short_description"]
        assert f"{name}:" in item["examples"]
    # It has options of a doc fragment.
    assert "client_cert" in documented[f"{OURS}.identity_info"]["doc"]["options"]
    filters = [f"{OURS}.{name}" for name in ("person_address", "person_password", "personas_wanted", "totp_code")]
    shown = project.run("ansible-doc", "--json", "-t", "filter", *filters)
    assert sorted(json.loads(shown.stdout)) == filters


def _tasks(folder: Path, kratos: Site, site: Site, edge: dict[str, str]) -> list[dict[str, Any]]:
    """A task for each module."""
    people = {
        "url": kratos.url,
        "set": "people",
        "count": 2,
        "domain": "people.shop.invalid",
        "personas": f"{{{{ query('{OURS}.named_people', '{folder}/people.csv') }}}}",
        "password": PASSWORD,
        "cost": 10,
        "allowed": True,
        "ledger": f"{folder}/people.db",
        "generators": f"{folder}/generators",
    }
    tree = {"name": "shop", "trees": [{"src": f"{folder}/files", "dest": f"{folder}/etc"}], "manifest": f"{folder}/m"}
    one = {"name": "It says {{ 'hello' }}", "url": "/", "expect": {"contains": "hello"}}
    probed = {"url": site.url, "live": "blue", "candidate": "green", "seconds": 0.1}
    event = {"environment": "shop", "event": "start", "text": "it works"}
    given: dict[str, dict[str, Any]] = {
        "template_tree": tree,
        "smoke_check": {"defaults": {"url": site.url}, "checks": [one]},
        "identity_seed": people,
        "identity_info": {"url": kratos.url},
        "identity_export": {"url": kratos.url, "set": "people", "people_file": f"{folder}/people.jsonl"},
        "bluegreen_switch": {"site": "shop", "live": "green", **edge},
        "canary_probe": probed,
        "canary_traffic": {"socket": edge["socket"], "master_socket": edge["master_socket"]},
        "notification": {"event": event, "url": f"{site.url}/hook"},
        "slot_ready": {"containers": []},
        "slot_trial": {"containers": []},
        "drill_fault": {},
        "postgres_databases": {},
        "broker_definitions": {"vhost": "shop"},
        "valkey_logins": {},
        "image_fit": {"services": []},
        "image_pull": {"images": []},
        "edge_maintenance": {},
        "host_snapshot": {"files": [f"{folder}/people.csv"]},
        "edge_servers": {"host": "app1", "state": "ready"},
    }
    return [{f"{OURS}.{name}": options} for name, options in given.items()]


def test_each_module_works_in_a_plain_playbook(project: Project, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "shop.conf.j2").write_text("workers = {{ 2 + 2 }}\n")
    (tmp_path / "people.csv").write_text("key,first,last\nzoe,Zoe,Miller\n")
    places = {"socket": str(tmp_path / "admin.sock"), "master_socket": str(tmp_path / "master.sock")}
    files = {"state_file": str(tmp_path / "state.json"), "map_file": str(tmp_path / "live.map")}
    kratos, heard = FakeKratos(), []

    def respond(asked: Asked) -> Reply:
        heard.append(asked)
        return Reply(200, "hello", [("Content-Type", "text/plain")])

    proxy = FakeHaproxy(tmp_path, files["map_file"])
    with serve(kratos.respond) as identities, serve(respond) as site, proxy.running():
        results = project.play(*_tasks(tmp_path, identities, site, {**files, **places}))
    failed = {name: result.get("msg") for name, result in results.items() if result.get("failed")}
    # There is no database, broker, cache server or edge here, and the modules say so.
    elsewhere = {"postgres_databases", "broker_definitions", "valkey_logins", "edge_maintenance", "edge_servers"}
    assert set(failed) <= {*elsewhere, "canary_traffic", "drill_fault"}, failed
    assert not [message for message in failed.values() if "import" in str(message).lower()], failed
    assert (tmp_path / "etc" / "shop.conf").read_text().endswith("workers = 4\n")
    assert results["smoke_check"]["summary"].startswith("1 of 1 checks passed")
    assert results["identity_seed"]["created"] == 3
    assert any(each["traits"]["name"]["last"] == "Miller" for each in kratos.identities.values())
    assert results["identity_info"]["sets"]["people"]["users"] == 3
    assert results["identity_export"]["users"] == 3
    assert results["bluegreen_switch"]["live"] == "green"
    assert results["host_snapshot"]["parts"]["files"]["items"].keys() == {str(tmp_path / "people.csv")}
    assert any(asked.method == "POST" and "it works" in asked.body for asked in heard)
    assert set(results) == set(collection.modules())
