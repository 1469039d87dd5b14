# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The servers that a run of staging needs before it connects to a host, on loopback: a real Vault, and a registry.

No host can be reached: a replacement for ssh logs its arguments and fails.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
from environment import ALL_OF_IT, ROOT, Run
from webserver import Asked, Authority, Reply, serve

from bench.common import free_port
from tests import warm_start

ENVIRONMENTS = ("staging", "production")
MOUNT = "greenroom"
# The registry has all images except those with this digest.
UNKNOWN = "sha256:" + "0" * 64
DIGEST = "sha256:" + "a" * 64
NO_SSH = '#!/bin/sh\necho "$*" >>{log}\necho "no host can be reached from here" >&2\nexit 255\n'


@dataclass
class World:
    """Vault and registry for the runs of one environment, with this machine's credentials in `access`."""

    folder: Path
    vault: hvac.Client
    unseal_key: str
    values: dict[str, str]

    @property
    def access(self) -> Path:
        """Credentials for the environment (GREENROOM_ACCESS)."""
        return self.folder / "access"

    def play(self, playbook: str, *arguments: str, inventory: Path | None = None, **variables: str) -> Run:
        """Run a playbook of the project; its `ssh` counts the attempts to connect to a host."""
        log = self.folder / "ssh.log"
        log.write_text("")
        program = self.folder / "ssh"
        program.write_text(NO_SSH.format(log=log))
        program.chmod(0o755)
        place = str(inventory or "inventories/staging")
        done = warm_start.run(
            ["-i", place, playbook, "-e", json.dumps(self.values), *arguments],
            ROOT,
            {
                **os.environ,
                **ALL_OF_IT,
                "GREENROOM_ACCESS": str(self.access),
                "ANSIBLE_SSH_EXECUTABLE": str(program),
                "ANSIBLE_SSH_RETRIES": "0",
                **variables,
            },
            merged=True,
        )
        return Run(done.returncode, done.stdout, collections.Counter(log.read_text().splitlines()))

    def secret(self, path: str) -> dict[str, Any]:
        """A secret, by its full path."""
        answer = self.vault.secrets.kv.v2.read_secret_version(path, mount_point=MOUNT, raise_on_deleted_version=True)
        content: dict[str, Any] = answer["data"]["data"]
        return content

    def write(self, path: str, content: dict[str, Any]) -> None:
        """Replace a secret."""
        self.vault.secrets.kv.v2.create_or_update_secret(path, content, mount_point=MOUNT)


@contextlib.contextmanager
def vault(folder: Path) -> Iterator[tuple[hvac.Client, str]]:
    """A server in memory: a client with its root token, and the unseal key."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("bao")), "server", "-dev", "-dev-root-token-id=root"]
    log = folder / "vault.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [*command, f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=file,
            stderr=file,
            env={**os.environ, "HOME": str(folder)},
        ) as process,
    ):
        try:
            client = hvac.Client(f"http://127.0.0.1:{port}", token="root")
            end = time.monotonic() + 120
            # It prints the unseal key when its setup is complete.
            while not (key := re.search(r"^Unseal Key: (\S+)$", log.read_text(), re.M)):
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            yield client, key[1]
        finally:
            process.kill()


def furnish(client: hvac.Client) -> dict[str, tuple[str, str]]:
    """Set up a Vault as in docs/secrets.md; return the AppRole credentials of staging and production."""
    client.sys.enable_secrets_engine("kv", MOUNT, options={"version": "2"})
    client.sys.enable_secrets_engine("pki", "pki", config={"max_lease_ttl": "87600h"})
    client.secrets.pki.generate_root("internal", "test", {"ttl": "87600h"})
    client.sys.enable_auth_method("approle")
    lines = (ROOT / "docs/secrets.md").read_text().splitlines()
    policy = "\n".join(line for line in lines if line.startswith('    path "'))
    assert "staging" in policy
    logins = {}
    for name in ENVIRONMENTS:
        client.sys.create_or_update_policy(name, policy.replace("staging", name))
        role = {"allow_any_name": True, "enforce_hostnames": False, "key_type": "ec", "key_bits": 256, "ttl": "2160h"}
        client.secrets.pki.create_or_update_role(name, role)
        client.auth.approle.create_or_update_approle(name, token_policies=[name], token_ttl="1h")
        logins[name] = (
            client.auth.approle.read_role_id(name)["data"]["role_id"],
            client.auth.approle.generate_secret_id(name)["data"]["secret_id"],
        )
        given = {
            "environment/registry": {"username": name, "password": f"{name}s own"},
            "environment/oidc/company": {
                "client_id": f"greenroom-{name}",
                "client_secret": f"a secret of {name}",
                "redirect_uri": f"https://portal.{name}.greenroom.test/self-service/methods/oidc/callback/company",
                "password": "for its test accounts",
            },
        }
        for path, content in given.items():
            client.secrets.kv.v2.create_or_update_secret(f"{name}/{path}", content, mount_point=MOUNT)
    return logins


def answer(asked: Asked) -> Reply:
    """The registry's response for an image."""
    if asked.path.endswith(UNKNOWN):
        return Reply(404)
    return Reply(200, headers=[("Docker-Content-Digest", DIGEST)])


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world with all secrets of staging."""
    access = folder / "access"
    access.mkdir()
    authority = Authority(access)
    with vault(folder) as (client, key), serve(answer, authority.context("127.0.0.1")) as registry:
        role_id, secret_id = furnish(client)["staging"]
        for name, content in {
            "vault-role-id": role_id,
            "vault-secret-id": secret_id,
            "ssh_key": "",
            "known_hosts": "",
        }.items():
            (access / name).write_text(content)
        values = {
            "secrets_url": client.url,
            "registry_address": f"127.0.0.1:{registry.port}",
            # This machine may not be the environment's controller.
            "firewall_controller_address": "198.18.10.1",
        }
        found = World(folder, client, key, values)
        made = found.play("playbooks/secrets.yml", "-e", "create=missing")
        assert made.code == 0, made.output
        yield found
