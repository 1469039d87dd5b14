#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A podman for tests, as a program on PATH: it keeps its containers in the folder that $FAKE_PODMAN names.

`<name>.json` is what `inspect` says of a container. `program.json` is what `run` runs: {says, code} ends, {says, port,
status} serves on 127.0.0.1 until `rm`. Every call is noted in `calls`.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import sys
from pathlib import Path

FOLDER = Path(os.environ["FAKE_PODMAN"])


def inspect(name: str) -> int:
    """Print what is known of a container."""
    file = FOLDER / f"{name}.json"
    if not file.exists():
        print("[]")
        return 125
    print(f"[{file.read_text()}]")
    return 0


def remove(name: str) -> int:
    """Kill a container's program, and forget it."""
    file = FOLDER / f"{name}.json"
    if file.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(file.read_text())["State"]["Pid"], signal.SIGKILL)
        file.unlink()
    return 0


def run(name: str) -> int:
    """Be a container."""
    program = json.loads((FOLDER / "program.json").read_text())
    print(program["says"], flush=True)
    if "code" in program:
        return int(program["code"])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(program["status"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = http.server.HTTPServer(("127.0.0.1", program["port"]), Handler)
    networks = {"greenroom-blue": {"IPAddress": "127.0.0.1"}}
    found = {"State": {"Running": True, "Pid": os.getpid()}, "NetworkSettings": {"Networks": networks}}
    (FOLDER / f"{name}.new").write_text(json.dumps(found))
    (FOLDER / f"{name}.new").replace(FOLDER / f"{name}.json")
    server.serve_forever()
    return 0


def main(words: list[str]) -> int:
    """Take a command."""
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    match words[0]:
        case "container":
            return inspect(words[2])
        case "rm":
            return remove(words[-1])
        case "run":
            return run(next(word.removeprefix("--name=") for word in words if word.startswith("--name=")))
    return 125


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
