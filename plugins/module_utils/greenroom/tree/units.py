# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Starts, stops, restarts and reloads the systemd units of one `template_tree` call.

A unit is stale if it has not loaded the files that are on disk now. Its record says what it has loaded, and in which
invocation. Without a record, the times decide: a unit that started after the last change of its files has loaded them.
Times are seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

from . import changes
from .files import File, TreeError, matches
from .systemd import Status, Systemd, defined_by, full_name, is_definition
from .unit_records import Records

# The kernel's clock for file times is up to one tick behind the clock that systemd reads.
CLOCK_TICK = 0.02
# systemd reports a simple service as started before its program has read its configuration.
SETTLE = 0.5
ENABLED = ("enabled", "enabled-runtime")
DONE = {"start": "started", "restart": "restarted", "reload": "reloaded", "stop": "stopped"}


class UnitError(TreeError):
    """A unit that can't reach the desired state; `unit` is its name."""

    def __init__(self, message: str, unit: str) -> None:
        super().__init__(message)
        self.unit = unit


@dataclasses.dataclass(frozen=True)
class Unit:
    """The desired state of a unit."""

    name: str
    state: str = "started"  # started, stopped, unchanged
    on_change: str = "restart"  # restart, reload, none
    enabled: bool | None = None  # None: don't change it
    files: tuple[str, ...] = ("*",)
    holds: str | None = None  # a command that fails if the effect of the unit is gone


def is_fresh(unit: Unit, status: Status, record: dict[str, Any], files_hash: str, newest: float) -> bool:
    """Tell whether a running (or finished) unit has loaded its files.

    `newest` is the time of the last change of any of its files, infinity if one is about to change.
    """
    known = record.get("hash") == files_hash and not record.get("loaded_drift")
    same_life = record.get("invocation") == status.invocation
    if unit.on_change == "reload" or not status.invocation:
        # Any change of state may be a reload, and a few units have no invocation id.
        same_life = same_life and record.get("changed") == status.changed
    if known and same_life:
        return True
    reloaded = unit.on_change == "reload" and status.reload_result == "success"
    return (status.changed if reloaded else status.started) > newest + CLOCK_TICK


def decide(
    unit: Unit, status: Status, record: dict[str, Any], files_hash: str, newest: float, *, holds: bool = True
) -> str | None:
    """Return what a unit needs: start, restart, reload, stop or None. `holds`: its effect is still there."""
    if unit.state == "stopped":
        return "stop" if status.running or status.starting else None
    fresh = unit.on_change == "none" or (holds and is_fresh(unit, status, record, files_hash, newest))
    if status.running:
        return None if fresh else unit.on_change
    if unit.state == "unchanged":
        return None
    if status.starting:
        return "start" if fresh else "restart"
    known = bool(record) if unit.on_change == "none" else record.get("hash") == files_hash
    if _finished(status) and (known or (fresh and status.started > 0)):
        return None
    return "start"


def may_have_loaded(status: Status, changed: float) -> bool:
    """Tell whether a unit started or reloaded after a file changed at that time."""
    return status.running and max(status.started, status.changed) >= changed - CLOCK_TICK


@dataclasses.dataclass
class Outcome:
    """What was done to units, or would be done in check mode, and what was found."""

    units: dict[str, str] = dataclasses.field(default_factory=dict)
    loaded_drift: list[str] = dataclasses.field(default_factory=list)
    not_running: list[str] = dataclasses.field(default_factory=list)


