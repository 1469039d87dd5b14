# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Runs HAProxy with the rendered files of one edge host, in a container of the hosts' image, and sends requests to it.

`edge.py RENDERED` reads requests from standard input, a JSON list of {path, headers, before, port}, and prints a JSON
list of {status, headers, body, got, log, others}: `got` is the backend's request ({port, path, headers}, null if no
backend got it), `log` the edge's log line, and `others` are further lines since the request before. `before` are paths
to request first on the same connection. Instead of a path, a request may have `raw`, all bytes to send, a `source` and
a `target` address, and `commands` for HAProxy before it. `first` are bytes before TLS, and with `silent`, HAProxy logs
nothing. Without a response, `status` is null, and `silent` must be false if HAProxy logs something. Such a request may
also have `late`, bytes to send after a while, and `certificate`, a client's certificate with its key; `resumed` then
repeats the request in the same TLS session. The blue slot's servers are replaced with backends of this script in
127.0.0.0/8. They end the connection instead of responding
to `/dropped`. They respond to `/hanging` late, and `got` then has `shown`, how HAProxy's socket shows the request. They
respond late to a path that ends in `/late`, and a path that ends in `/echo` is a WebSocket that sends back what it
gets. They send the headers `Send-<name>` of the query. The green slot has no routes.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import http.client
import http.server
import json
import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

CONTEXT = ssl._create_unverified_context()
# An address of this machine on which visitors are redirected. On 127.0.0.1, port 80 is for health checks only.
REDIRECTING = "127.0.0.3"
# The path of the health page of the service `checked`.
CHECKED_PATH = "/checked/ready"
# Services that speak gRPC, each with the service that its check asks about, and the status that it has (1: it serves).
SPEAKING = {"serving": (b"", 1), "named": (b"shop.v1.Orders", 1), "ailing": (b"", 2), "spoken": (b"", 1)}
# The services that the edge checks.
CHECKED = ("checked", "connected", "commanded", *SPEAKING)
# A server of one of them: it speaks HTTP/2 only, and reads requests more strictly than most.
SPEAKER = """
frontend {name}
    mode http
    timeout client 60s
    bind {address}:{port} proto h2
    option http-buffer-request
    acl health path /grpc.health.v1.Health/Check
    acl asked req.body,hex {asked}
    acl grpc req.hdr(content-type) application/grpc
    http-request return status 200 content-type application/grpc file /tmp/{name} if METH_POST health asked grpc
    http-request return status 200 hdr Reached {name} unless health
    http-request return status 400
"""
WHILE = 2
"""Seconds after which something comes late."""
seen: list[dict[str, Any]] = []
checks: queue.Queue[dict[str, Any]] = queue.Queue()


