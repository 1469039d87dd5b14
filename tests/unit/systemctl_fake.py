#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A systemctl for tests: knows the few verbs that `template_tree` uses, and units that start, fail and reload.

In one process, `Systemd.run` takes commands; as a program on PATH it keeps its units in the JSON file that
$FAKE_SYSTEMD names.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import tempfile
import time
import uuid
from typing import Any

# Longer than the tick of that clock that `template_tree` allows for.
MOMENT = 0.03


def moment() -> None:
    """Let "before" and "after" mean something: the clock of file systems is coarse, and may lag where others compute.

    What is written to a file from here on has a time that is later by MOMENT than what `time.time()` said before.
    """
    began = time.time()
    with tempfile.TemporaryFile() as file:
        while os.fstat(file.fileno()).st_ctime <= began + MOMENT:
            time.sleep(MOMENT / 10)
            os.utime(file.fileno())


class Systemd:
    """Units by name: {load, active, sub, result, type, file_state, need_reload, started, changed, invocation}.

    `restarts` is the number of restarts, `code` and `status` are how the process ended.

    `fails` holds verbs that fail, `crashes` makes a start succeed and then loop, `coming` is a unit that appears with
    the next daemon-reload.
    """

    def __init__(self, units: dict[str, dict[str, Any]] | None = None) -> None:
        self.units = units or {}
        self.calls: list[list[str]] = []

    @property
    def verbs(self) -> list[str]:
        """What was asked for, without looking."""
        return [" ".join(call[1:]) for call in self.calls if call[0] == "systemctl" and call[1] != "show"]

    def add(self, name: str, **more: Any) -> dict[str, Any]:
        """Make a unit that is loaded and not running."""
        self.units[name] = {"load": "loaded", "active": "inactive", "sub": "dead", "file_state": "disabled", **more}
        return self.units[name]

    def run(self, command: list[str]) -> tuple[int, str, str]:
        """Take a command; return (code, stdout, stderr)."""
        self.calls.append(command)
        if command[0] in ("holds", "fails", "systemd-run"):
            return int(command[0] == "fails" or command[0] in self.units), "", "it fails"
        if command[0] == "journalctl":
            return 0, f"{' '.join(command[5:])} wrote this\nand that\n", ""
        if "--dryrun" in command:
            return 0, "[Unit]\n", "other.container: fine\nnew.container: unsupported key\n"
        verb = command[1]
        names = [argument for argument in command[2:] if not argument.startswith("--")]
        if verb == "show":
            return 0, "\n".join(self._show(name) for name in names), ""
        if verb == "daemon-reload":
            for unit in self.units.values():
                unit["need_reload"] = False
                if unit.pop("coming", False):
                    unit["load"] = "loaded"
            return 0, "", ""
        failed = [name for name in names if not self._do(verb, name)]
        return (1, "", f"Job for {failed[0]} failed.") if failed else (0, "", "")

    def _do(self, verb: str, name: str) -> bool:
        unit = self.units.get(name)
        if unit is None or (unit["load"] == "not-found" and verb != "stop"):
            return False
        if verb in ("enable", "disable"):
            unit["file_state"] = f"{verb}d"
        elif verb == "reset-failed":
            unit.update(active="inactive", sub="dead", result="success")
        elif verb == "stop":
            unit.update(active="inactive", sub="dead")
        elif verb == "reload-or-restart" and unit["active"] == "active":
            moment()
            unit["changed"] = time.time()
            unit["reload_result"] = "exit-code" if "reload" in unit.get("fails", []) else "success"
            moment()
            return bool(unit["reload_result"] == "success")
        elif verb == "restart" or unit["active"] != "active":
            return self._start(unit)
        return True

    def _start(self, unit: dict[str, Any]) -> bool:
        moment()
        unit.update(started=time.time(), changed=time.time(), invocation=uuid.uuid4().hex)
        moment()
        if "start" in unit.get("fails", []):
            unit.update(active="failed", sub="failed", result="exit-code")
            return False
        if unit.get("crashes"):
            unit.update(active="activating", sub="auto-restart")
        elif unit.get("type") == "oneshot":
            unit.update(active="inactive", sub="dead", result="success")
        else:
            unit.update(active="active", sub="running", result="success")
        return True

    def _show(self, name: str) -> str:
        unit = self.units.get(name, {"load": "not-found"})
        shown = {
            "LoadState": unit["load"],
            "ActiveState": unit.get("active", "inactive"),
            "SubState": unit.get("sub", "dead"),
            "Result": unit.get("result", "success"),
            "ReloadResult": unit.get("reload_result", "success"),
            "Type": unit.get("type", "simple"),
            "UnitFileState": unit.get("file_state", ""),
            "NeedDaemonReload": "yes" if unit.get("need_reload") else "no",
            "InvocationID": unit.get("invocation", ""),
            "ExecMainStartTimestamp": _timestamp(unit.get("started")),
            "ActiveEnterTimestamp": _timestamp(unit.get("started")),
            "StateChangeTimestamp": _timestamp(unit.get("changed")),
            "NRestarts": unit.get("restarts", 0),
            "ExecMainCode": unit.get("code", 0),
            "ExecMainStatus": unit.get("status", 0),
        }
        return "".join(f"{key}={value}\n" for key, value in shown.items())


def _timestamp(seconds: float | None) -> str:
    if not seconds:
        return ""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")


def main() -> int:
    """Run as a program."""
    path = os.environ["FAKE_SYSTEMD"]
    with open(path, encoding="utf-8") as stream:
        stored = json.load(stream)
    systemd = Systemd(stored["units"])
    code, out, err = systemd.run([os.path.basename(sys.argv[0]), *sys.argv[1:]])
    with open(path, "w", encoding="utf-8") as stream:
        json.dump({"units": systemd.units, "calls": stored["calls"] + systemd.calls}, stream)
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(main())
