# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Inject and undo a drill's faults on one host, with systemd only. Times are seconds since the epoch.

A drop-in in /run keeps a broken unit from starting again, also by hand. A timer on the host undoes the fault after its
limit if the drill doesn't. A reboot undoes it, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Run = Callable[[list[str]], tuple[int, str, str]]

HOWS = ("stopped", "killed", "restarted")
UNDO = "greenroom-drill-undo"
DROP_IN = "zz-greenroom-drill.conf"
BROKEN = """\
# A drill keeps this unit from starting. At its end, the drill removes this file.
[Service]
Restart=no
ExecStartPre=/bin/false
"""
# States of units that start at boot. Other units come and go, because they only start when another unit needs them.
LASTING = {"enabled", "enabled-runtime", "generated"}
UNIT = re.compile(r"[A-Za-z0-9@_.:-]+\.service")


class FaultError(Exception):
    """systemd failed; the message has the command and its error."""


class Faults:
    """The faults of drills on this host. `run` takes a command and returns (code, stdout, stderr)."""

    def __init__(self, run: Run, folder: Path = Path("/run/systemd/system")) -> None:
        self._run = run
        self.folder = folder

    def inject(self, how: str, units: Sequence[str], limit: int) -> dict[str, float]:
        """Stop, kill or restart `units`, after starting a timer that undoes the fault after `limit` seconds.

        Returns {at, ended}: the time when the fault began, and the time when the call finished.
        """
        _named(units)
        if how != "restarted":
            self._call("systemd-run", f"--unit={UNDO}", f"--on-active={limit}", "--timer-property=AccuracySec=1s",
                       "--collect", "/bin/sh", "-c", self._undoing(units))  # fmt: skip
            for unit in units:
                self._drop_in(unit).parent.mkdir(parents=True, exist_ok=True)
                self._drop_in(unit).write_text(BROKEN, encoding="utf-8")
            self._call("systemctl", "daemon-reload")
        began = time.time()
        match how:
            case "stopped":
                self._call("systemctl", "stop", *units)
            case "killed":
                self._call("systemctl", "kill", "--kill-whom=all", "--signal=SIGKILL", *units)
            case "restarted":
                self._call("systemctl", "restart", *units)
        return {"at": began, "ended": time.time()}

    def broken(self) -> list[str]:
        """Return the units that a drill keeps from starting."""
        return sorted(path.parent.name.removesuffix(".d") for path in self.folder.glob(f"*.d/{DROP_IN}"))

    def undo(self, units: Sequence[str]) -> bool:
        """Undo all faults on this host and start `units`; return whether there was anything to do."""
        _named(units)
        broken = self.broken()
        down = sorted({*broken, *(unit for unit in units if not self._active(unit))})
        self._run(["systemctl", "stop", f"{UNDO}.timer"])
        for unit in broken:
            self._drop_in(unit).unlink(missing_ok=True)
        if broken:
            self._call("systemctl", "daemon-reload")
        if down:
            self._run(["systemctl", "reset-failed", *down])
            self._call("systemctl", "start", *down)
        return bool(down)

    def running(self) -> list[str]:
        """Return the running services that also start at boot."""
        listed = self._call("systemctl", "list-units", "--type=service", "--state=running", "--plain", "--no-legend")
        units = [line.split()[0] for line in listed.splitlines() if line.strip()]
        if not units:
            return []
        shown = self._call("systemctl", "show", "--property=Id,UnitFileState", *units)
        found = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in shown.split("\n\n")]
        return sorted(unit["Id"] for unit in found if unit.get("UnitFileState") in LASTING)

    def _undoing(self, units: Sequence[str]) -> str:
        files = " ".join(str(self._drop_in(unit)) for unit in units)
        names = " ".join(units)
        return f"rm -f {files}; systemctl daemon-reload; systemctl reset-failed {names}; systemctl start {names}"

    def _drop_in(self, unit: str) -> Path:
        return self.folder / f"{unit}.d" / DROP_IN

    def _active(self, unit: str) -> bool:
        return self._run(["systemctl", "is-active", "--quiet", unit])[0] == 0

    def _call(self, *command: str) -> str:
        code, out, err = self._run(list(command))
        if code:
            raise FaultError(f"{' '.join(command)}: {(err or out).strip() or f'exit code {code}'}")
        return out


def _named(units: Sequence[str]) -> None:
    """Raise FaultError for an invalid unit name, because the names become part of a shell command."""
    for unit in units:
        if not UNIT.fullmatch(unit):
            raise FaultError(f"'{unit}' is not the name of a service; use the form name.service")


def outcome(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    """Return {host: units that ran `before` but not `after`}, without other hosts; both are {host: [unit]}."""
    missing = {host: sorted(set(units) - set(after.get(host, []))) for host, units in before.items()}
    return {host: units for host, units in missing.items() if units}
