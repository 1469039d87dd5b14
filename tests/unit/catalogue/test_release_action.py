# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The ID of a release in a run: it changes with each value that the environment gives to bundles."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import plays
import pytest

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - environment_release: {name: "1.0", registry: registry.test}
      run_once: true
      register: found
    - ansible.builtin.debug: {msg: "ID={{ found.release.id }}"}
      run_once: true
"""
SMTP = {
    **{
        "kind": "mail",
        "mode": "account",
        "url": "smtp://mail.test",
        "scheme": "smtp",
        "host": "mail.test",
        "port": 587,
    },
    **{"tls": "starttls", "values": {}, "budget": {}},
}
# Takes each tag for a digest.
REGISTRY = """
registries.Registry.resolve = lambda self, images: {name: "sha256:" + "0" * 64 for name in images}
"""


class Runs:
    """Runs the action for the project's own services."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "action").mkdir()
        source = (plays.ROOT / "plugins/action/environment_release.py").read_text()
        place = f"PROJECT = Path({str(plays.ROOT)!r})"
        (folder / "action/environment_release.py").write_text(
            source.replace("PROJECT = Path(__file__).resolve().parents[2]", place) + REGISTRY
        )
        (folder / "play.yml").write_text(PLAY)
        plays.configure(folder, action_plugins=folder / "action")

    def identity(self, first: str = "ops1", **given: Any) -> str:
        """The ID in a run in which `first` is the first host of the inventory."""
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {name: {**host, "database_address": name} for name in (first, "app1")}
        plays.write_hosts(self.folder, {"a": {"hosts": hosts}, "app": {"hosts": {"app1": {}}}}, {})
        run = plays.run(self.folder, "-e", json.dumps(given))
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout.partition("ID=")[2][:64]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def test_the_id_changes_with_values_of_the_environment_and_not_with_the_host_that_computes_it(runs: Runs) -> None:
    plain = runs.identity()
    assert len(plain) == 64
    assert runs.identity(first="edge1", unused="x", secrets_values={"a": 1}) == plain
    # In a service's environment, in a configuration file, in the template of all units, as a toggle.
    changed = {
        runs.identity(mail_sandbox_smtp_port=1026),
        runs.identity(portal_fault="errors"),
        runs.identity(environment_servers={"broker.staging.test": "198.18.10.31"}),
        runs.identity(environment_toggles={"new_checkout": True}),
        runs.identity(providers={"smtp": SMTP}),
    }
    assert len(changed | {plain}) == 6
    # A budget is in no bundle.
    assert runs.identity(providers={"smtp": {**SMTP, "budget": {"day": 1}}}) in changed
