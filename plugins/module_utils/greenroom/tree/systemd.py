# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Calls of systemctl and journalctl, and the mapping from files to units. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import shlex
from collections.abc import Sequence

from .changes import Run
from .files import TreeError

UNIT_SUFFIXES = (
    ".service", ".socket", ".timer", ".target", ".path", ".mount", ".automount", ".swap", ".slice", ".scope", ".device",
)  # fmt: skip
# Files in these folders define units. A generator makes services from Quadlet files.
UNIT_DIRECTORIES = tuple(f"{root}/systemd/system/" for root in ("/etc", "/run", "/lib", "/usr/lib", "/usr/local/lib"))
QUADLET_DIRECTORIES = tuple(f"{root}/containers/systemd/" for root in ("/etc", "/run", "/usr/share"))
QUADLET_GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"
QUADLET_NAMES = {
    ".container": "", ".kube": "", ".network": "-network", ".volume": "-volume", ".pod": "-pod", ".image": "-image",
    ".build": "-build",
}  # fmt: skip
PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "ReloadResult", "Type", "UnitFileState", "NeedDaemonReload",
    "InvocationID", "ExecMainStartTimestamp", "ActiveEnterTimestamp", "StateChangeTimestamp", "NRestarts",
    "ExecMainCode", "ExecMainStatus",
)  # fmt: skip
JOURNAL_LINES = 15
# Seconds before the start of a unit's process in which systemd's messages belong to the same run of the unit.
BEFORE = 0.5


@dataclasses.dataclass(frozen=True)
class Status:
    """The status of a unit."""

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    reload_result: str = "success"
    type: str = ""
    file_state: str = ""
    need_reload: bool = False
    invocation: str = ""
    started: float = 0.0  # start of its main process, or of the unit where it has none
    changed: float = 0.0  # last change of state: a reload is one, too
    restarts: int = 0  # by systemd itself, since the last other start
    end: str = ""  # how its main process ended, "" while it runs

    @property
    def running(self) -> bool:
        """Whether the unit is running."""
        return self.active in ("active", "reloading", "refreshing")

    @property
    def starting(self) -> bool:
        """Whether the unit is starting or waits for its next try."""
        return self.active == "activating"

    @property
    def restarting(self) -> bool:
        """Whether its program has ended, and systemd is going to start it again."""
        return "auto-restart" in self.sub

    def __str__(self) -> str:
        """Say the state, and how the program ended."""
        return ", ".join(filter(None, (f"{self.active}/{self.sub}", self.result, self.end)))


def full_name(name: str) -> str:
    """Return the name with its suffix, completed like systemctl does."""
    return name if name.endswith(UNIT_SUFFIXES) else f"{name}.service"


def defined_by(path: str) -> str | None:
    """Return the unit that a file defines, or None (drop-ins, template units and other files don't define one)."""
    for directory in UNIT_DIRECTORIES:
        name = path.removeprefix(directory)
        if name != path and "/" not in name and name.endswith(UNIT_SUFFIXES) and "@." not in name:
            return name
    for directory in QUADLET_DIRECTORIES:
        stem, suffix = os.path.splitext(path.removeprefix(directory))
        if path.startswith(directory) and "/" not in stem and suffix in QUADLET_NAMES and not stem.endswith("@"):
            return f"{stem}{QUADLET_NAMES[suffix]}.service"
    return None


def is_definition(path: str) -> bool:
    """Whether systemd needs a daemon-reload after a change of this file."""
    return path.startswith(UNIT_DIRECTORIES + QUADLET_DIRECTORIES)


