# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One blank host serves one service, as docs/small.md says: without Vault, database, broker, mail and Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from environment import ALL_OF_IT, ROOT, Run, ran

NAME, ADDRESS, NETWORK = "single", "198.18.60.11", "198.18.60"
PUBLIC = "www.single.greenroom.test"
PAGE = (ROOT / "docs/small.md").read_text()


class Single:
    """The environment of the page: its inventory, services and credentials are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "ssh.log"
        self.log.touch()
        self.variables = {
            "GREENROOM_LAB_INVENTORIES": str(folder / "inventories"),
            "GREENROOM_SERVICES": str(folder / "services"),
            "GREENROOM_ACCESS": str(folder / "access"),
        }

    def write(self) -> None:
        """Write the inventory from the example, with what the page says to replace, and the page's service."""
        inventory = self.folder / "inventories" / NAME
        inventory.mkdir(parents=True)
        text = (ROOT / "inventories/examples/single-host/hosts.yml").read_text()
        for old, new in (
            ("192.0.2.10", ADDRESS),
            ("192.0.2", NETWORK),
            ("www.example.org", PUBLIC),
            ("environment_domain: example.org", f"environment_domain: {NAME}.greenroom.test"),
            ("registry.example.org:5000", "198.18.30.11:5000"),
            # The lab's registry wants a login.
            ("    secrets_read_only: []\n", ""),
        ):
            assert old in text, old
            text = text.replace(old, new)
        (inventory / "hosts.yml").write_text(text)
        for file, content in re.findall(r"^`services/(\S+)`:\n\n```yaml\n(.*?)^```", PAGE, re.M | re.S):
            place = self.folder / "services" / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)

    def enter(self) -> None:
        """Write the folder with credentials: what the lab has for its hosts, and the login to the registry."""
        access = self.folder / "access"
        access.mkdir(mode=0o700)
        for file in ("ca.crt", "ssh_key", "known_hosts"):
            shutil.copy(ROOT / ".access" / NAME / file, access / file)
        password = json.loads((ROOT / ".lab/accounts.json").read_text())[NAME]
        secrets = access / "secrets.yml"
        secrets.touch(mode=0o600)
        secrets.write_text(yaml.safe_dump({"environment/registry": {"username": NAME, "password": password}}))

    def lab(self, *words: str) -> None:
        command = ["lab/lab", *words]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.variables}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def play(self, playbook: str, *options: str) -> Run:
        command = ["ansible-playbook", "-i", str(self.folder / "inventories" / NAME), playbook, *options]
        return ran(command, self.log, {**self.variables, **ALL_OF_IT})

    def ssh(self, command: str) -> str:
        access = self.folder / "access"
        options = ["-F", "none", "-i", f"{access}/ssh_key", "-o", f"UserKnownHostsFile={access}/known_hosts"]
        done = subprocess.run(
            ["ssh", *options, f"operator@{ADDRESS}", command], capture_output=True, text=True, check=True
        )
        return done.stdout

    def get(self, path: str) -> tuple[int, str]:
        """Ask as a visitor who trusts the environment's CA."""
        context = ssl.create_default_context(cafile=str(self.folder / "access/ca.crt"))
        with socket_to(context) as stream:
            stream.sendall(f"GET {path} HTTP/1.0\r\nHost: {PUBLIC}\r\n\r\n".encode())
            found = b"".join(iter(lambda: stream.recv(65536), b"")).decode()
        return int(found.split()[1]), found


def socket_to(context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection((ADDRESS, 443), 10), server_hostname=PUBLIC)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Single]:
    """A blank host, and what an operator writes for it."""
    found = Single(tmp_path_factory.mktemp("single"))
    found.write()
    found.lab("up", NAME)
    try:
        found.enter()
        yield found
    finally:
        found.lab("remove", NAME)


def test_a_blank_host_serves_one_service_and_nothing_else(single: Single) -> None:
    made = single.play("playbooks/secrets.yml", "-e", "create=missing")
    assert made.code == 0, made.output
    secrets = yaml.safe_load((single.folder / "access/secrets.yml").read_text())
    assert set(secrets) == {
        "environment/ca",
        "environment/certificate/edge",
        "environment/registry",
        "environment/value/signing",
    }
    first = single.play("site.yml")
    assert first.code == 0, first.output
    status, page = single.get("/")
    assert (status, "MailDev" in page) == (200, True), page
    again = single.play("site.yml")
    assert again.quiet, again.output
    packages = single.ssh("dpkg-query -W -f '${Package}\\n'")
    assert not re.search(r"^(postgresql|prometheus|rabbitmq)", packages, re.M), packages
    assert single.ssh("sudo podman ps --format '{{.Names}}'").split() == ["web-blue"]