class Manager:
    """Converges the units of one call.

    Order: `stop` (or `find_drift`, if the call only repairs drift), then the files are written, then
    `reload_if_needed` and `converge`. In check mode, nothing changes, and `outcome` says what would.
    """

    def __init__(
        self, wanted: Sequence[Unit], systemd: Systemd, records: Records, files: changes.Tree, *, check: bool = False
    ) -> None:
        """Read the status of the units before any file is written."""
        self.wanted = list(wanted)
        self.systemd = systemd
        self.records = records
        self.tree = files
        self.check = check
        self.outcome = Outcome()
        self.status = systemd.show(self._names())

    def stop(self, plan: changes.Plan) -> None:
        """Stop and disable units that must not run, and units whose definition is about to be removed."""
        gone = [name for name in map(defined_by, plan.remove) if name]
        self.status.update(self.systemd.show([name for name in gone if name not in self.status]))
        status = self.status
        stopped = list(dict.fromkeys([*(unit.name for unit in self.wanted if unit.state == "stopped"), *gone]))
        running = [name for name in stopped if status[name].running or status[name].starting]
        unwanted = dict.fromkeys([*(unit.name for unit in self.wanted if unit.enabled is False), *gone])
        enabled = [name for name in unwanted if status[name].file_state in ENABLED]
        self.outcome.units.update(dict.fromkeys(enabled, "disabled"))
        self.outcome.units.update(dict.fromkeys(running, "stopped"))
        if self.check:
            return
        if running:
            self._act("stop", running)
        if enabled:
            self.systemd.enable(enabled, enabled=False)
        for name in stopped:
            self.records.set(name, {})

    def find_drift(self, plan: changes.Plan) -> None:
        """Find units that run with edited files, and record them: once the file is repaired, nothing else shows it."""
        adjusted = {file.dest for file in plan.adjust}
        edited = {path: changed_at(path) for path in plan.drifted if path not in adjusted}
        for unit in self.wanted:
            status, record = self.status[unit.name], self.records.get(unit.name)
            if unit.state == "started" and not status.running and not _finished(status):
                self.outcome.not_running.append(unit.name)
            if not status.running or unit.on_change == "none":
                continue
            life = {"invocation": status.invocation, "changed": status.changed}
            others = [file.dest for file in self._files(unit) if file.dest not in edited]
            newest = max(map(changed_at, others), default=0.0)
            fresh = is_fresh(unit, status, record, self._hash(unit), newest)
            loaded = record.get("loaded_drift") == life or any(
                may_have_loaded(status, time) for path, time in edited.items() if matches(path, unit.files)
            )
            # Stale without new content: a file was edited, loaded, and then repaired outside of this call.
            loaded = loaded or not (fresh or plan.outdated)
            if loaded:
                self.outcome.loaded_drift.append(unit.name)
                self._set(unit, {**record, "loaded_drift": life})
            elif fresh and not plan.outdated:
                # The content on disk is the desired one. New content isn't on disk, so no unit has loaded it.
                self._set(unit, {"hash": self._hash(unit), **life})

    def reload_if_needed(self, plan: changes.Plan) -> None:
        """Run daemon-reload once if a unit file changed, in this call or in an interrupted one."""
        if self.check:
            return
        definitions = any(map(is_definition, [*plan.touched, *self.tree.before.pending]))
        unknown = any(self.status[unit.name].load == "not-found" for unit in self.wanted if unit.state == "started")
        if definitions or unknown or any(status.need_reload for status in self.status.values()):
            self.systemd.daemon_reload()
            self.status = self.systemd.show(self._names())

    def converge(self, plan: changes.Plan) -> None:
        """Enable, start, restart and reload the units that need it, then record what they have loaded."""
        self._enable()
        actions: dict[str, str] = {}
        for unit in self.wanted:
            status = self.status[unit.name]
            if unit.state == "started" and status.load == "not-found" and not self.check:
                files = [file.dest for file in self.tree.files if defined_by(file.dest) == unit.name]
                reasons = filter(None, map(self.systemd.quadlet_complaint, files))
                raise UnitError(": ".join([f"unit {unit.name} does not exist on this host", *reasons]), unit.name)
            newest = self._newest(unit, plan)
            holds = not (unit.holds and status.running) or self.systemd.succeeds(unit.holds)
            action = decide(unit, status, self.records.get(unit.name), self._hash(unit), newest, holds=holds)
            if action and action != "stop":
                actions[unit.name] = action
        if self.check:
            self.outcome.units.update({name: DONE[action] for name, action in actions.items()})
            return
        failed = [name for name in actions if self.status[name].active == "failed"]
        if failed:
            self.systemd.reset_failed(failed)
        loaded = {unit.name for unit in self.wanted if unit.name not in actions}
        try:
            for verb in ("start", "restart", "reload"):
                names = [name for name, action in actions.items() if action == verb]
                if names:
                    self._act(verb, names)
                    loaded.update(names)
                    self.outcome.units.update(dict.fromkeys(names, DONE[verb]))
        finally:
            # Without an action, the status is still the same.
            self._record(loaded, None if actions else self.status)

    # --- helpers

    def _names(self) -> list[str]:
        return [unit.name for unit in self.wanted]

    def _files(self, unit: Unit) -> list[File]:
        return [file for file in self.tree.files if matches(file.dest, unit.files)]

    def _hash(self, unit: Unit) -> str:
        return self.tree.hash_of(unit.files)

    def _newest(self, unit: Unit, plan: changes.Plan) -> float:
        """Return when the last of a unit's files changed; infinity if this call removes or would write one."""
        coming = {*plan.remove, *((file.dest for file in plan.write) if self.check else ())}
        if any(matches(path, unit.files) for path in coming):
            return math.inf
        return max((changed_at(file.dest) for file in self._files(unit)), default=0.0)

    def _set(self, unit: Unit, record: dict[str, Any]) -> None:
        if not self.check:
            self.records.set(unit.name, record)

    def _enable(self) -> None:
        names = []
        for unit in self.wanted:
            state = self.status[unit.name].file_state
            # The last two are enabled by the name of another unit.
            if not unit.enabled or state in (*ENABLED, "alias", "indirect"):
                continue
            if state in ("generated", "static", "transient"):
                raise UnitError(
                    f"unit {unit.name} is {state} and can't be enabled: remove `enabled` "
                    "(a Quadlet unit is enabled by [Install] in its own file)",
                    unit.name,
                )
            names.append(unit.name)
        self.outcome.units.update(dict.fromkeys(names, "enabled"))
        if names and not self.check:
            self.systemd.enable(names, enabled=True)

    def _act(self, verb: str, names: Sequence[str]) -> None:
        """Run systemctl. On failure, record the units that succeeded and raise UnitError for the first that did not."""
        complaint = self.systemd.act(verb, names)
        if verb in ("start", "restart") and any(self.status[name].type in ("simple", "exec") for name in names):
            time.sleep(SETTLE)
        status = self.systemd.show(names)
        bad = [name for name in names if _is_bad(verb, status[name], bool(complaint))]
        if not bad and complaint:
            bad = list(names)
        if bad:
            self._record(set(names) - set(bad))
            name, now = bad[0], status[bad[0]]
            said = "\n  ".join(self.systemd.journal(name, now)) or complaint
            raise UnitError(f"unit {name} failed to {verb} ({now}); the last lines of its log:\n  {said}", name)

    def _record(self, loaded: set[str], now: dict[str, Status] | None = None) -> None:
        """Record what each unit has loaded, also if another unit failed."""
        now = self.systemd.show(self._names()) if now is None else now
        for unit in self.wanted:
            status = now[unit.name]
            up = status.running or (_finished(status) and status.started > 0)
            if up and unit.name in loaded and unit.state != "stopped":
                life = {"invocation": status.invocation, "changed": status.changed}
                self.records.set(unit.name, {"hash": self._hash(unit), **life})