class Systemd:
    """systemctl and journalctl, called through `run`, which takes a command and returns (code, stdout, stderr)."""

    def __init__(self, run: Run) -> None:
        """Take the function that runs commands; it must set a C locale."""
        self.run = run

    def show(self, names: Sequence[str]) -> dict[str, Status]:
        """Return the status of units, in one call."""
        if not names:
            return {}
        command = ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}", *names]
        code, out, err = self.run(command)
        blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in out.strip().split("\n\n")]
        if code or len(blocks) != len(names):
            raise TreeError(f"systemctl can't show {' '.join(names)}: {(err or out).strip()}")
        return {name: _status(block) for name, block in zip(names, blocks, strict=True)}

    def succeeds(self, command: str) -> bool:
        """Whether a custom command succeeds."""
        return self.run(shlex.split(command))[0] == 0

    def daemon_reload(self) -> None:
        """Make systemd reload unit files and run its generators."""
        code, out, err = self.run(["systemctl", "daemon-reload"])
        if code:
            raise TreeError(f"systemctl daemon-reload failed: {(err or out).strip()}")

    def enable(self, names: Sequence[str], *, enabled: bool) -> None:
        """Enable or disable units."""
        verb = "enable" if enabled else "disable"
        code, out, err = self.run(["systemctl", verb, "--quiet", *names])
        if code:
            raise TreeError(f"systemctl {verb} {' '.join(names)} failed: {(err or out).strip()}")

    def act(self, verb: str, names: Sequence[str]) -> str:
        """Start, stop, restart or reload units together; returns systemctl's error message, or ""."""
        # Restart a unit that can't reload, so that it has the files on disk.
        real = "reload-or-restart" if verb == "reload" else verb
        code, out, err = self.run(["systemctl", real, *names])
        return (err or out).strip() or f"exit code {code}" if code else ""

    def reset_failed(self, names: Sequence[str]) -> None:
        """Reset failures and the start limit of units. Ignores errors, because a unit may not be loaded."""
        self.run(["systemctl", "reset-failed", *names])

    def journal(self, name: str, status: Status) -> list[str]:
        """Return the last journal lines of a unit's present (or last) run, including systemd's own."""
        command = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={JOURNAL_LINES}"]
        life = status.invocation
        which = [f"_SYSTEMD_INVOCATION_ID={life}", "+", f"INVOCATION_ID={life}"] if life else [f"--unit={name}"]
        if life and status.started:
            # If a process ended before journald read its line, the line has the unit but no invocation ID.
            which += ["+", f"_SYSTEMD_UNIT={name}", "+", f"UNIT={name}", f"--since=@{status.started - BEFORE:.6f}"]
        self.run(["journalctl", "--sync"])
        _code, out, _err = self.run(command + which)
        return out.splitlines()

    def quadlet_complaint(self, path: str) -> str:
        """Return the error of Podman's generator for a file. Without this, a refused unit would just be missing."""
        if not path.startswith(QUADLET_DIRECTORIES):
            return ""
        if not os.path.exists(QUADLET_GENERATOR):
            return "Podman's generator is not installed"
        _code, _out, err = self.run([QUADLET_GENERATOR, "--dryrun"])
        return " ".join(line for line in err.splitlines() if os.path.basename(path) in line)


def _status(shown: dict[str, str]) -> Status:
    started = _seconds(shown.get("ExecMainStartTimestamp", "")) or _seconds(shown.get("ActiveEnterTimestamp", ""))
    return Status(
        load=shown.get("LoadState", "not-found"),
        active=shown.get("ActiveState", "inactive"),
        sub=shown.get("SubState", "dead"),
        result=shown.get("Result", "success"),
        reload_result=shown.get("ReloadResult", "success"),
        type=shown.get("Type", ""),
        file_state=shown.get("UnitFileState", ""),
        need_reload=shown.get("NeedDaemonReload") == "yes",
        invocation=shown.get("InvocationID", ""),
        started=started,
        changed=_seconds(shown.get("StateChangeTimestamp", "")),
        restarts=int(shown.get("NRestarts") or 0),
        end=_end(shown.get("ExecMainCode", ""), shown.get("ExecMainStatus", "")),
    )


def _end(code: str, status: str) -> str:
    """Return how a process ended: systemd shows `CLD_EXITED` as 1, and other codes if a signal ended it."""
    return "" if code in ("", "0") else f"exit status {status}" if code == "1" else f"signal {status}"


def _seconds(timestamp: str) -> float:
    """Return seconds of "Sat 2025-11-22 04:50:12.123456 UTC", 0.0 of anything else ("n/a", empty)."""
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC", timestamp)
    if not found:
        return 0.0
    moment = datetime.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S.%f")
    return moment.replace(tzinfo=datetime.UTC).timestamp()
