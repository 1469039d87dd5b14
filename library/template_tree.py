#!/usr/bin/python
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module: many templates, their directories and their units in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: template_tree
short_description: Applies many templates, their directories and their units to a host in one call
version_added: "1.0.0"
author: Greenroom developers (!UNKNOWN)
description:
  - Renders any number of templates on the controller, with the variables, search paths and settings that
    M(ansible.builtin.template) has, and brings them to a host in one remote call, together with the directories
    they need and the systemd units that use them.
  - A folder of templates mirrors the host, so that C(templates/etc/haproxy/haproxy.cfg.j2) becomes
    C(/etc/haproxy/haproxy.cfg).
  - What a call put on a host is kept in a manifest. A later call of the same O(name) removes files that it no
    longer wants, and the directories it had made for them once they are empty. Files of others are never touched.
  - All O(files[].validate) commands are asked before anything is written. Then all new contents are written to
    temporary files beside their destinations, with mode, owner and security context, flushed to disk and renamed. A
    call that dies at any point leaves each file either old or new, and the next call does the rest.
  - A unit is restarted or reloaded when it has not loaded what lies on disk, whatever the reason. What it had
    loaded is recorded on the host, so that a call that died between a write and a restart is made good by the next
    one.
  - C(systemctl daemon-reload) runs once when a unit file or a Quadlet file changed. A unit whose own file is
    removed is stopped first.
