#!/usr/bin/python
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module: many templates, their directories and their units in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: template_tree
"""

EXAMPLES = r"""
"""

RETURN = r"""
"""

import os
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom import masking, tree, tree_options, units

SYSTEMD_IS_UP = "/run/systemd/system"


def main() -> None:
    """Apply what the action rendered."""
    module = AnsibleModule({**tree_options.OPTIONS, **tree_options.TRANSPORT}, supports_check_mode=True)
    result: dict[str, Any] = {"changed": False}
    try:
        converge(module, result)
    except units.UnitError as error:
        fail(module, result, str(error), unit=error.unit)
    except tree.TreeError as error:
        fail(module, result, str(error))
    except OSError as error:
        fail(module, result, f"{error.filename or 'template_tree'}: {error.strerror or error}")
    module.exit_json(**result)


def fail(module: AnsibleModule, result: dict[str, Any], message: str, **more: Any) -> None:
    """Fail with one clear message that shows no secret of this call, and with what had been changed before."""
    result["changed"] = result["changed"] or bool(result.get("units"))
    module.fail_json(msg=secret_words(module).clean(message), **{**result, **more})


def converge(module: AnsibleModule, result: dict[str, Any]) -> None:
    """Bring files and units to the wanted state, filling the result as it goes."""
    options = module.params
    absent = options["state"] == "absent"
    drift = options["apply"] == "drift" and not absent
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", options["name"]):
        raise tree.TreeError(f"name {options['name']!r} may only have letters, digits, '.', '_' and '-'")
    files = [] if absent else tree.unpack(options["_files"]) + tree.unpack(options["_secret_files"])
    directories = [] if absent else [directory(item) for item in options["directories"]]
    wanted = tree.Tree(
        options["name"],
        files,
        directories,
        manifest=options["manifest"],
        metadata=options["metadata"],
        absent=absent,
        label=labeller(module),
    )
    manager = unit_manager(module, wanted, absent)
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
    )
    if module._diff:
        result["diff"] = tree.differences(wanted, plan)
    if not module.check_mode:
        result["changed"] = False
        wanted.validate(plan, runner(module))
    if manager:
        manager.find_drift(plan) if drift else manager.stop(plan)
    if not module.check_mode:
        wanted.apply(plan, drift)
        result["changed"] = plan.changed
    if manager:
        result.update(units=manager.outcome.units, loaded_drift=manager.outcome.loaded_drift)
        result.update(not_running=manager.outcome.not_running)
        manager.reload_if_needed(plan)
        if not drift:
            manager.converge(plan)
        result["changed"] = plan.changed or bool(manager.outcome.units)
    if not module.check_mode and not drift:
        wanted.finish(plan)


def directory(item: dict[str, Any]) -> tree.Directory:
    """Return a wanted directory from its option."""
    path = tree.clean_path(item["path"])
    return tree.Directory(path, tree.Attributes(tree.parse_mode(item["mode"], path), item["owner"], item["group"]))


def unit_manager(module: AnsibleModule, wanted: tree.Tree, absent: bool) -> units.Manager | None:
    """Return what looks after units, or None where nothing of this call concerns systemd."""
    specs = units.parse(module.params["units"])
    if absent:
        specs = [units.Unit(spec.name, "stopped", spec.on_change, False, spec.files) for spec in specs]
    concerned = [*wanted.before.files, *wanted.before.pending, *(file.dest for file in wanted.files)]
    if not specs and not any(map(units.is_definition, concerned)):
        return None
    if not os.path.isdir(SYSTEMD_IS_UP):
        if specs:
            raise tree.TreeError("systemd does not run on this host, its units can't be managed")
        return None
    records = units.Records(wanted.name)
    return units.Manager(specs, units.Systemd(runner(module)), records, wanted, check=module.check_mode)


def runner(module: AnsibleModule) -> units.Run:
    """Return a function that runs a command with the module's own means."""

    def run(command: list[str]) -> tuple[int, str, str]:
        code, out, err = module.run_command(command, environ_update={"LC_ALL": "C", "SYSTEMD_COLORS": "0"})
        return code, out, err

    return run


def labeller(module: AnsibleModule) -> tree.Label | None:
    """Return what gives a file its SELinux context before it is moved into place; None without SELinux."""
    if not module.selinux_enabled():
        return None

    def label(path: str, dest: str) -> None:
        module.set_context_if_different(path, module.selinux_default_context(dest), False)

    return label


def secret_words(module: AnsibleModule) -> masking.Mask:
    """Return a mask for what looks like a secret in secret files: programs that refuse a value like to print it."""
    mask = masking.Mask()
    for file in tree.unpack(module.params["_secret_files"]):
        for word in re.findall(r"[A-Za-z0-9+_-]{8,}", file.content.decode(errors="replace")):
            # Shorter words without any digit are names and hosts.
            if len(word) >= 20 or re.search(r"\d", word):
                mask.add(word)
    return mask


if __name__ == "__main__":
    main()
