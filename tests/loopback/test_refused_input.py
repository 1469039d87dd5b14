# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Invalid input to the real site.yml: it prints one clear line, and ends before it connects to any host."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ROOT, Run
from world import UNKNOWN, World, world

from bench.common import free_port

PAGE = (ROOT / "docs/bring-your-own-service.md").read_text()
COMMAND = "ansible-playbook -i inventories/staging playbooks/secrets.yml -e create=missing"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Staging's Vault and registry on loopback."""
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """A copy of the services, for mistakes."""
    folder = tmp_path / "services"
    shutil.copytree(ROOT / "services", folder)
    return folder


@pytest.fixture
def access(here: World, tmp_path: Path) -> Path:
    """A copy of this machine's credentials for the environment, for mistakes."""
    folder = tmp_path / "access"
    shutil.copytree(here.access, folder)
    return folder


def refused(run: Run, *parts: str) -> None:
    """Assert that the run failed before it connected to any host, and that its error has all parts."""
    assert run.code not in (0, None)
    for part in parts:
        assert re.search(part, run.errors, re.I), f"{part!r} is not in: {run.errors}\n{run.output}"
    assert sum(run.ssh.values()) == 0, run.ssh
    assert "Traceback" not in run.output


def line_with(run: Run, *words: str) -> None:
    """Assert that one line of the error has all of these words."""
    assert any(all(word in line for word in words) for line in run.errors.splitlines()), f"{words}: {run.errors}"


def rewrite(services: Path, file: str, old: str, new: str) -> None:
    """Edit a file of a service."""
    path = services / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_valid_run_reaches_the_hosts(here: World) -> None:
    """The control: without a mistake, a run gets past all checks."""
    run = here.play("site.yml")
    assert sum(run.ssh.values()) > 0, run.output
    assert "no host can be reached from here" in run.errors, run.output


def test_options_that_skip_tasks_are_refused(here: World) -> None:
    for words, reason in {
        ("site.yml", "--start-at-task", "Apply packages*"): "--start-at-task would skip the checks of the input",
        ("playbooks/cutover.yml", "--step"): "--step could skip the checks of the input",
        ("playbooks/edge.yml", "--tags", "edge"): "--tags would skip everything",
        ("playbooks/steps/data.yml",): "playbooks/steps has parts of playbooks",
    }.items():
        run = here.play(*words)
        # Not a task's error: no task has run.
        assert (run.code, sum(run.ssh.values())) == (1, 0), run.output
        assert f"[ERROR]: {reason}" in run.output
        assert "TASK [" not in run.output


def test_options_that_leave_out_the_lock_are_refused(here: World) -> None:
    run = here.play("site.yml", "-e", json.dumps({"environment_needs": [], "__environment_lock_hosts": []}))
    refused(run)
    line_with(run, "environment_needs", "each playbook has its own")
    line_with(run, "__environment_lock_hosts", "role's own")


def test_mistakes_in_services_are_reported(here: World, services: Path) -> None:
    rewrite(services, "portal/service.yml", "stop_timeout: 15", "stop_timout: 15\nstop_timeout: soon")
    rewrite(services, "kratos-courier/service.yml", "config_of: kratos", "config_of: krats")
    rewrite(services, "kratos/checks.yml", '"on": app', '"on": opps')
    run = here.play("site.yml", GREENROOM_SERVICES=str(services))
    refused(run)
    line_with(run, "portal/service.yml", "stop_timout", "stop_timeout")
    line_with(run, "portal/service.yml", "stop_timeout", "an integer", "soon")
    line_with(run, "kratos-courier", "krats", "kratos")
    line_with(run, "kratos/checks.yml", "opps", "ops")


def test_mistakes_between_services_are_reported(here: World, services: Path) -> None:
    routes = "- {path: /, port: nowhere}\n  - {path: /a, limit: lodin}"
    rewrite(services, "portal/service.yml", "- {path: /}", routes)
    rewrite(services, "portal/service.yml", "image: portal", "image: portl")
    rewrite(services, "portal/service.yml", "calls: [kratos.public, kratos.admin]", "calls: [kratos.amdin]")
    (services / "twin").mkdir()
    (services / "twin/service.yml").write_text(
        "image: portal\nports:\n  http: {container: 8080, from: [edge]}\nhealth: {port: http, path: /readyz}\n"
    )
    run = here.play("site.yml", GREENROOM_SERVICES=str(services))
    refused(run, "portal/service.yml|portl")
    line_with(run, "portal/service.yml", "nowhere")
    line_with(run, "portal/service.yml", "lodin", "login")
    line_with(run, "portal/service.yml", "calls[0]", "amdin", "admin")
    line_with(run, "portal/service.yml", "environment.KRATOS_PUBLIC_URL", "kratos.public")
    line_with(run, "portl", "portal")
    line_with(run, "twin/service.yml", "18080")