options:
  name:
    description:
      - Identity of what this call applies. Calls with one name belong together, whatever their files are.
      - Letters, digits, C(.), C(_) and C(-).
      - A call has either this or O(roles).
    type: str
  roles:
    description:
      - Roles whose trees are applied, one after the other, in this one call. Other options are not looked at.
      - A role lists its trees in C(__<role>_trees), in its C(vars/main.yml). Each is a dictionary of this module's
        options. Templates are searched in that role, and are rendered with its defaults and variables.
      - A tree with C(wanted=false) is left out, and so is a role whose variable C(<role>_wanted) is false.
    type: list
    elements: str
  packages:
    description:
      - Debian packages without which O(roles) can't be applied. Where one is not installed, nothing is done, and
        RV(missing_packages) names it.
    type: list
    elements: str
    default: []
  trees:
    description: Folders of templates and other files, each of which mirrors a folder of the host.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description: A folder, searched where M(ansible.builtin.template) searches templates.
        type: path
        required: true
      dest:
        description: The folder on the host that it mirrors.
        type: path
        default: /
      <<: &item
        vars:
          description: Additional variables for rendering. They win over the host's.
          type: dict
          default: {}
        mode:
          description:
            - The mode, as quoted octal digits, or V(preserve) for that of the source.
            - The default is C(0644), for secret files C(0600).
          type: raw
        owner:
          description: The owner. The default is the user that runs the module.
          type: str
        group:
          description: The group. The default is the group of the user that runs the module.
          type: str
        validate:
          description:
            - A command that must succeed before anything is written. C(%s) in it is the new file; C(%d) is a
              private directory that holds all files of the call at their places, for programs that read several.
          type: str
        secret:
          description: Whether the content must not be shown. Differences then say only that there is one.
          type: bool
        comment:
          description:
            - How a comment starts, for the marker. The default is chosen by the file's name. An empty text means no
              marker.
          type: str
        newline_sequence:
          description: How lines end in what is rendered.
          type: str
          default: "\n"
        block_start_string:
          description: The start of a block.
          type: str
          default: "{%"
        block_end_string:
          description: The end of a block.
          type: str
          default: "%}"
        variable_start_string:
          description: The start of a print statement.
          type: str
          default: "{{"
        variable_end_string:
          description: The end of a print statement.
          type: str
          default: "}}"
        comment_start_string:
          description: The start of a comment in the template.
          type: str
          default: "{#"
        comment_end_string:
          description: The end of a comment in the template.
          type: str
          default: "#}"
        trim_blocks:
          description: Whether the first newline after a block is removed.
          type: bool
          default: true
        lstrip_blocks:
          description: Whether spaces and tabs before a block are stripped from the start of a line.
          type: bool
          default: false
        output_encoding:
          description: The encoding of what is rendered. Templates themselves are UTF-8.
          type: str
          default: utf-8
  files:
    description: Single files.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description:
          - A file, searched as O(trees[].src). It is rendered if its name ends in C(.j2), else copied as it is.
        type: path
      content:
        description: The text of the file, instead of O(files[].src). It is written as it is, without a marker.
        type: raw
      dest:
        description: Where the file belongs, with its name.
        type: path
        required: true
      force:
        description:
          - With V(false) the file is written only where nothing is yet, and left alone from then on. It is neither
            mended nor removed, and no unit is stale because of it.
        type: bool
        default: true
      <<: *item
  attributes:
    description:
      - Attributes for destinations, by pattern. In a pattern C(*) also stands for C(/).
      - A pattern may have the keys C(mode), C(owner), C(group), C(validate), C(secret) and C(comment) of O(files).
      - A later pattern wins over an earlier one and over what O(trees) say. What O(files) say wins over patterns.
    type: dict
    default: {}
  directories:
    description:
      - Directories with their exact attributes. Other missing parents of files are made with mode C(0755).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The directory.
        type: path
        required: true
      mode:
        description: Its mode, as quoted octal digits.
        type: raw
        default: "0755"
      owner:
        description: Its owner. The default is the user that runs the module.
        type: str
      group:
        description: Its group. The default is the group of the user that runs the module.
        type: str
  units:
    description:
      - systemd units that use the files.
      - Units of one kind of action are handled together, in the order stop, start, restart, reload.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The unit; C(.service) may be left out.
        type: str
        required: true
      state:
        description:
          - V(started) starts it where it does not run. V(stopped) stops it.
          - V(unchanged) starts and stops nothing, but restarts or reloads a running unit that is stale.
        type: str
        choices: [started, stopped, unchanged]
        default: started
      enabled:
        description:
          - Whether it starts at boot. V(omit) leaves that alone.
          - A unit that Podman generates from a Quadlet file can't be enabled. Its own C([Install]) section does that.
        type: str
        choices: ["true", "false", omit]
        default: omit
      on_change:
        description:
          - What a running unit needs when it has not loaded its files. V(none) never disturbs it.
          - A unit that can't reload is restarted by V(reload).
        type: str
        choices: [restart, reload, none]
        default: restart
      files:
        description: Patterns of the destinations that it loads. The default is all of the call.
        type: list
        elements: str
        default: ["*"]
      holds:
        description:
          - A command that succeeds as long as what the unit did is in force, for what somebody can undo without the
            unit or its files. Where it fails, the unit needs what O(units[].on_change) says. It has to change nothing,
            as it is asked in check mode, too.
        type: str
  state:
    description:
      - V(absent) stops and disables O(units), then removes all files that calls of this O(name) put on the host,
        their empty directories and the manifest.
    type: str
    choices: [present, absent]
    default: present
  apply:
    description:
      - V(drift) only mends. Files and listed directories that are wanted exactly as the last complete call applied
        them, but have since been changed on the host, are put back. Nothing new is applied, nothing is removed, no
        unit is touched, and RV(outdated) says whether there is something new.
    type: str
    choices: [all, drift]
    default: all
  metadata:
    description: Anything that is worth knowing of what is applied. It is stored in the manifest.
    type: dict
    default: {}
  manifest:
    description:
      - Where the manifest is kept. It is written last, so that it describes what is completely applied.
      - The default is C(/var/lib/greenroom/trees/) with O(name) and C(.json).
    type: path
  marker:
    description:
      - A line that says where a file comes from. It is put at the top of each rendered template, as a comment in
        the way of the file's kind, which its name tells. Formats without comments (JSON, plain text), unknown ones,
        and files that are not rendered get none.
      - An empty text switches it off.
    type: str
    default: Managed by Greenroom; change it there, not here.
  _files:
    description: Rendered files, between the controller and the module. Not for playbooks.
    type: str
    default: ""
  _secret_files:
    description: Rendered secret files, between the controller and the module. Not for playbooks.
    type: str
    default: ""
  _trees:
    description: The trees of O(roles), between the controller and the module. Not for playbooks.
    type: str
    default: ""
attributes:
  check_mode:
    description: Writes nothing and asks no validation command. Predicts what happens to units.
    support: full
  diff_mode:
    description: Shows what changes in files. Of secret ones it says only that they differ.
    support: full
notes:
  - Parameters and results hold no content of secret files. The task needs no C(no_log).
  - Symbolic modes are refused, because what they mean depends on what is there.
  - Files are owned by the user that runs the module unless something else is said. M(ansible.builtin.template)
    keeps an owner it finds.
  - A symbolic link at a destination is replaced by the file.
