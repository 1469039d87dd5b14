# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The playbook that prepares Vault, against a real server: a plan first, then exactly what a run needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest
import yaml
from ansible.module_utils.greenroom.certificates import reading
from ansible.module_utils.greenroom.certificates.vault import Vault as HostVault
from ansible.module_utils.greenroom.controller.vault import setup, unseal

from bench.common import free_port
from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/secrets.md").read_text(encoding="utf-8")


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[hvac.Client]:
    """A server in memory without anything, and with its root token."""
    port = free_port()
    program = str(Path(sys.executable).with_name("bao"))
    command = [program, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}"]
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {"HOME": str(tmp_path)}) as process,
    ):
        try:
            end = time.monotonic() + 200
            while not re.search(r"^Unseal Key: ", log.read_text(encoding="utf-8"), re.M):
                assert time.monotonic() < end, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            yield hvac.Client(f"http://127.0.0.1:{port}", token="root")
        finally:
            process.kill()


def play(folder: Path, vault: hvac.Client, playbook: str, *options: str, token: str = "root") -> tuple[int, str]:
    """Run a playbook for an environment that logs in with what the access folder has."""
    access = "{{ lookup('ansible.builtin.file', environment_access ~ '/vault-%s-id') }}"
    hosts = yaml.safe_load((ROOT / "inventories/examples/external/hosts.yml").read_text(encoding="utf-8"))
    auth = {"auth_method": "approle", "role_id": access % "role", "secret_id": access % "secret"}
    hosts["external"]["vars"] |= {"secrets_url": vault.url, "secrets_auth": auth, "secrets_read_only": []}
    inventory = folder / "hosts.yml"
    inventory.write_text(yaml.safe_dump(hosts), encoding="utf-8")
    (folder / "services").mkdir(exist_ok=True)
    done = warm_start.run(
        ["-i", str(inventory), playbook, "-e", "confirm=external", *options],
        ROOT,
        os.environ
        | {"GREENROOM_ACCESS": str(folder / "access"), "GREENROOM_SERVICES": str(folder / "services")}
        | {"VAULT_TOKEN": token, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_plan_changes_nothing_and_its_result_is_what_runs_need(tmp_path: Path, vault: hvac.Client) -> None:
    code, plan = play(tmp_path, vault, "playbooks/vault-setup.yml")
    assert code == 0, plan
    assert "enable secrets engine greenroom (KV version 2)" in plan
    assert "create policy external" in plan
    assert "run again with -e vault_setup=apply" in plan
    assert "greenroom/" not in vault.sys.list_mounted_secrets_engines()["data"]
    assert not (tmp_path / "access").exists()

    code, made = play(tmp_path, vault, "playbooks/vault-setup.yml", "-e", "vault_setup=apply")
    assert code == 0, made
    assert (tmp_path / "access/vault-secret-id").stat().st_mode & 0o777 == 0o600
    code, again = play(tmp_path, vault, "playbooks/vault-setup.yml")
    assert code == 0, again
    assert "Nothing to do." in again
    assert "changed=0" in again

    # The login that it made creates the secrets of a run, with a certificate for the public name.
    code, secrets = play(tmp_path, vault, "playbooks/secrets.yml", "-e", "create=missing", token="")
    assert code == 0, secrets
    stored = vault.secrets.kv.v2.read_secret_version(
        "external/environment/certificate/edge", mount_point="greenroom", raise_on_deleted_version=True
    )
    assert "BEGIN CERTIFICATE" in stored["data"]["data"]["certificate"]


def test_an_engine_of_another_kind_stays(tmp_path: Path, vault: hvac.Client) -> None:
    vault.sys.enable_secrets_engine("transit", "greenroom")
    code, output = play(tmp_path, vault, "playbooks/vault-setup.yml", "-e", "vault_setup=apply")
    assert code != 0
    assert "greenroom/ is an engine of another kind (transit); set another secrets_mount" in output


def test_the_policy_is_the_one_of_the_documentation() -> None:
    wanted = setup.Wanted("staging", "greenroom", "pki", "staging", ["staging.example.org"])
    documented = [line.split() for line in PAGE.splitlines() if line.startswith('    path "')]
    assert [line.split() for line in wanted.policy.splitlines()] == documented


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[hvac.Client]:
    """A server that was never initialized."""
    port = free_port()
    listener = f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  tls_disable = true\n}}\n'
    (tmp_path / "bao.hcl").write_text(f'storage "inmem" {{}}\n{listener}')
    program = str(Path(sys.executable).with_name("bao"))
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen([program, "server", "-config", tmp_path / "bao.hcl"], stdout=file, stderr=file) as process,
    ):
        try:
            end = time.monotonic() + 200
            while "server started!" not in log.read_text(encoding="utf-8"):
                assert time.monotonic() < end, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            yield hvac.Client(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def test_an_own_server_is_initialized_once_and_opened_with_the_files_of_its_keys(
    tmp_path: Path, empty: hvac.Client
) -> None:
    code, output = play(tmp_path, empty, "playbooks/vault-unseal.yml")
    assert code != 0
    assert "was never initialized; run playbooks/vault-local.yml" in output

    access = tmp_path / "access"
    said = unseal.initialize(empty, access, 3, 2)
    assert f"export VAULT_TOKEN=$(cat {access}/vault-root-token)" in said[1]
    assert unseal.initialize(empty, access, 3, 2) == []
    files = sorted(access.iterdir())
    assert [file.name for file in files] == ["vault-root-token", *(f"vault-unseal-key-{number}" for number in "123")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}

    code, output = play(tmp_path, empty, "playbooks/vault-unseal.yml")
    assert code == 0, output
    assert not empty.sys.is_sealed()
    assert "is open now" in output
    code, output = play(tmp_path, empty, "playbooks/vault-unseal.yml")
    assert "was open already" in output
    assert "changed=0" in output

    # What is then missing is in the message of any run, and of the playbook.
    empty.token = (access / "vault-root-token").read_text().strip()
    empty.sys.seal()
    (access / "vault-role-id").write_text("x")
    (access / "vault-secret-id").write_text("x")
    code, output = play(tmp_path, empty, "playbooks/secrets.yml")
    assert "is sealed; unseal it (your own OpenBao: playbooks/vault-unseal.yml)" in output
    elsewhere = tmp_path / "stick"
    elsewhere.mkdir()
    for file in files[2:]:
        file.rename(elsewhere / file.name)
    code, output = play(tmp_path, empty, "playbooks/vault-unseal.yml")
    assert code != 0
    assert re.search(r"needs\s+2\s+unseal\s+keys;\s+\S+access\s+has\s+1\s+files", output), output
    code, output = play(tmp_path, empty, "playbooks/vault-unseal.yml", "-e", f"openbao_keys_folder={elsewhere}")
    assert code == 0, output
    assert not empty.sys.is_sealed()


def test_an_empty_server_does_not_get_files_of_another_ones_keys(tmp_path: Path, empty: hvac.Client) -> None:
    unseal.write(tmp_path / "vault-unseal-key-1", "old")
    with pytest.raises(unseal.UnsealError, match="is the key of another one"):
        unseal.initialize(empty, tmp_path, 3, 2)
    assert not empty.sys.is_initialized()


HOSTS = {
    "edge1": {"certificates": {"edge": ["shop.test", "*.shop.test"]}, "address": "127.0.0.1"},
    "data1": {"certificates": {"postgres": ["database.shop.test"], "cache": ["cache.shop.test"]}, "address": ""},
}


def test_a_host_renews_its_own_certificates_and_nothing_else(tmp_path: Path, vault: hvac.Client) -> None:
    wanted = setup.Wanted("shop", "greenroom", "pki", "shop", ["shop.test"], login=False, hosts=HOSTS)
    for step in setup.plan(vault, wanted):
        step.act()
    assert [step.line for step in setup.plan(vault, wanted) if step.verb] == []
    # A host of another address gets its login, too, but can't use it.
    stored = vault.secrets.kv.v2.read_secret_version(
        "shop/environment/renewal/edge1", mount_point="greenroom", raise_on_deleted_version=True
    )
    (tmp_path / "ca.crt").touch()
    settings = {
        **{"url": vault.url, "mount": "greenroom", "environment": "shop", "pki": "pki", "role": "shop-edge1"},
        **{"ca_file": "", **stored["data"]["data"]},
    }
    host = HostVault(settings)
    assert host.certificate("edge") == ({}, 0)
    made = host.issue(["shop.test", "*.shop.test"])
    found = reading.read(made["certificate"])
    assert found.names == {"shop.test", "*.shop.test"}
    host.write("edge", made, 0)
    assert host.certificate("edge") == (made, 1)
    with pytest.raises(reading.CertificateError, match="check-and-set"):
        host.write("edge", made, 0)

    for refused in (["database.shop.test"], ["a.shop.test"], ["shop.test", "x.shop.test"]):
        with pytest.raises(reading.CertificateError, match=r"refuses issuing .* run playbooks/vault-setup.yml"):
            host.issue(refused)
    with pytest.raises(reading.CertificateError, match="permission denied"):
        host.certificate("postgres")
    with pytest.raises(reading.CertificateError, match="permission denied"):
        host.write("cache", made, 0)
    host.leave()
    with pytest.raises(reading.CertificateError, match="permission denied"):
        host.certificate("edge")

    # A login that was deleted is made again.
    vault.auth.approle.delete_role("shop-edge1")
    with pytest.raises(reading.CertificateError, match="refuses the login"):
        HostVault(settings)
    lines = [step.line for step in setup.plan(vault, wanted) if step.verb]
    assert lines == [
        "create login auth/approle/role/shop-edge1",
        "create login of edge1 in greenroom/shop/environment/renewal/edge1",
    ]
