# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of one edge host, changes its map line, and records the slot of each request.

`share.py RENDERED` reads a JSON list of rounds from standard input, {value, cookies, headers, source, down}, and
prints a JSON list of [[slot, chosen, cookie that was set, group]] with one entry for each cookie of the round.
`value` is the map's value, a cookie of null means none, `source` is the client's address, `down` means that green's
server is down. Routes and slots are replaced, because the test is about the frontend's choice.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edge

MAP = "/etc/haproxy/maps/live.map"
ADMIN = "/run/haproxy/admin.sock"
HOST = "portal.staging.greenroom.test"
BATCH = 50
PORTS = {"blue": 18001, "green": 18002}
SLOT = """\
backend page_{slot}
    http-response set-header X-Greenroom-Slot {slot}
    http-response set-header X-Chosen %[var(txn.chosen)]
    http-response set-header X-Group %[var(txn.group)]
    server app1 127.0.0.1:{port}
frontend service_{slot}
    bind 127.0.0.1:{port}
    no log
    http-request return status 200
"""


def prepare(rendered: Path) -> None:
    """Copy HAProxy's files, with slots that respond themselves."""
    shutil.copytree(rendered / "etc/haproxy", "/etc/haproxy", dirs_exist_ok=True)
    Path(MAP).write_text("staging 1:blue:-:0\n")
    Path("/run/haproxy").mkdir(exist_ok=True)
    for slot in ("blue", "green"):
        Path(f"/etc/haproxy/maps/routes-{slot}.map").write_text("/ page:default:open\n")
        Path(f"/etc/haproxy/slots/{slot}.cfg").write_text(SLOT.format(slot=slot, port=PORTS[slot]))


def tell(command: str) -> None:
    """Send a command to the running worker."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(ADMIN)
        admin.sendall(f"{command}\n".encode())
        said = admin.recv(4096).strip()
    assert not said, said


def ask(turn: dict[str, Any]) -> Iterator[list[str | None]]:
    """Send one request for each cookie on one connection, in batches; yield the result of each."""
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", 443), 120, (turn.get("source", "127.0.0.1"), 0)) as plain:
        connection = context.wrap_socket(plain)
        headers = "".join(f"{name}: {value}\r\n" for name, value in turn.get("headers", {}).items())
        cookies = turn["cookies"]
        for start in range(0, len(cookies), BATCH):
            batch = cookies[start : start + BATCH]
            lines = ["" if cookie is None else f"Cookie: a=b; greenroom_share={cookie}\r\n" for cookie in batch]
            connection.sendall(
                "".join(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n{headers}{line}\r\n" for line in lines).encode()
            )
            got = b""
            while got.count(b"\r\n\r\n") < len(batch):
                chunk = connection.recv(65536)
                assert chunk, got[-500:]
                got += chunk
            for answer in got.decode().split("\r\n\r\n")[:-1]:
                words = [
                    re.search(rf"(?im)^{name}: (.*?)\r?$", answer)
                    for name in ("x-greenroom-slot", "x-chosen", "set-cookie", "x-group")
                ]
                yield [word and word[1] for word in words]


def main() -> None:
    """Run HAProxy and all rounds, print the results."""
    rounds = json.load(sys.stdin)
    prepare(Path(sys.argv[1]))
    words = ["haproxy", "-db", "-C", "/etc/haproxy", "-f", "haproxy.cfg", "-f", "slots"]
    proxy = subprocess.Popen(words, stdout=sys.stderr, env={**os.environ})
    try:
        for _attempt in range(1200):
            if Path(ADMIN).exists() and edge.listens(443):
                break
            time.sleep(0.1)
        results = []
        for turn in rounds:
            tell(f"set map {MAP} staging {turn['value']}")
            tell(f"set server page_green/app1 state {'maint' if turn.get('down') else 'ready'}")
            results.append(list(ask(turn)))
        print(json.dumps(results))
    finally:
        proxy.kill()


if __name__ == "__main__":
    main()
