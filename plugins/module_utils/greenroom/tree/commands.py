# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs the commands of `template_tree`: systemctl, and those that validate files."""

from __future__ import annotations

import os
import subprocess

PLAIN = {"LC_ALL": "C", "SYSTEMD_COLORS": "0"}


def run(command: list[str]) -> tuple[int, str, str]:
    """Run a command without a shell; return its exit code and output. Raises OSError if it can't be started.

    `~` and `$NAME` in its arguments are expanded. Bytes that aren't UTF-8 become surrogates.
    """
    words = [os.path.expanduser(os.path.expandvars(word)) for word in command]
    # Files and not pipes: a process that the command leaves behind keeps them open, and a pipe's reader waits for it.
    with open(os.memfd_create("out"), "w+b") as out, open(os.memfd_create("err"), "w+b") as err:
        code = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**os.environ, **PLAIN}, check=False
        ).returncode
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(errors="surrogateescape"), err.read().decode(errors="surrogateescape")
