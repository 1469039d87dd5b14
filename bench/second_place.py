# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A second place for backups: an SFTP server on the lab's control host, which belongs to no environment."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from bench.common import ROOT

HOST, ADDRESS, USER = "control1", "198.18.30.11", "backups"


class Site(Protocol):
    """The environment whose backups go there, such as an `Environment` of the tests on hosts."""

    name: str

    def play(self, playbook: str, *arguments: str) -> Any:
        """Run a playbook."""


def on_place(script: str) -> str:
    """Run a shell script as root on the place's host; return its output."""
    command = ["lab/lab", "ssh", HOST, "sudo", "sh", "-s"]
    done = subprocess.run(command, cwd=ROOT, input=script, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def second_place(environment: Site) -> Iterator[list[str]]:
    """Yield the options of a run whose backups also go to the place; remove the place at the end.

    It is set up as docs/backup.md says.
    """
    key = on_place(
        f"""set -e
        ! id {USER} >/dev/null 2>&1 || userdel --force --remove {USER} 2>/dev/null
        useradd --create-home {USER}
        ssh-keygen -q -t ed25519 -N '' -C backups -f /home/{USER}/key
        mkdir -m 700 /home/{USER}/.ssh
        mv /home/{USER}/key.pub /home/{USER}/.ssh/authorized_keys
        chown -R {USER} /home/{USER}/.ssh
        cat /home/{USER}/key; rm /home/{USER}/key"""
    )
    public = on_place("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    place = {
        **{"type": "sftp", "path": f"/home/{USER}/{environment.name}", "sftp-host": ADDRESS, "sftp-host-user": USER},
        **{"sftp-host-key-hash-type": "sha256", "sftp-host-key-check-type": "fingerprint"},
        "sftp-host-fingerprint": hashlib.sha256(base64.b64decode(public)).hexdigest(),
    }
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "key").write_text(key)
            Path(folder, "second.json").write_text(json.dumps({"pgbackrest_second": place}))
            options = ["-e", f"@{folder}/second.json"]
            for words in (
                ("playbooks/secret.yml", "-e", "put=third-party/backup", "-e", f"put_file={folder}/key", *options),
                ("playbooks/secrets.yml", "-e", "create=missing", *options),
            ):
                run = environment.play(*words)
                assert run.code == 0, run.output
            yield options
    finally:
        on_place(f"pkill -u {USER} || true; userdel --force --remove {USER} 2>/dev/null")


@contextlib.contextmanager
def silent_place() -> Iterator[None]:
    """Let the place refuse logins."""
    keys = f"/home/{USER}/.ssh/authorized_keys"
    on_place(f"mv {keys} {keys}.off")
    try:
        yield
    finally:
        on_place(f"mv {keys}.off {keys}")
