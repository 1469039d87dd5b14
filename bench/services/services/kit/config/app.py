# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A program that keeps files, uses a cache, and has jobs, so that a proof can look at them. Standard library only."""

from __future__ import annotations

import http.server
import json
import os
import socket
import ssl
import sys
import time
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SLOT = os.environ["GREENROOM_SLOT"]
FOLDERS = ("/data", "/index")


def cached(*commands: list[str]) -> list[str]:
    """Send commands to the cache, and return the first line of each answer."""
    url = urlsplit(os.environ["REDIS_URL"])
    context = ssl.create_default_context(cafile="/etc/greenroom/ca.crt")
    plain = socket.create_connection((url.hostname, url.port), 5)
    found = []
    with context.wrap_socket(plain, server_hostname=url.hostname) as channel:
        for words in (["AUTH", url.username or "", unquote(url.password or "")], *commands):
            parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
            channel.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            found.append(channel.recv(4096).decode().split()[0])
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    """Responds with what it did, as JSON."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Do what the last part of the path says: write, list or cache."""
        url = urlsplit(self.path)
        found: dict[str, Any] = {"slot": SLOT, "path": self.path, "prefix": self.headers.get("X-Forwarded-Prefix")}
        what = url.path.rsplit("/", 1)[-1]
        if what == "write":
            for folder in FOLDERS:
                with open(f"{folder}/{dict(parse_qsl(url.query))['name']}", "w", encoding="utf-8") as file:
                    file.write(SLOT)
        elif what == "list":
            found["files"] = {folder: sorted(os.listdir(folder)) for folder in FOLDERS}
        elif what == "cache":
            key = f"{os.environ['REDIS_PREFIX']}a"
            found["cache"] = cached(["SET", key, SLOT], ["GET", key], ["SET", "other", "x"], ["FLUSHALL"])
        body = f"{json.dumps(found)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Log nothing."""


def noted(line: str) -> None:
    """Add a line to the file of ticks."""
    with open("/data/ticks", "a", encoding="utf-8") as file:
        file.write(f"{time.time():.1f} {line} {SLOT}\n")


def main(words: list[str]) -> int:
    """Serve, or be a job (`tick NAME SECONDS`), or a hook (`hook`)."""
    if words[0] == "tick":
        noted(f"begin {words[1]}")
        time.sleep(float(words[2]))
        noted(f"end {words[1]}")
    elif words[0] == "hook":
        noted(f"hook {os.environ['GREENROOM_HOOK']}")
    else:
        http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