class Backend(http.server.BaseHTTPRequestHandler):
    """Responds to every request, and records them except health checks."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send an empty response, or none."""
        if "x-request-id" in self.headers:
            headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
            seen.append({"port": self.server.server_port, "path": self.path, "headers": headers})  # type: ignore[attr-defined]
        if self.path == "/dropped":
            self.close_connection = True
            return
        if self.path == "/hanging":
            seen[-1]["shown"] = shown("show sess older 1s")
        if self.path.endswith("/echo"):
            self._echo()
            return
        if self.path.endswith("/late"):
            time.sleep(WHILE)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        for name, value in parse_qsl(urlsplit(self.path).query):
            if name.startswith("Send-"):
                self.send_header(name.removeprefix("Send-"), value)
        self.end_headers()

    def _echo(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        for name, value in {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Accept": base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(ConnectionError):
            while data := self.connection.recv(4096):
                self.connection.sendall(data)

    def do_POST(self) -> None:
        """Read the body, and do the same."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_HEAD(self) -> None:
        """Record a health check, and say that this service is ready."""
        if self.path == CHECKED_PATH:
            headers = {name.lower(): value for name, value in self.headers.items()}
            checks.put({"version": self.request_version, "headers": headers})
        self.send_response(204)
        self.end_headers()

    def do_OPTIONS(self) -> None:
        """Do the same."""
        self.do_GET()

    def log_message(self, *_words: Any) -> None:
        """Log nothing."""


class Journal:
    """What HAProxy logs. A thread reads it at once, because HAProxy drops a line if about ten wait already."""

    def __init__(self) -> None:
        Path("/dev/log").unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            self._lines.put(self._socket.recv(8192).decode())

    def line(self) -> str:
        """Wait for the next line."""
        return self._lines.get(timeout=120)

    def forget(self) -> None:
        """Forget the lines up to now."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()


def shown(command: str) -> str:
    """Return HAProxy's output of a command as soon as it shows a request to a service."""
    text = ""
    while " backend=home" not in text:
        time.sleep(0.2)
        text = told(command)
    return text


def told(command: str, path: str = "/run/haproxy/admin.sock") -> str:
    """Send a command to HAProxy and return its output."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
        channel.sendall(f"{command}\n".encode())
        channel.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: channel.recv(65536), b"")).decode()


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def prepare(rendered: Path, checked: Sequence[str] = CHECKED) -> None:
    """Copy HAProxy's files, start the backends. The edge checks the services in `checked` only."""
    shutil.copytree(rendered / "etc/haproxy", "/etc/haproxy", dirs_exist_ok=True)
    Path("/etc/haproxy/maps/live.map").write_text("staging 1:blue:-:0\n")
    Path("/etc/haproxy/maps/routes-green.map").write_text("")
    Path("/run/haproxy").mkdir(exist_ok=True)
    slot = Path("/etc/haproxy/slots/blue.cfg")
    # Without health checks: if this process were late for two of them, the edge would send no request here.
    start = "\nbackend "
    text = start.join(
        part
        if part.startswith(tuple(f"{name}_" for name in checked))
        else part.replace("default-server check ", "default-server ")
        for part in slot.read_text().split(start)
    )
    text = re.sub(r" track \S+", "", text)
    slot.write_text(re.sub(r"(server \S+ )\d+", r"\g<1>127", text))
    for address, port in set(re.findall(r"server \S+ (\S+):(\d+)", slot.read_text())) - speak(slot.read_text()):
        server = http.server.ThreadingHTTPServer((address, int(port)), Backend)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def speak(text: str) -> set[tuple[str, str]]:
    """Start the servers that speak gRPC, and return their {(address, port)}."""
    found = set()
    configuration = ""
    for name, (service, status) in SPEAKING.items():
        part = re.search(rf"\nbackend {name}_.*?(?=\nbackend |\Z)", text, re.S)
        own = re.findall(r"server \S+ (\S+):(\d+)", part[0] if part else "")
        found |= set(own)
        asked = (b"\n" + bytes([len(service)]) + service) if service else b""
        Path("/tmp", name).write_bytes(b"\0\0\0\0\2\x08" + bytes([status]))
        for number, (address, port) in enumerate(own):
            message = (b"\0" + len(asked).to_bytes(4, "big") + asked).hex().upper()
            frontend = SPEAKER.format(name=f"{name}{number}", address=address, port=port, asked=message)
            configuration += frontend.replace(f"/tmp/{name}{number}", f"/tmp/{name}")
    if found:
        Path("/tmp/speakers.cfg").write_text(configuration)
        speakers = subprocess.Popen(["haproxy", "-db", "-f", "/tmp/speakers.cfg"], stdout=sys.stderr)
        # Before that, the edge would find the servers down, and send them no request.
        while not all(listens(int(port), address) for address, port in found):
            if speakers.poll() is not None:
                raise RuntimeError("the servers that speak gRPC did not start")
            time.sleep(0.1)
    return found


def judged() -> dict[str, str]:
    """Return what the edge finds out about the servers of each service that it checks: UP or DOWN, and from what."""
    while True:
        rows = csv.DictReader(told("show stat -1 4 -1").removeprefix("# ").splitlines())
        found = {
            row["pxname"].removesuffix("_blue"): f"{row['status']} {row['check_status'].removeprefix('* ')}"
            for row in rows
            if row["pxname"].startswith(CHECKED) and row["pxname"].endswith("_blue")
        }
        # A server counts as up until its check has failed twice.
        if all(re.match(r"UP L\dOK|DOWN ", status) for status in found.values()):
            return found
        time.sleep(0.2)


def ask(request: dict[str, Any], journal: Journal) -> dict[str, Any]:
    """Send a request and return its result."""
    if "check" in request:
        return checks.get(timeout=120)
    if "judged" in request:
        return judged()
    seen.clear()
    for command in request.get("commands", []):
        told(command)
    if request.get("port") == 80:
        check_health()
    if "raw" in request:
        found = sent(request)
        is_silent = request.get("silent", found["status"] is None)
        return found if is_silent else {**found, **noted(journal)}
    connection: http.client.HTTPConnection
    if request["port"] == 80:
        connection = http.client.HTTPConnection(REDIRECTING, 80, timeout=120)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", 443, context=CONTEXT, timeout=120)
    for path in (*request["before"], request["path"]):
        connection.request("GET", path, headers=request["headers"])
        answer = connection.getresponse()
        answer.read()
        entry = noted(journal)
    connection.close()
    return {"status": answer.status, "headers": headers_of(answer), "got": seen[-1] if seen else None, **entry}


def sent(request: dict[str, Any]) -> dict[str, Any]:
    """Send the bytes of a request and return {status, headers, body, got}, and `echo`, what comes back of `late`."""
    port = request.get("port", 443)
    own = (request["source"], 0) if "source" in request else None
    context = CONTEXT if "certificate" not in request else context_with(request["certificate"])
    session = None
    found: dict[str, Any] = {"status": None, "headers": {}, "body": ""}
    for _time in range(2 if request.get("resumed") else 1):
        with (
            contextlib.suppress(ConnectionError, ssl.SSLError, http.client.BadStatusLine),
            socket.create_connection((request.get("target", REDIRECTING), port), 120, own) as plain,
        ):
            plain.sendall(request.get("first", "").encode("latin-1"))
            channel = context.wrap_socket(plain, session=session) if port == 443 else plain
            channel.sendall(request["raw"].encode("latin-1"))
            if "late" in request and "/echo" not in request["raw"]:
                time.sleep(WHILE)
                channel.sendall(request["late"].encode())
            answer = http.client.HTTPResponse(channel, method=request["raw"].split(" ", 1)[0])
            answer.begin()
            found = {"status": answer.status, "headers": headers_of(answer), "body": answer.read().decode()}
            if answer.status == 101:
                time.sleep(WHILE)
                found["echo"] = echoed(channel, request["late"])
            if isinstance(channel, ssl.SSLSocket):
                found["reused"] = channel.session_reused
                session = channel.session
            channel.close()
    return {**found, "got": seen[-1] if seen else None}


def echoed(channel: socket.socket, text: str) -> str:
    """Send a text through a WebSocket and return what comes back, empty if it is closed."""
    with contextlib.suppress(OSError):
        channel.sendall(text.encode())
        return channel.recv(4096).decode()
    return ""


def context_with(certificate: str) -> ssl.SSLContext:
    """Return a client's TLS context that shows a certificate, given with its key."""
    context = ssl._create_unverified_context()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def headers_of(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers of a response, with names in lowercase."""
    return {name.lower(): value for name, value in answer.getheaders()}


def noted(journal: Journal) -> dict[str, Any]:
    """Return {log, others}: the edge's next log line of a request, and the lines before it."""
    others: list[str] = []
    while not re.search('"(path|port)":', line := journal.line()):
        others.append(line)
    return {"log": json.loads(line[line.index("{") :]), "others": others}


def check_health() -> None:
    """Check the edge's health as keepalived does, which reads one line and closes the connection."""
    with socket.create_connection(("127.0.0.1", 80), timeout=120) as channel:
        channel.sendall(b"GET /edge-health HTTP/1.0\n\n")
        if b" 200 " not in channel.recv(100):
            raise RuntimeError("the edge is not healthy")


@contextlib.contextmanager
def running(journal: Journal, *options: str) -> Iterator[None]:
    """Run HAProxy with the prepared files, until it serves; `journal` then has no line of its start."""
    words = ["haproxy", *(options or ("-db",)), "-C", "/etc/haproxy", "-f", "haproxy.cfg", "-f", "slots"]
    proxy = subprocess.Popen(words, stdout=sys.stderr)
    try:
        while not listens(443):
            if proxy.poll() is not None:
                raise RuntimeError("HAProxy did not start")
            time.sleep(0.1)
        journal.forget()
        yield
    finally:
        proxy.kill()


def main() -> None:
    """Run HAProxy, send all requests, print the results."""
    requests = json.load(sys.stdin)
    asks_checks = any("check" in request or "judged" in request for request in requests)
    prepare(Path(sys.argv[1]), CHECKED if asks_checks else ())
    journal = Journal()
    with running(journal):
        print(json.dumps([ask(request, journal) for request in requests]))


if __name__ == "__main__":
    main()