def _is_bad(verb: str, status: Status, complained: bool) -> bool:
    """Tell whether an action on a unit failed."""
    if verb == "stop":
        return status.running
    if status.active == "failed" or status.restarting:
        return True
    return complained and (not status.running or status.reload_result != "success")


def _finished(status: Status) -> bool:
    """Tell whether a oneshot unit has run."""
    return status.type == "oneshot" and status.active == "inactive" and status.result == "success"


def changed_at(path: str) -> float:
    """Return when a path was last changed in any way; if it is gone, when its directory was.

    This is the time of the inode, not of the content: an old file that is moved into place counts as new.
    """
    for candidate in (path, os.path.dirname(path)):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return os.lstat(candidate).st_ctime
    return 0.0


def parse(wanted: Iterable[dict[str, Any]]) -> list[Unit]:
    """Return the units of the module's parameter `units`."""
    units = []
    for item in wanted:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:_.\\@-]*", item["name"]):
            raise TreeError(f"{item['name']!r} is not a valid unit name")
        enabled = {"true": True, "false": False}.get(item.get("enabled") or "omit")
        patterns = item.get("files")
        units.append(
            Unit(
                name=full_name(item["name"]),
                state=item.get("state") or "started",
                on_change=item.get("on_change") or "restart",
                enabled=enabled,
                files=("*",) if patterns is None else tuple(patterns),
                holds=item.get("holds"),
            )
        )
    names = [unit.name for unit in units]
    for name in names:
        if names.count(name) > 1:
            raise TreeError(f"unit {name} is listed twice")
    return units
