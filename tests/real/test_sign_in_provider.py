"""People come by way of a sign-in provider, and no environment uses another one's client there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import hvac
import pytest
import yaml
from environment import ROOT, Environment

PATH = "environment/oidc/company"


@pytest.fixture
def root() -> hvac.Client:
    """A client of the lab's Vault that may read and write every environment's secrets."""
    settings = yaml.safe_load((ROOT / "inventories/staging/group_vars/staging/secrets.yml").read_text())
    token = json.loads((ROOT / ".lab/vault.json").read_text())["root_token"]
    return hvac.Client(url=settings["secrets_url"], token=token, verify=str(ROOT / ".access/staging/ca.crt"))


def read(root: hvac.Client, environment: str) -> dict[str, Any]:
    """An environment's client at the provider."""
    answer = root.secrets.kv.v2.read_secret_version(
        f"{environment}/{PATH}", mount_point="greenroom", raise_on_deleted_version=True
    )
    content: dict[str, Any] = answer["data"]["data"]
    return content


@pytest.fixture
def exchanged(root: hvac.Client) -> Iterator[dict[str, Any]]:
    """Production's client in staging's place; at the end it is staging's own again."""
    own, foreign = read(root, "staging"), read(root, "production")
    root.secrets.kv.v2.create_or_update_secret(f"staging/{PATH}", foreign, mount_point="greenroom")
    yield foreign
    root.secrets.kv.v2.create_or_update_secret(f"staging/{PATH}", own, mount_point="greenroom")


def comers(environment: Environment) -> list[str]:
    """The addresses of people whom checks have made."""
    addresses = [one["traits"]["email"] for one in environment.kratos("/identities?page_size=500")]
    return sorted(address for address in addresses if address.startswith("smoke-"))


def test_a_new_person_comes_by_way_of_the_provider_and_leaves_nothing(staging: Environment) -> None:
    # Checks of a candidate that died in the midst of them may have left somebody.
    before = comers(staging)
    run = staging.play("playbooks/smoke.yml", "-v", ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    assert run.code == 0, run.output
    for name in ("The login leads to the provider company", "A new person comes by way of the provider company"):
        assert name in run.output
    assert comers(staging) == before


def test_another_environments_client_is_refused_before_anything_changes(
    staging: Environment, exchanged: dict[str, Any]
) -> None:
    live = staging.live()
    processes = staging.processes(live)
    run = staging.play("site.yml")
    assert run.code != 0
    (line,) = run.errors.splitlines()
    assert f"staging/{PATH} holds a client of another environment" in line
    assert exchanged["client_id"] in line
    assert exchanged["client_secret"] not in run.output
    assert sum(run.ssh.values()) == 0, run.ssh
    assert staging.processes(live) == processes


def test_the_edge_lets_forms_lead_to_the_provider(staging: Environment) -> None:
    config = staging.ssh("edge1", "cat /etc/haproxy/haproxy.cfg").stdout
    assert "form-action 'self' https://198.18.30.11:9443" in config


def test_the_clients_secret_is_kratos_only(staging: Environment) -> None:
    folder = f"/etc/greenroom/slots/{staging.live()}/kratos"
    secret = staging.secret(PATH)["client_secret"]
    file = f"{folder}/config/providers.secret.yml"
    listing = staging.ssh("app1", f"stat -c '%a %u' {file}; grep -rlF -e '{secret}' {folder}").stdout
    assert listing.splitlines() == ["400 1000", file]
