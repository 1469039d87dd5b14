# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One `template_tree` call on a host: compare, validate, stop units, write files, start units, record the result."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Iterable
from typing import Any

from ..common import masking
from . import changes, diff, systemd, undo, unit_records, units
from .files import Attributes, Directory, TreeError, clean_path, decompress, matches, parse_mode, unpack

SYSTEMD_IS_UP = "/run/systemd/system"
# The lists in the results of several trees that are joined into one.
TOGETHER = (
    "changed_files",
    "removed_files",
    "changed_directories",
    "drifted_files",
    "loaded_drift",
    "not_running",
    "armed",
    "undone",
)


@dataclasses.dataclass(frozen=True)
class Host:
    """How a call works on its host. `run` runs a command; `label` sets SELinux contexts, None without SELinux."""

    run: changes.Run
    label: changes.Label | None
    check: bool
    diff: bool


def converge_all(host: Host, trees: Iterable[dict[str, Any]], result: dict[str, Any]) -> None:
    """Converge several trees, one after the other; the result has the joined lists and each tree's own result."""
    result.update({key: [] for key in TOGETHER}, units={}, trees={})
    if host.diff:
        result["diff"] = []
    for options in trees:
        one: dict[str, Any] = {"changed": False}
        try:
            converge(host, options, one)
        finally:
            result["changed"] = result["changed"] or one["changed"] or bool(one.get("units"))
            result["units"].update(one.get("units", {}))
            for key in TOGETHER:
                result[key] += one.get(key, [])
            if host.diff:
                result["diff"] += one.pop("diff", [])
            result["trees"][options["name"]] = one


def converge(host: Host, options: dict[str, Any], result: dict[str, Any]) -> None:
    """Converge one tree's files and units, and fill `result` along the way."""
    absent = options["state"] == "absent"
    drift = options["apply"] == "drift" and not absent
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", options["name"]):
        raise TreeError(f"name {options['name']!r} must consist of letters, digits, '.', '_' and '-'")
    if options.get("requires") and not host.check:
        _require(options["requires"], host.run)
    files = [] if absent else unpack(options["_files"]) + unpack(options["_secret_files"])
    directories = [] if absent else [_directory(item) for item in options["directories"]]
    wanted = changes.Tree(
        options["name"],
        files,
        directories,
        manifest=options.get("manifest"),
        metadata=options["metadata"],
        absent=absent,
        label=host.label,
    )
    # It may put files back, which the plan must know.
    result["undone"] = _undone(host, options, drift)
    # What was never applied here may have units of the same name that the operator has set up.
    given = [] if absent and not wanted.before.applied else options["units"]
    manager = _unit_manager(host, units.parse(given), wanted, absent)
    plan = wanted.plan(drift)
    result.update(
        hash=plan.hash,
        outdated=plan.outdated,
        changed=plan.changed,
        changed_files=sorted(file.dest for file in (*plan.write, *plan.adjust)),
        removed_files=plan.remove,
        drifted_files=plan.drifted,
        changed_directories=sorted({*plan.new_directories, *(item.path for item in plan.make), *plan.prune}),
        units={},
        loaded_drift=[],
        not_running=[],
        armed=[],
    )
    if host.diff:
        result["diff"] = diff.differences(wanted, plan)
    if not host.check:
        result["changed"] = False
        wanted.validate(plan, host.run)
    if manager and not (host.check or drift):
        result["armed"] = _armed(host, options["confirm_files"], wanted, manager, plan)
    if manager:
        manager.find_drift(plan) if drift else manager.stop(plan)
    if not host.check:
        wanted.apply(plan, drift)
        result["changed"] = plan.changed
    if manager:
        result.update(units=manager.outcome.units, loaded_drift=manager.outcome.loaded_drift)
        result.update(not_running=manager.outcome.not_running)
        manager.reload_if_needed(plan)
        if not drift:
            manager.converge(plan)
        result["changed"] = plan.changed or bool(manager.outcome.units)
    if not host.check and not drift:
        wanted.finish(plan)


def _undone(host: Host, options: dict[str, Any], drift: bool) -> list[dict[str, Any]]:
    """Return whether the tree's last change was undone."""
    if drift or not options["confirm_files"]:
        return []
    return undo.Undo(options["name"], host.run).last(host.check)


def _armed(
    host: Host, patterns: list[str], wanted: changes.Tree, manager: units.Manager, plan: changes.Plan
) -> list[str]:
    """Arm the undo of a change that a new connection must confirm; return the tree's name then."""
    paths = [path for path in plan.touched if matches(path, patterns)]
    if not paths:
        return []
    before = [(unit, manager.status[unit.name]) for unit in undo.loading(paths, manager.wanted)]
    undo.Undo(wanted.name, host.run).arm(paths, before, first=wanted.before.hash is None)
    return [wanted.name]


def _require(command: str, run: changes.Run) -> None:
    """Raise TreeError with the last line of the command's output unless it succeeds."""
    code, out, err = run(shlex.split(command))
    if code:
        lines = (err.strip() or out.strip()).splitlines()
        raise TreeError(lines[-1] if lines else f"{command}: exit code {code}")


def secret_words(parameters: dict[str, Any]) -> masking.Mask:
    """Return a mask for all values in secret files, because programs often print a value that they refuse."""
    mask = masking.Mask()
    trees = [parameters, *decompress(parameters.get("_trees", ""))]
    for file in [file for options in trees for file in unpack(options["_secret_files"])]:
        for word in re.findall(r"[A-Za-z0-9+_-]{8,}", file.content.decode(errors="replace")):
            # Shorter words without digits are usually names and hosts.
            if len(word) >= 20 or re.search(r"\d", word):
                mask.add(word)
    return mask


def _directory(item: dict[str, Any]) -> Directory:
    """Return the wanted directory for an item of the option `directories`."""
    path = clean_path(item["path"])
    return Directory(path, Attributes(parse_mode(item["mode"], path), item["owner"], item["group"]))


def _unit_manager(host: Host, specs: list[units.Unit], wanted: changes.Tree, absent: bool) -> units.Manager | None:
    """Return the manager of the tree's units, or None if the tree has nothing to do with systemd."""
    if absent:
        specs = [units.Unit(spec.name, "stopped", spec.on_change, False, spec.files) for spec in specs]
    concerned = [*wanted.before.files, *wanted.before.pending, *(file.dest for file in wanted.files)]
    if not specs and not any(map(systemd.is_definition, concerned)):
        return None
    if not os.path.isdir(SYSTEMD_IS_UP):
        if specs:
            raise TreeError("systemd isn't running on this host, so its units can't be managed")
        return None
    records = unit_records.Records(wanted.name)
    return units.Manager(specs, systemd.Systemd(host.run), records, wanted, check=host.check)
