"""Secrets through Ansible, against a real server: created once, read with one login, refused clearly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
import requests
import yaml

from bench.common import free_port
from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]
SECRETS = ["shop/login/blue", "shop/ring/csrf", "environment/registry", "environment/certificate/edge"]
NAMES = ["portal.test", "*.test"]


class Vault:
    """A server in memory, with one environment's secrets engine and PKI."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = hvac.Client(url, token="root")

    def prepare(self) -> None:
        system = self.client.sys
        system.enable_secrets_engine("kv", path="greenroom", options={"version": "2"})
        system.enable_secrets_engine("pki")
        system.tune_mount_configuration("pki", max_lease_ttl="2000h")
        self.client.secrets.pki.generate_root("internal", "test", {"ttl": "2000h"})
        role = {"allow_any_name": True, "enforce_hostnames": False, "max_ttl": "2000h", "ttl": "1000h"}
        self.client.secrets.pki.create_or_update_role("test", role)
        paths = 'path "greenroom/data/test/*" { capabilities = ["create", "read", "update"] }'
        system.create_or_update_policy("test", f'{paths}\npath "pki/issue/test" {{ capabilities = ["update"] }}')
        system.create_or_update_policy("reader", 'path "greenroom/data/test/shop/login/*" { capabilities = ["read"] }')

    def token(self, policy: str = "test") -> str:
        token: str = self.client.auth.token.create(policies=[policy])["auth"]["client_token"]
        return token

    def version(self, path: str) -> int:
        metadata = self.client.secrets.kv.v2.read_secret_metadata(f"test/{path}", mount_point="greenroom")
        version: int = metadata["data"]["current_version"]
        return version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    address = f"127.0.0.1:{free_port()}"
    program = str(Path(sys.executable).with_name("bao"))
    command = [program, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address={address}"]
    home = tmp_path_factory.mktemp("bao")
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"HOME": str(home)}) as process,
    ):
        try:
            vault = Vault(f"http://{address}")
            end = time.monotonic() + 200
            while True:
                try:
                    vault.prepare()
                    break
                except requests.exceptions.ConnectionError:
                    assert time.monotonic() < end, (home / "log").read_text(encoding="utf-8")
                    time.sleep(0.2)
            yield vault
        finally:
            process.kill()


@pytest.fixture
def vault(server: Vault) -> Iterator[Vault]:
    """The server with nothing but the secret that somebody else writes."""
    kv = server.client.secrets.kv.v2
    kv.create_or_update_secret("test/environment/registry", {"username": "u", "password": "p"}, mount_point="greenroom")
    yield server
    for path in [*SECRETS, "third-party/key"]:
        kv.delete_metadata_and_all_versions(f"test/{path}", mount_point="greenroom")


def run(
    folder: Path, url: str, token: str, *options: str, auth: Any = None, **arguments: Any
) -> tuple[dict[str, Any], str]:
    """Return the result of `environment_secrets` as Ansible shows it, and all of the output."""
    task = {
        "environment_secrets": {
            "environment_name": "test",
            "paths": SECRETS,
            "url": url,
            "auth": auth or {"auth_method": "token", "token": token},
            **arguments,
        }
    }
    return play(folder, task, *options)


