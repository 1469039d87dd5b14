# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Secrets come back from a snapshot of OpenBao onto a new server, as docs/backup.md says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac
import requests

from bench.common import free_port

BAO = str(Path(sys.executable).with_name("bao"))
PAGE = (Path(__file__).resolve().parents[2] / "docs/backup.md").read_text()
SAVE, RESTORE = "bao operator raft snapshot save vault.snap", "bao operator raft snapshot restore -force vault.snap"
SERVER = """\
storage "raft" {{
  path    = "{folder}"
  node_id = "one"
}}
listener "tcp" {{
  address     = "127.0.0.1:{port}"
  tls_disable = true
}}
api_addr     = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
"""


@contextmanager
def server(folder: Path) -> Iterator[tuple[hvac.Client, str]]:
    """Run a new OpenBao with integrated storage; yield a client with the root token, and the unseal key."""
    folder.mkdir()
    port = free_port()
    file = folder / "openbao.hcl"
    file.write_text(SERVER.format(folder=folder, port=port, cluster=free_port()))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([BAO, "server", f"-config={file}"], stdout=log, stderr=log)
        try:
            client = hvac.Client(url=f"http://127.0.0.1:{port}")
            end = time.monotonic() + 60
            while True:
                try:
                    made = client.sys.initialize(secret_shares=1, secret_threshold=1)
                    break
                except requests.ConnectionError:
                    assert time.monotonic() < end, (folder / "log").read_text()
                    time.sleep(0.2)
            client.token = made["root_token"]
            [key] = made["keys"]
            client.sys.submit_unseal_key(key)
            wait_active(client)
            yield client, key
        finally:
            process.terminate()
            process.wait()


def wait_active(client: hvac.Client) -> None:
    """Wait until the server serves: its storage has a leader some seconds after it was opened."""
    end = time.monotonic() + 60
    while requests.get(f"{client.url}/v1/sys/health", timeout=20).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.2)


def call(client: hvac.Client, command: str, folder: Path) -> None:
    """Run a command of the page."""
    assert command in PAGE
    words = [BAO, *command.split()[1:]]
    environment = {**os.environ, "BAO_ADDR": client.url, "BAO_TOKEN": client.token}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_server_gets_the_secrets_of_a_snapshot(tmp_path: Path) -> None:
    with server(tmp_path / "before") as (client, key):
        token = client.token
        client.sys.enable_secrets_engine("kv", path="greenroom", options={"version": "1"})
        client.secrets.kv.v1.create_or_update_secret("portal/value/key", {"value": "kept"}, mount_point="greenroom")
        call(client, SAVE, tmp_path)
    with server(tmp_path / "after") as (client, _):
        call(client, RESTORE, tmp_path)
        # It has the storage of before now, which only the keys of before open.
        client.token = token
        client.sys.submit_unseal_key(key)
        wait_active(client)
        found = client.secrets.kv.v1.read_secret("portal/value/key", mount_point="greenroom")
        assert found["data"] == {"value": "kept"}
