# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Asks for a run of `ansible-playbook` without its start (warm_start.py).

As a program, it stands in for `ansible-playbook`: warm_client.py SOCKET ARGUMENT ... It imports little, to start soon.
"""

from __future__ import annotations

import array
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO


def ask(place: str, words: Sequence[str], cwd: str, env: Mapping[str, str], files: Sequence[int]) -> TextIO:
    """Start a run with these files for output and errors.

    The answer is its process ID, and later its exit code and CPU time.
    """
    text = json.dumps({"words": list(words), "cwd": cwd, "env": dict(env)}).encode()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(place)
        given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
        channel.sendmsg([len(text).to_bytes(8)], given)
        channel.sendall(text)
        return channel.makefile()


def main(place: str, *words: str) -> int:
    """Run to the end; return the exit code."""
    with ask(place, words, os.getcwd(), os.environ, [1, 2]) as answers:
        answers.readline()
        code = int(answers.readline().split()[0])
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
