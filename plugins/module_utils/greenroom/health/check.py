# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One health check of a service on its host: a request to a page, a connection, gRPC's own check, or a command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from ..common.web import Deadline, Network, Request, WebError, connect, request
from . import grpc

KINDS = ("http", "tcp", "grpc", "command")
ANSWER_SECONDS = 5.0
# Podman's own health checks may take as long.
COMMAND_SECONDS = 30.0
SAID_CHARACTERS = 200

OPTIONS: dict[str, Any] = {
    "kind": {"type": "str", "choices": list(KINDS), "default": "http"},
    "port": {"type": "int", "default": 0},
    "path": {"type": "str", "default": "/"},
    "method": {"type": "str", "default": "GET"},
    "headers": {"type": "dict", "default": {}},
    "status": {"type": "int", "default": 200},
    "authority": {"type": "str", "default": ""},
    "service": {"type": "str", "default": ""},
    "command": {"type": "list", "elements": "str", "default": []},
}
"""The options of a module for a health check."""


class Unmet(NamedTuple):
    """Why a program is not ready, and what a command has said, which may contain secrets."""

    reason: str
    output: str = ""


@dataclass(frozen=True)
class HealthCheck:
    """How to tell whether a program is ready, with the options of the module `slot_ready`."""

    kind: str = "http"
    port: int = 0
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    authority: str = ""
    service: str = ""
    command: Sequence[str] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> HealthCheck:
        """Return the check in the options of a module, which may have others, too."""
        return cls(**{each.name: given[each.name] for each in fields(cls)})

    def unmet(self, address: str, container: str, deadline: Deadline) -> Unmet | None:
        """Try once at an address, or in a container for a command; returns None if the program is ready."""
        try:
            if self.kind == "command":
                return self._run(container, deadline.earlier(COMMAND_SECONDS))
            reason = self._ask(address, deadline.earlier(ANSWER_SECONDS))
        except TimeoutError:
            reason = "no answer in time"
        except (WebError, OSError) as error:
            reason = str(error)
        return Unmet(reason) if reason else None

    def _ask(self, address: str, limit: Deadline) -> str:
        if self.kind == "http":
            wanted = Request(self.method, f"http://{address}:{self.port}{self.path}", self.headers)
            status = request(wanted, Network(), limit).status
            return "" if status == self.status else f"status {status} instead of {self.status}"
        with connect(address, self.port, Network(), limit) as channel:
            return grpc.ask(channel, self.authority, self.service, limit) if self.kind == "grpc" else ""

    def _run(self, container: str, limit: Deadline) -> Unmet | None:
        """Run the command in the container, as its user and with its environment."""
        try:
            done = subprocess.run(
                ["podman", "exec", container, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit.wait(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Unmet(f"{self.command[0]} did not end in time")
        if not done.returncode:
            return None
        said = done.stdout.decode(errors="replace").strip().rpartition("\n")[2]
        return Unmet(f"{self.command[0]} ended with exit code {done.returncode}", said[:SAID_CHARACTERS])