def play(folder: Path, task: dict[str, Any], *options: str) -> tuple[dict[str, Any], str]:
    """Return the result of a task as Ansible shows it, and all of the output."""
    written = folder / "play.yml"
    written.write_text(
        yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), encoding="utf-8"
    )
    words = ["-i", "localhost,", "-vvv", *options, str(written)]
    done = warm_start.run(words, ROOT, os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    result = json.loads(done.stdout[done.stdout.index("{\n") :])
    answer: dict[str, Any] = result["plays"][0]["tasks"][0]["hosts"]["localhost"]
    return answer, done.stdout + done.stderr


def present(folder: Path, vault: Vault, *options: str, **arguments: Any) -> dict[str, Any]:
    given = {"state": "present", "create": True, "certificates": {"edge": NAMES}, "read_only": ["environment/registry"]}
    answer, _ = run(folder, vault.url, vault.token(), *options, **given | arguments)
    return answer


def test_missing_secrets_are_created_once_and_never_shown(tmp_path: Path, vault: Vault) -> None:
    missing, _ = run(tmp_path, vault.url, vault.token())
    assert missing["msg"] == (
        "secrets of test are missing: environment/certificate/edge, shop/login/blue, shop/ring/csrf; "
        "run: ansible-playbook -i inventories/test playbooks/secrets.yml -e create=missing"
    )
    expected = ["shop/login/blue", "shop/ring/csrf", "environment/certificate/edge"]
    predicted = present(tmp_path, vault, "--check", "--diff")
    assert (predicted["changed"], predicted["created"]) == (True, expected)
    assert present(tmp_path, vault, create=False)["created"] == []
    made = present(tmp_path, vault)
    assert not made.get("failed"), made["msg"]
    assert (made["changed"], made["created"], made["renewed"]) == (True, expected, [])
    again = present(tmp_path, vault)
    assert (again["changed"], again["created"], again["renewed"]) == (False, [], [])
    assert vault.version("shop/login/blue") == 1

    stored = vault.client.secrets.kv.v2.read_secret_version(
        "test/shop/login/blue", mount_point="greenroom", raise_on_deleted_version=True
    )["data"]["data"]["password"]
    answer, output = run(tmp_path, vault.url, vault.token())
    assert not answer["changed"]
    assert "secrets" not in answer
    assert stored not in output


def test_a_certificate_is_renewed_only_when_due(tmp_path: Path, vault: Vault) -> None:
    present(tmp_path, vault)
    renewed = present(tmp_path, vault, create=False, certificate_days=60)
    assert (renewed["changed"], renewed["renewed"]) == (True, ["environment/certificate/edge"])
    assert vault.version("environment/certificate/edge") == 2
    other_names = present(tmp_path, vault, "--check", certificates={"edge": [*NAMES, "test"]})
    assert other_names["renewed"] == ["environment/certificate/edge"]
    assert vault.version("environment/certificate/edge") == 2


def test_a_manual_secret_is_not_generated(tmp_path: Path, vault: Vault) -> None:
    kv = vault.client.secrets.kv.v2
    kv.delete_metadata_and_all_versions("test/environment/registry", mount_point="greenroom")
    answer = present(tmp_path, vault)
    assert answer["msg"].startswith("secrets of test are missing: environment/registry; write environment/")
    answer, _ = run(
        tmp_path, vault.url, vault.token(), paths=["environment/registry"], read_only=["environment/registry"]
    )
    assert answer["msg"] == (
        "secrets of test are missing: environment/registry; "
        "write environment/registry to Vault yourself (docs/secrets.md)"
    )


def test_a_rotation_writes_what_the_live_slot_does_not_use_and_shows_no_value(tmp_path: Path, vault: Vault) -> None:
    present(tmp_path, vault)

    def rotate(*options: str, **arguments: Any) -> tuple[dict[str, Any], str]:
        auth = {"auth_method": "token", "token": vault.token()}
        task = {"environment_name": "test", "paths": SECRETS, "url": vault.url, "auth": auth, "live": "green"}
        return play(tmp_path, {"environment_rotate": task | {"certificates": {"edge": NAMES}} | arguments}, *options)

    def stored(path: str) -> dict[str, str]:
        found: dict[str, str] = vault.client.secrets.kv.v2.read_secret_version(
            f"test/{path}", mount_point="greenroom", raise_on_deleted_version=True
        )["data"]["data"]
        return found

    ring = stored("shop/ring/csrf")["values"]
    predicted, _ = rotate("--check", "--diff", what="login")
    assert (predicted["changed"], predicted["redeploy"]) == (True, True)
    assert vault.version("shop/login/blue") == 1
    for what in ("login", "ring", "certificate"):
        done, output = rotate(what=what)
        assert done["changed"], done
        for path in SECRETS:
            assert not any(str(value) in output for value in stored(path).values() if len(str(value)) > 8)
    assert [vault.version(path) for path in SECRETS] == [2, 2, 1, 2]
    appended = stored("shop/ring/csrf")["values"]
    assert appended.startswith(f"{ring},")
    rotate(state="reached")
    assert rotate(what="ring")[0]["redeploy"] is False
    assert stored("shop/ring/csrf") == {"values": f"{appended.rpartition(',')[2]},{ring}"}
    refused, _ = rotate(what="login", live="blue")
    assert refused["msg"].startswith("login belongs to blue, the live slot")


def put(folder: Path, vault: Vault, *options: str, **arguments: Any) -> tuple[dict[str, Any], str]:
    """Return the result of `environment_secret` as Ansible shows it, and all of the output."""
    auth = {"auth_method": "token", "token": vault.token()}
    settable = {"third-party/key": False, "third-party/tls": True}
    task = {"environment_name": "test", "path": "third-party/key", "settable": settable, "url": vault.url, "auth": auth}
    return play(folder, {"environment_secret": task | arguments}, *options)


def test_a_given_secret_is_never_generated_but_put(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ["shop/ring/csrf", "third-party/key"]
    refused = present(tmp_path, vault, paths=paths, given=["third-party/key"])
    assert refused["msg"] == (
        "secrets of test are missing: third-party/key; "
        "run: ansible-playbook -i inventories/test playbooks/secret.yml -e put=third-party/key"
    )
    key = tmp_path / "key"
    key.write_text("issued-elsewhere\n")
    predicted, _ = put(tmp_path, vault, "--check", file=str(key), owner="ada")
    assert predicted["changed"]
    done, output = put(tmp_path, vault, file=str(key), owner="ada")
    assert (done["changed"], done["owner"], done["new"]) == (True, "ada", True)
    assert "issued-elsewhere" not in output
    again, _ = put(tmp_path, vault, file=str(key))
    assert (again["changed"], again["owner"]) == (False, "ada")
    monkeypatch.setenv("THE_KEY", "another")
    changed, _ = put(tmp_path, vault, variable="THE_KEY")
    assert (changed["changed"], changed["owner"], vault.version("third-party/key")) == (True, "ada", 2)
    assert present(tmp_path, vault, paths=paths, given=["third-party/key"])["created"][0] == "shop/ring/csrf"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"path": "third-party/kye"}, 'put: no service has a secret "third-party/kye"'),
        ({"file": "/nowhere"}, "third-party/key: /nowhere can't be read: No such file"),
        ({"variable": "NOT_SET"}, "third-party/key: NOT_SET is not a variable of the environment"),
        ({"file": "x", "variable": "y"}, "put_file, put_variable: the value has one source"),
        ({}, "third-party/key: the answer can't be asked for without a terminal; give -e put_file="),
    ],
)
def test_a_value_that_can_not_be_put_is_refused(
    tmp_path: Path, vault: Vault, arguments: dict[str, str], line: str
) -> None:
    answer, _ = put(tmp_path, vault, **arguments)
    assert line in answer["msg"]


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        (
            {"auth_method": "token", "token": "x"},
            " refuses reading greenroom/test/shop/login/blue (permission denied); ",
        ),
        (
            {"auth_method": "approle", "role_id": "wrong", "secret_id": "wrong"},
            " refuses the login (approle): ",
        ),
        ({"auth_method": "magic"}, "Vault: "),
        ({"auth_method": "approle"}, "Vault: "),
    ],
)
def test_a_failed_login_is_one_line(tmp_path: Path, vault: Vault, auth: dict[str, str], line: str) -> None:
    answer, _ = run(tmp_path, vault.url, "", auth=auth)
    assert line in answer["msg"]
    assert "secrets_auth" in answer["msg"]
    assert "\n" not in answer["msg"]


