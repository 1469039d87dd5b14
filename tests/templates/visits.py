# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of one edge host, and the programs of bench/flood against it.

`visits.py RENDERED` reads {hold, visit}, the settings of the two programs, from standard input. It prints {quiet,
flood: what the visitor found without and with the flood, held: what the flood did, health: HAProxy's response to
keepalived's check during the flood}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import edge
import flood


def visited(settings: dict[str, Any]) -> dict[str, Any]:
    """Run the visitor."""
    done = subprocess.run(
        [sys.executable, "-I", "/bench/visit.py"],
        input=json.dumps({**settings, "ca": "/etc/haproxy/certificates/edge.pem"}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run HAProxy, and the visitor without and with the flood."""
    settings = json.load(sys.stdin)
    edge.prepare(Path(sys.argv[1]))
    with edge.running(edge.Journal()):
        found = {"quiet": visited(settings["visit"])}
        words = [sys.executable, "-I", "/bench/hold.py"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
            assert holding.stdin
            assert holding.stdout
            holding.stdin.write(json.dumps(settings["hold"]) + "\n")
            holding.stdin.flush()
            assert holding.stdout.readline() == "holding\n"
            found["flood"] = visited(settings["visit"])
            health = flood.asked(80, "127.0.0.1", b"GET /edge-health HTTP/1.0\n\n", "127.0.0.1")
            output, _ = holding.communicate()
        print(json.dumps({**found, "held": json.loads(output), "health": health}))


if __name__ == "__main__":
    main()