"""

EXAMPLES = r"""
- name: Configure the proxy
  template_tree:
    name: edge
    trees:
      - src: etc
        dest: /etc
    files:
      - dest: /etc/haproxy/edge.pem
        content: "{{ edge_certificate }}"
        mode: "0640"
        group: haproxy
        secret: true
    attributes:
      /etc/haproxy/haproxy.cfg:
        validate: haproxy -c -q -f %s -f %d/etc/haproxy/slots
    directories:
      - path: /etc/haproxy/maps
        mode: "0750"
        group: haproxy
    units:
      - name: haproxy
        enabled: true
        on_change: reload
        files: [/etc/haproxy/*]

- name: Render one template for each service
  template_tree:
    name: services
    files:
      - src: service.container.j2
        dest: /etc/containers/systemd/portal.container
        vars: {image: registry.example.org/portal:1.0.0}
      - src: service.container.j2
        dest: /etc/containers/systemd/kratos.container
        vars: {image: registry.example.org/kratos:1.3.1}
    units:
      - name: portal
      - name: kratos

- name: Apply all that several roles have for this host
  template_tree:
    roles: [base, firewall, monitoring]

- name: Mend files that were edited by hand, and find out whether anything is new
  template_tree:
    name: services
    apply: drift
    trees:
      - src: services
  register: services_state

- name: Remove all of it
  template_tree:
    name: services
    state: absent
    units:
      - name: portal
      - name: kratos
"""

RETURN = r"""
changed_files:
  description: Destinations that were written, or whose attributes were set.
  returned: success
  type: list
  elements: str
  sample: [/etc/haproxy/haproxy.cfg]
removed_files:
  description: Files of an earlier call that were removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/haproxy/slots/old.cfg]
changed_directories:
  description: Directories that were made, whose attributes were set, or that were removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/haproxy/maps]
drifted_files:
  description:
    - Those of RV(changed_files) that are wanted as they had been applied, and were changed on the host since.
  returned: success
  type: list
  elements: str
  sample: [/etc/haproxy/haproxy.cfg]
units:
  description:
    - What happened to units. The values are C(started), C(restarted), C(reloaded), C(stopped), C(enabled) or
      C(disabled).
  returned: success
  type: dict
  sample: {haproxy.service: reloaded}
hash:
  description: Identity of what is wanted, made of destinations, contents and attributes.
  returned: success
  type: str
  sample: 1b0386c5940053836c6ab0e82dc6fbeb23fb34d1088f6b4220bc4fdf5f03da01
outdated:
  description: Whether what had been completely applied before this call was something else than what is wanted.
  returned: success
  type: bool
  sample: false
loaded_drift:
  description: Units that run with hand-edited content, as far as times tell.
  returned: with O(apply=drift)
  type: list
  elements: str
  sample: [portal-blue.service]
not_running:
  description: Units that should be started and are not.
  returned: with O(apply=drift)
  type: list
  elements: str
  sample: [portal-blue.service]
missing_packages:
  description: Those of O(packages) that are not installed. Where there are any, nothing was done.
  returned: with O(roles)
  type: list
  elements: str
  sample: []
trees:
  description:
    - What each tree of O(roles) came to, by its name; each has the keys above. The lists above are of all of them.
  returned: with O(roles)
  type: dict
  sample: {}
unit:
  description: The unit that failed.
  returned: when a unit failed
  type: str
  sample: portal-blue.service
"""

import os
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.common import masking
from ansible.module_utils.greenroom.tree import changes, debian_packages, diff, systemd, unit_records, units
from ansible.module_utils.greenroom.tree import options as tree_options
from ansible.module_utils.greenroom.tree.files import (
    Attributes,
    Directory,
    TreeError,
    clean_path,
    decompress,
    parse_mode,
    unpack,
)

SYSTEMD_IS_UP = "/run/systemd/system"
# What several trees come to together is one list of all of them.
TOGETHER = (
    "changed_files",
    "removed_files",
    "changed_directories",
    "drifted_files",
    "loaded_drift",
    "not_running",
)


def main() -> None:
    """Apply what the action rendered."""
    options = {**tree_options.OPTIONS, **tree_options.TRANSPORT}
    module = AnsibleModule(options, supports_check_mode=True, **tree_options.CHOICES)
    result: dict[str, Any] = {"changed": False}
    try:
        if module.params["roles"] is None:
            converge(module, module.params, result)
        else:
            missing = debian_packages.missing(module.params["packages"])
            converge_all(module, [] if missing else decompress(module.params["_trees"]), result)
            result["missing_packages"] = missing
    except units.UnitError as error:
        fail(module, result, str(error), unit=error.unit)
    except TreeError as error:
        fail(module, result, str(error))
    except OSError as error:
        fail(module, result, f"{error.filename or 'template_tree'}: {error.strerror or error}")
    module.exit_json(**result)


def fail(module: AnsibleModule, result: dict[str, Any], message: str, **more: Any) -> None:
    """Fail with one clear message that shows no secret of this call, and with what had been changed before."""
    result["changed"] = result["changed"] or bool(result.get("units"))
    module.fail_json(msg=secret_words(module).clean(message), **{**result, **more})


def converge_all(module: AnsibleModule, trees: list[dict[str, Any]], result: dict[str, Any]) -> None:
    """Converge several trees, one after the other; the result is what they came to together, and each of them."""
    result.update({key: [] for key in TOGETHER}, units={}, trees={})
    if module._diff:
        result["diff"] = []
    for options in trees:
        one: dict[str, Any] = {"changed": False}
        try:
            converge(module, options, one)
        finally:
            result["changed"] = result["changed"] or one["changed"] or bool(one.get("units"))
            result["units"].update(one.get("units", {}))
            for key in TOGETHER:
                result[key] += one.get(key, [])
            if module._diff:
                result["diff"] += one.pop("diff", [])
            result["trees"][options["name"]] = one


def converge(module: AnsibleModule, options: dict[str, Any], result: dict[str, Any]) -> None:
    """Bring one tree's files and units to the wanted state, filling the result as it goes."""
    absent = options["state"] == "absent"
    drift = options["apply"] == "drift" and not absent
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", options["name"]):
        raise TreeError(f"name {options['name']!r} may only have letters, digits, '.', '_' and '-'")
    files = [] if absent else unpack(options["_files"]) + unpack(options["_secret_files"])
    directories = [] if absent else [directory(item) for item in options["directories"]]
    wanted = changes.Tree(
        options["name"],
        files,
        directories,
        manifest=options.get("manifest"),
        metadata=options["metadata"],
        absent=absent,
        label=labeller(module),
    )
    manager = unit_manager(module, units.parse(options["units"]), wanted, absent)
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
        result["diff"] = diff.differences(wanted, plan)
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


def directory(item: dict[str, Any]) -> Directory:
    """Return a wanted directory from its option."""
    path = clean_path(item["path"])
    return Directory(path, Attributes(parse_mode(item["mode"], path), item["owner"], item["group"]))


def unit_manager(
    module: AnsibleModule, specs: list[units.Unit], wanted: changes.Tree, absent: bool
) -> units.Manager | None:
    """Return what looks after units, or None where nothing of this tree concerns systemd."""
    if absent:
        specs = [units.Unit(spec.name, "stopped", spec.on_change, False, spec.files) for spec in specs]
    concerned = [*wanted.before.files, *wanted.before.pending, *(file.dest for file in wanted.files)]
    if not specs and not any(map(systemd.is_definition, concerned)):
        return None
    if not os.path.isdir(SYSTEMD_IS_UP):
        if specs:
            raise TreeError("systemd does not run on this host, its units can't be managed")
        return None
    records = unit_records.Records(wanted.name)
    return units.Manager(specs, systemd.Systemd(runner(module)), records, wanted, check=module.check_mode)


def runner(module: AnsibleModule) -> changes.Run:
    """Return a function that runs a command with the module's own means."""

    def run(command: list[str]) -> tuple[int, str, str]:
        code, out, err = module.run_command(command, environ_update={"LC_ALL": "C", "SYSTEMD_COLORS": "0"})
        return code, out, err

    return run


def labeller(module: AnsibleModule) -> changes.Label | None:
    """Return what gives a file its SELinux context before it is moved into place; None without SELinux."""
    if not module.selinux_enabled():
        return None

    def label(path: str, dest: str) -> None:
        module.set_context_if_different(path, module.selinux_default_context(dest), False)

    return label


def secret_words(module: AnsibleModule) -> masking.Mask:
    """Return a mask for what looks like a secret in secret files: programs that refuse a value like to print it."""
    mask = masking.Mask()
    trees = [module.params, *decompress(module.params.get("_trees", ""))]
    for file in [file for options in trees for file in unpack(options["_secret_files"])]:
        for word in re.findall(r"[A-Za-z0-9+_-]{8,}", file.content.decode(errors="replace")):
            # Shorter words without any digit are names and hosts.
            if len(word) >= 20 or re.search(r"\d", word):
                mask.add(word)
    return mask


if __name__ == "__main__":
    main()