def test_a_forbidden_path_is_reported(tmp_path: Path, vault: Vault) -> None:
    answer, _ = run(tmp_path, vault.url, vault.token("reader"))
    assert answer["msg"] == (
        f"Vault at {vault.url} refuses reading greenroom/test/shop/ring/csrf (permission denied); "
        "check the login (secrets_auth) and its policy"
    )


def test_the_documented_policy_allows_manual_secrets_and_no_other_environment(
    vault: Vault,
) -> None:
    lines = (ROOT / "docs/secrets.md").read_text().splitlines()
    policy = "\n".join(line for line in lines if line.startswith('    path "')).replace("staging", "test")
    vault.client.sys.create_or_update_policy("documented", policy)
    kv = hvac.Client(vault.url, token=vault.token("documented")).secrets.kv.v2
    foreign = ["test/environment/registry", "test/environment/oidc/company"]
    for path in (*foreign, "other/shop/login/blue"):
        vault.client.secrets.kv.v2.create_or_update_secret(path, {"value": "theirs"}, mount_point="greenroom")
    reading: dict[str, Any] = {"mount_point": "greenroom", "raise_on_deleted_version": True}
    for path in foreign:
        assert kv.read_secret_version(path, **reading)["data"]["data"] == {"value": "theirs"}
        with pytest.raises(hvac.exceptions.Forbidden):
            kv.create_or_update_secret(path, {"value": "ours"}, mount_point="greenroom")
    kv.create_or_update_secret("test/shop/ring/csrf", {"values": "ours"}, mount_point="greenroom")
    with pytest.raises(hvac.exceptions.Forbidden):
        kv.read_secret_version("other/shop/login/blue", **reading)


def test_a_login_is_revoked_but_not_the_token_of_an_operator(tmp_path: Path, vault: Vault) -> None:
    approle = vault.client.auth.approle
    if "approle/" not in vault.client.sys.list_auth_methods()["data"]:
        vault.client.sys.enable_auth_method("approle")
    approle.create_or_update_approle("test", token_policies=["test"], token_ttl="1h")
    auth = {
        "auth_method": "approle",
        "role_id": approle.read_role_id("test")["data"]["role_id"],
        "secret_id": approle.generate_secret_id("test")["data"]["secret_id"],
    }
    own = vault.token()
    before = set(vault.client.list("auth/token/accessors")["data"]["keys"])
    answer, _ = run(tmp_path, vault.url, "", auth=auth, paths=["environment/registry"])
    assert not answer.get("failed"), answer["msg"]
    assert set(vault.client.list("auth/token/accessors")["data"]["keys"]) == before
    run(tmp_path, vault.url, own, paths=["environment/registry"])
    assert hvac.Client(vault.url, token=own).is_authenticated()


def test_an_unreachable_or_sealed_server_is_reported(tmp_path: Path, server: Vault) -> None:
    answer, _ = run(tmp_path, "http://127.0.0.1:1", "x")
    assert "http://127.0.0.1:1 can't be reached" in answer["msg"]
    token = server.token()
    server.client.sys.seal()
    answer, _ = run(tmp_path, server.url, token)
    end = "is sealed; unseal it (your own OpenBao: playbooks/vault-unseal.yml), then run this again"
    assert answer["msg"] == f"Vault at {server.url} {end}"
