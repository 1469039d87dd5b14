"""Runs the guard's configuration with HAProxy, in front of a provider with faults, and prints what callers got as JSON.

Needs a network namespace of its own: egress_guard.py CONFIGURATION.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

GUARD, PROVIDER = "198.18.10.41", "198.19.200.10"
CONFIGURATION = Path(sys.argv[1]).read_text(encoding="utf-8")
SEEN: Counter[str] = Counter()
"""Requests that reached the provider, by path."""
ANSWERS = {
    "/500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
    "/429": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    "/cut": b"",
}
OKAY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def port(number: int) -> int:
    """Return the guard's port for the calls of the portal to a port."""
    frontend = CONFIGURATION.partition(f"frontend port-{number}\n")[2]
    found = re.search(r"bind \S+:(\d+) name portal\n", frontend)
    assert found
    return int(found[1])


def web(made: socket.socket) -> None:
    """Answer the requests of a connection, each in the way that its path says."""
    with made:
        while data := made.recv(8192):
            path = data.split()[1].decode()
            SEEN[path] += 1
            if path == "/slow":
                # Longer than the guard waits for a connection.
                time.sleep(6)
            answer = ANSWERS.get(path, OKAY)
            if not answer:
                return
            made.sendall(answer)


def echo(made: socket.socket) -> None:
    """Return what a connection sends, as something that is encrypted would pass."""
    with made:
        while data := made.recv(8192):
            made.sendall(data)


def serve(number: int, handle: Callable[[socket.socket], None]) -> socket.socket:
    """Start a server of the provider."""
    own = socket.create_server((PROVIDER, number))

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=handle, args=(own.accept()[0],), daemon=True).start()

    threading.Thread(target=take, daemon=True).start()
    return own


def asked(path: str, host: str = "web.proof.test", made: HTTPConnection | None = None) -> list[object]:
    """Return [status, Retry-After] of a request; [the error] if there was no response."""
    own = made or HTTPConnection(GUARD, port(80), timeout=20)
    try:
        own.request("POST", path, body=b"pay", headers={"Host": host})
        answer = own.getresponse()
        answer.read()
    except (OSError, HTTPException) as error:
        return [type(error).__name__]
    return [answer.status, answer.headers.get("Retry-After")]


def hello(name: str) -> bytes:
    """Return the first message of a TLS handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def said(made: socket.socket, data: bytes) -> bool:
    """Return whether a connection gives back what it is sent."""
    try:
        made.sendall(data)
        return bool(made.recv(8192))
    except OSError:
        return False


def budgets() -> dict[str, object]:
    """Spend budgets in the middle of connections: of requests in the clear, and of TLS."""
    kept = HTTPConnection(GUARD, port(80), timeout=20)
    requests = [asked("/", "few-web.proof.test", kept)[0] for _ in range(5)]
    name = "few.proof.test"
    opened = [socket.create_connection((GUARD, port(443)), 20) for _ in range(21)]
    passed = [said(made, hello(name)) for made in opened]
    return {
        "requests": requests,
        "elsewhere": asked("/")[0],
        "tls": passed,
        "tls_open": said(opened[0], b"more"),
    }


def main() -> None:
    """Start all, and call."""
    for words in ("link set lo up", f"address add {GUARD}/32 dev lo", f"address add {PROVIDER}/32 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    Path("/run/greenroom-egress").mkdir(parents=True)
    servers = [serve(80, web), serve(443, echo)]
    command = ["haproxy", "-db", "-L", "guard", "-f", sys.argv[1]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as guard:
        end = time.monotonic() + 30
        while asked("/")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.1)
        found: dict[str, object] = {path: asked(path) for path in ("/slow", "/500", "/429", "/cut")}
        found |= budgets()
        for server in servers:
            server.shutdown(socket.SHUT_RDWR)
        found["down"] = asked("/")
        found["seen"] = {path: SEEN[path] for path in ("/slow", "/500", "/429", "/cut")}
        guard.terminate()
        lines = guard.stdout.read().splitlines() if guard.stdout else []
    reasons = Counter(json.loads(line)["reason"] for line in lines if line.startswith('{"reason"'))
    print("RESULT " + json.dumps(found | {"reasons": reasons}))


if __name__ == "__main__":
    main()
