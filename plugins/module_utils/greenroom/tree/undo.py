# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The host undoes a change by itself if no new connection to it confirms the change: it may have locked everybody out.

/var/lib/greenroom/undo/<tree>/ has a copy of each file from before the change, and a script that puts them back. One
more file says where the change stands:

    armed     a timer runs the script soon; the confirmation removes this file
    undoing   the script has begun
    undone    the script is done; the next call reports that
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from ..common import durable
from . import changes, disk, manifest
from .files import TreeError, matches
from .systemd import Status, is_definition
from .units import Unit

SECONDS = 60
"""How long after a call a new connection may confirm the change."""
CALL_SECONDS = 900
"""How long the rest of the call may take: it may start services."""
SCRIPT = """\
#!/bin/sh
# Puts back the files from before the last change of {name}, unless a run has confirmed it.
cd {folder} || exit
[ -e undoing ] || mv armed undoing 2>/dev/null || exit 0
touch undoing
{commands}
mv undoing undone
"""
UNDONE = 9
"""Exit code of the confirmation if the host has undone the change."""
CONFIRM = """\
rm {folder}/armed 2>/dev/null || exit {undone}
systemctl stop --quiet {timers} 2>/dev/null
rm -r {folder} || exit
"""


class Undo:
    """The undo of a tree's last change."""

    def __init__(self, name: str, run: changes.Run) -> None:
        """`run` runs a command."""
        self.name = name
        self.run = run
        self.folder = _folder(name)

    def last(self, check: bool) -> list[dict[str, Any]]:
        """Return [{name, at}] if the last change was undone; `at` is the time in seconds since the epoch.

        A change that nobody has confirmed is undone now, because its run has ended. In check mode, nothing happens.
        """
        if not check and (self._has("armed") or self._has("undoing")):
            self.run(["/bin/sh", os.path.join(self.folder, "undo")])
        found = []
        with contextlib.suppress(FileNotFoundError):
            found = [{"name": self.name, "at": int(os.stat(os.path.join(self.folder, "undone")).st_mtime)}]
        if not check:
            self._forget()
        return found

    def arm(self, paths: Iterable[str], before: Sequence[tuple[Unit, Status]], first: bool) -> None:
        """Keep the files as they are, and start the timer. `before` has the units that load them, with their status.

        `first`: the tree is new on this host, so the previous files of the units aren't Greenroom's.
        """
        os.makedirs(self.folder, mode=0o700)
        lines = list(self._commands(sorted(paths), before, first))
        script = SCRIPT.format(name=self.name, folder=self.folder, commands="\n".join(lines))
        # From the second on, the undo survives a power failure.
        durable.write(os.path.join(self.folder, "undo"), script.encode(), mode=0o700)
        durable.write(os.path.join(self.folder, "armed"), b"", mode=0o600)
        if complaint := self._start(CALL_SECONDS, _timers(self.name)[0]):
            self._forget()
            raise TreeError(f"{self.name}: can't start the timer that would undo the change ({complaint})")

    def wait(self) -> None:
        """Wait for the confirmation from now on."""
        self._start(SECONDS, _timers(self.name)[1])

    def _commands(self, paths: Sequence[str], before: Sequence[tuple[Unit, Status]], first: bool) -> Iterable[str]:
        """Yield the lines of the script, and copy the files."""
        # A unit that was not in use, or had other files, must end its effect while the new files are there.
        stopped = [unit.name for unit, status in before if first or not status.running]
        if stopped:
            yield f"systemctl stop {shlex.join(stopped)}"
        for number, path in enumerate(paths):
            if not os.path.lexists(path):
                yield f"rm -f {shlex.quote(path)}"
                continue
            code, out, err = self.run(["cp", "--archive", path, os.path.join(self.folder, str(number))])
            if code:
                self._forget()
                raise TreeError(f"{path} can't be copied: {(err or out).strip()}")
            temporary, folder = shlex.quote(disk.temporary_name(path)), shlex.quote(os.path.dirname(path))
            yield f"mkdir -p {folder} && cp --archive {number} {temporary} && mv {temporary} {shlex.quote(path)}"
        if any(map(is_definition, paths)):
            yield "systemctl daemon-reload"
        for unit, status in before:
            if status.running:
                verb = "reload-or-restart" if unit.on_change == "reload" and not first else "restart"
                yield f"systemctl {verb} {shlex.quote(unit.name)}"

    def _start(self, seconds: int, timer: str) -> str:
        """Start a timer for the script; return what systemd complains about."""
        unit = f"--unit={timer.removesuffix('.timer')}"
        command = ["systemd-run", "--quiet", "--collect", unit, f"--on-active={seconds}"]
        script = os.path.join(self.folder, "undo")
        code, out, err = self.run([*command, "--timer-property=AccuracySec=1s", "/bin/sh", script])
        return (err or out).strip() or f"exit code {code}" if code else ""

    def _forget(self) -> None:
        if os.path.isdir(self.folder):
            self.run(["systemctl", "stop", "--quiet", *_timers(self.name)])
            shutil.rmtree(self.folder)

    def _has(self, name: str) -> bool:
        return os.path.exists(os.path.join(self.folder, name))


def loading(paths: Iterable[str], units: Iterable[Unit]) -> list[Unit]:
    """Return the units that load one of these files."""
    changed = list(paths)
    return [
        unit
        for unit in units
        if unit.state == "started" and unit.on_change != "none" and any(matches(path, unit.files) for path in changed)
    ]


def confirmation(names: Iterable[str]) -> str:
    """Return the command that confirms the changes of trees. It ends with UNDONE if the host has undone one of them."""
    return "".join(
        CONFIRM.format(folder=shlex.quote(_folder(name)), undone=UNDONE, timers=shlex.join(_timers(name)))
        for name in names
    )


def _folder(name: str) -> str:
    return os.path.join(manifest.STATE_DIRECTORY, "undo", name)


def _timers(name: str) -> tuple[str, str]:
    """Return the names of the timers during the call and after it. A timer's name is free only some time after it."""
    return f"greenroom-undo-{name}-call.timer", f"greenroom-undo-{name}.timer"
