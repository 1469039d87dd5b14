"""RabbitMQ and a mail server for the worker's tests.

The broker is Debian 13's, with the role's own configuration: GREENROOM_RABBITMQ names a folder with a Debian 13 root in
which rabbitmq-server is installed (mmdebstrap --variant=minbase --include=rabbitmq-server trixie <folder>).
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socketserver
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from ansible.module_utils.greenroom.data_stores import broker

from .real import ROOT, Program, free_port, wait_for

TEMPLATES = ROOT / "roles/broker/templates/etc/rabbitmq"
INSIDE = "/etc/rabbitmq/tls"
VHOST = "staging"
# A separate root, whose mounts disappear with its last process.
ENTER = (
    'mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" su rabbitmq -s /bin/sh -c "$1"'
)


@dataclass
class Broker:
    """A RabbitMQ server on loopback."""

    root: Path
    port: int
    ca_file: Path
    program: Program

    @classmethod
    def start(cls, root: Path, certificate: Path, key: Path, output: Path) -> Broker:
        """Start an empty server with a self-signed certificate for 127.0.0.1."""
        shutil.rmtree(root / "var/lib/rabbitmq/mnesia", ignore_errors=True)
        port = free_port()
        templates = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
        for source in TEMPLATES.glob("*.j2"):
            text = templates.from_string(source.read_text()).render(
                __broker_folder=INSIDE, broker_memory="512MB", broker_settings={}, broker_metrics_port=free_port()
            )
            (root / "etc/rabbitmq" / source.stem).write_text(text.replace("5671", str(port)))
        tls = root / INSIDE[1:]
        tls.mkdir(exist_ok=True)
        for file, name in ((certificate, "greenroom.crt"), (key, "greenroom.key")):
            shutil.copy(file, tls / name)
            (tls / name).chmod(0o644)
        words = cls._words(root, "install -d mnesia 2>/dev/null; exec /usr/lib/rabbitmq/bin/rabbitmq-server")
        found = cls(root, port, certificate, Program.start(words, output))
        wait_for("RabbitMQ", lambda: "completed with" in output.read_text(), 120)
        return found

    @staticmethod
    def _words(root: Path, command: str) -> list[str]:
        return ["unshare", "--mount", "sh", "-c", ENTER, str(root), f"cd /var/lib/rabbitmq && {command}"]

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl and return its output."""
        command = self._words(self.root, f"exec /usr/lib/rabbitmq/bin/rabbitmqctl -q {' '.join(words)}")
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def export(self) -> dict[str, Any]:
        """Return all definitions."""
        found: dict[str, Any] = json.loads(self.ctl("export_definitions", "-"))
        return found

    def bring(self, wanted: dict[str, Any]) -> list[str]:
        """Apply the desired definitions, as the module does, and return the differences."""
        plan = broker.plan(wanted, self.export())
        if plan:
            (self.root / "tmp/definitions.json").write_text(json.dumps(plan))
            self.ctl("import_definitions", "/tmp/definitions.json")
        changed: list[str] = broker.lines(plan)
        return changed

    def url(self, name: str, slot: str, password: str) -> str:
        """Return the BROKER_URL of a service."""
        here = {"host": "127.0.0.1", "port": self.port, "vhost": VHOST}
        return str(broker.broker_url(name, slot, password, str(self.ca_file), **here))

    def messages(self) -> dict[str, int]:
        """Return the number of jobs in each queue, including unacknowledged ones."""
        table = json.loads(self.ctl("list_queues", "-p", VHOST, "--formatter", "json", "name", "messages"))
        return {row["name"]: row["messages"] for row in table}

    def stop(self) -> None:
        """Stop the server."""
        self.ctl("stop")
        self.program.process.wait(60)


@dataclass
class MailServer:
    """A mail server; `answer` is its response to each recipient, `seconds` its delay for each mail."""

    answer: str = "250 yes"
    seconds: float = 0
    ids: Counter[str] = field(default_factory=Counter)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        """Start to listen."""
        outer = self

        class Session(socketserver.StreamRequestHandler):
            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self) -> None:
                # Ignore clients that are killed during a connection.
                with contextlib.suppress(ConnectionError):
                    self.serve()

            def serve(self) -> None:
                self.say("220 here")
                for line in self.rfile:
                    word = line[:4].upper()
                    if word == b"RCPT":
                        self.say(outer.answer)
                    elif word == b"DATA":
                        time.sleep(outer.seconds)
                        self.say("354 go on")
                        text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                        outer.ids.update(re.findall(r"^Message-ID: <receipt-(.+?)@", text, re.M | re.I))
                        self.say("250 taken")
                    elif word == b"QUIT":
                        return self.say("221 bye")
                    else:
                        self.say("250 yes")

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Session)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()