def test_mistakes_in_values_are_reported(here: World) -> None:
    values = {"edge_limts": {"default": 1}, "seed_count": "many", "release_name": "1.O"}
    run = here.play("site.yml", "-e", json.dumps(values))
    refused(run)
    line_with(run, "edge_limts", "edge_limits")
    line_with(run, "seed_count", "int")
    line_with(run, "releases/1.O.yml", "did you mean")


def test_a_misspelled_inventory_key_and_an_image_without_a_service_are_reported(here: World, tmp_path: Path) -> None:
    inventory = tmp_path / "inventories/staging"
    shutil.copytree(ROOT / "inventories/staging", inventory)
    path = inventory / "group_vars/staging/firewall-networks.yml"
    path.write_text(path.read_text().replace("firewall_ssh_sources:", "firewall_ssh_source:"))
    images = json.dumps({"release_images": {"portl": UNKNOWN}})
    run = here.play("site.yml", "-e", images, inventory=inventory)
    refused(run, '"?firewall_ssh_source"?:')
    line_with(run, "firewall_ssh_source", '"firewall_ssh_sources"')
    line_with(run, "portl", "portal")


def test_a_digest_that_the_registry_lacks_is_reported(here: World) -> None:
    run = here.play("site.yml", "-e", json.dumps({"release_images": {"portal": UNKNOWN}}))
    refused(run, "portal", "registry", re.escape(here.values["registry_address"]), "0000")


def test_a_registry_that_is_down_is_reported(here: World) -> None:
    address = f"127.0.0.1:{free_port()}"
    refused(here.play("site.yml", "-e", f"registry_address={address}"), re.escape(address), "can't be reached")


def test_a_vault_that_is_down_is_reported(here: World) -> None:
    address = f"127.0.0.1:{free_port()}"
    refused(here.play("site.yml", "-e", f"secrets_url=http://{address}"), "Vault", re.escape(address))


def test_a_vault_that_refuses_is_reported(here: World, access: Path) -> None:
    (access / "vault-secret-id").write_text("00000000-0000-0000-0000-000000000000\n")
    refused(here.play("site.yml", GREENROOM_ACCESS=str(access)), "Vault", re.escape(here.vault.url))


def test_a_sealed_vault_is_reported(here: World) -> None:
    here.vault.sys.seal()
    try:
        run = here.play("site.yml")
    finally:
        here.vault.sys.submit_unseal_key(here.unseal_key)
    refused(run, "Vault", "sealed")


def test_two_environments_at_once_are_refused(here: World) -> None:
    refused(here.play("site.yml", "-i", "inventories/production"), "one environment", "production")


def test_a_missing_secret_is_reported_as_documented(here: World, services: Path) -> None:
    found = re.search(r"`services/inbox/service\.yml`.*?```yaml\n(.*?)```", PAGE, re.S)
    assert found
    (services / "inbox").mkdir()
    (services / "inbox/service.yml").write_text(found[1])
    line = f"secrets of staging are missing: inbox/value/smtp; run: {COMMAND}"
    assert line in PAGE
    refused(here.play("site.yml", GREENROOM_SERVICES=str(services)), re.escape(line))


@pytest.mark.parametrize("confirm", [(), ("-e", "confirm=production")], ids=["not confirmed", "another's name"])
def test_a_protected_environment_needs_its_name_as_confirmation(here: World, confirm: tuple[str, ...]) -> None:
    refused(here.play("site.yml", "-e", "environment_protected=true", *confirm), "confirm", "staging")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--limit", "app2"), "--limit leaves out app1, data1, edge1, edge2, ops1"),
        (("--limit", "app:edge"), "--limit leaves out data1, ops1"),
        (("-e", "slot_target=blue"), "slot_target: can't be set, a run detects it"),
    ],
    ids=["one host", "some groups", "a slot"],
)
def test_a_run_for_part_of_an_environment_is_refused(here: World, arguments: tuple[str, ...], line: str) -> None:
    refused(here.play("site.yml", *arguments), re.escape(line))


@pytest.fixture
def exchanged(here: World) -> Iterator[dict[str, str]]:
    """Put production's client of the sign-in provider in place of staging's, and restore that at the end."""
    path = "staging/environment/oidc/company"
    own, foreign = here.secret(path), here.secret("production/environment/oidc/company")
    here.write(path, foreign)
    yield foreign
    here.write(path, own)


def test_another_environments_client_is_refused(here: World, exchanged: dict[str, str]) -> None:
    run = here.play("site.yml")
    refused(run)
    (line,) = run.errors.splitlines()
    assert "staging/environment/oidc/company holds the client of another environment" in line
    assert exchanged["client_id"] in line
    assert exchanged["client_secret"] not in run.output
