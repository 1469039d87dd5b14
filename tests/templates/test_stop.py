# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The rendered planned stop: its program starts, and may query the edge hosts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rendering import ENVIRONMENTS, ROOT, Rendered, render


def addresses(environment: str, group: str) -> set[str]:
    groups = yaml.safe_load((ROOT / f"inventories/{environment}/hosts.yml").read_text())[environment]["children"]
    return {values["ansible_host"] for values in groups[group]["hosts"].values()}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_hosts_that_ask_which_slot_is_live_may_query_edge_hosts(
    environment: str, rendered: dict[str, Rendered]
) -> None:
    # Ops hosts ask while they probe a candidate.
    asking = {address for group in ("edge", "app", "ops") for address in addresses(environment, group)}
    folder = rendered[environment].folder
    rules = (folder / "edge1/etc/nftables.conf").read_text()
    opened = [line for line in rules.splitlines() if "{ 8406 }" in line and "tcp dport" in line]
    assert {address for line in opened for address in re.findall(r"[\d.]+(?=/32)", line)} == asking
    proxy = (folder / "edge1/etc/haproxy/haproxy.cfg").read_text()
    [peers] = re.findall(r"frontend peers\n(?:    .*\n)*", proxy)
    assert "tcp-request connection reject unless asking_host\n" in peers
    assert {address for line in re.findall(r"acl asking_host src (.*)", peers) for address in line.split()} == asking


def test_the_plan_has_all_edge_hosts_and_only_units_of_its_slot(rendered: dict[str, Rendered]) -> None:
    plan = json.loads((rendered["staging"].folder / "app1/run/greenroom/stop/plan.fact").read_text())
    assert set(plan["edges"]) == addresses("staging", "edge")
    assert plan["units"]
    assert {unit.rsplit("-", 1)[1] for unit in plan["units"]} == {f"{plan['slot']}.service"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_program_finds_its_modules(environment: str, rendered: dict[str, Rendered], tmp_path: Path) -> None:
    host = rendered[environment].folder / "app1"
    program = (host / "usr/local/lib/greenroom/slots/greenroom-stop").read_text()
    text = program.replace("/usr/local/lib/greenroom", f"{host}/usr/local/lib/greenroom")
    # The plan's path on a host.
    assert 'main("/run/greenroom/stop/plan.fact")' in text
    text = text.replace("/run/greenroom/stop", str(tmp_path / "nothing"))
    text = text.replace("/var/cache/greenroom", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-I", "-"], input=text, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "no stop is planned\n"), done.stderr


def test_the_timer_starts_at_the_end_of_the_cutover(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = render("staging", tmp_path_factory.mktemp("stop"), roles=("slots",), hosts="app1", stop_after=1800)
    folder = made.folder / "app1/run/systemd/system"
    assert "OnActiveSec=1800s\n" in (folder / "greenroom-stop.timer").read_text()
    service = (folder / "greenroom-stop.service").read_text()
    assert "Restart=on-failure\nRestartPreventExitStatus=1\n" in service
