#!/usr/bin/python
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module template_tree, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: template_tree
short_description: Apply many templates, directories and systemd units to a host in one call
version_added: "1.0.0"
author: Greenroom developers (!UNKNOWN)
description:
  - Renders any number of templates on the controller, with the same variables, search paths and settings as
    M(ansible.builtin.template). Applies them to a host in one remote call, together with their directories and the
    systemd units that use them.
  - A folder of templates mirrors the host. For example, C(templates/etc/haproxy/haproxy.cfg.j2) becomes
    C(/etc/haproxy/haproxy.cfg).
  - Records the applied files in a manifest on the host. A later call with the same O(name) removes files that are no
    longer wanted, and directories that it created for them once they are empty. It never touches other files.
  - Runs all O(files[].validate) commands before it writes anything. Then it writes all new contents to temporary files
    next to their destinations, with mode, owner and security context, flushes them to disk and renames them. After an
    interruption, each file is either old or new, and the next call does the rest.
  - Restarts or reloads a unit if it hasn't loaded the files on disk, whatever the reason. The loaded state is recorded
    on the host, so if a call is interrupted between a write and a restart, the next call restarts the unit.
  - Runs C(systemctl daemon-reload) once if a unit file or a Quadlet file changed. Stops a unit before it removes the
    unit's own file.
options:
  name:
    description:
      - Name of the tree. Calls with the same name manage the same tree, whatever files they have.
      - It may have letters, digits, C(.), C(_) and C(-).
      - A call needs either this option or O(roles).
    type: str
  roles:
    description:
      - Roles whose trees this call applies, one after the other. Most other options have no effect then.
      - A role lists its trees in C(__<role>_trees), in its C(vars/main.yml). Each is a dictionary of this module's
        options. Templates are searched in that role, and are rendered with its defaults and variables.
      - Skips a tree with C(wanted=false), and a role whose variable C(<role>_wanted) is false.
    type: list
    elements: str
  packages:
    description:
      - Debian packages that O(roles) need. If one is not installed, nothing is applied, and RV(missing_packages) has
        its name.
    type: list
    elements: str
    default: []
  trees:
    description: Folders of templates and other files. Each mirrors a folder on the host.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description: A folder, searched in the same places as templates of M(ansible.builtin.template).
        type: path
        required: true
      dest:
        description: The folder on the host that it mirrors.
        type: path
        default: /
      <<: &item
        vars:
          description: Additional variables for rendering. They override the host's variables.
          type: dict
          default: {}
        mode:
          description:
            - The mode, as quoted octal digits, or V(preserve) for the source's mode.
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
            - A command that must succeed before anything is written. C(%s) is the new file. C(%d) is a private
              directory with all files of the call at their paths, for programs that read several files.
          type: str
        secret:
          description: Whether to hide the content. Differences then only say that the file differs.
          type: bool
        comment:
          description:
            - The start of a comment, for the marker. The default depends on the file's name. An empty string means no
              marker.
          type: str
        newline_sequence:
          description: The line ending of rendered files.
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
          description: Whether to remove the first newline after a block.
          type: bool
          default: true
        lstrip_blocks:
          description: Whether to strip spaces and tabs between the start of a line and a block.
          type: bool
          default: false
        output_encoding:
          description: The encoding of rendered files. Templates themselves are UTF-8.
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
          - A file, searched like O(trees[].src). It is rendered if its name ends in C(.j2), and copied otherwise.
        type: path
      content:
        description: The text of the file, instead of O(files[].src). It is written unchanged, without a marker.
        type: raw
      dest:
        description: Path of the file on the host, including its name.
        type: path
        required: true
      force:
        description:
          - With V(false), the file is only written if it doesn't exist. After that, it is neither repaired nor
            removed, and no unit is stale because of it.
        type: bool
        default: true
      <<: *item
  attributes:
    description:
      - Attributes of destinations, by pattern. In a pattern, C(*) also matches C(/).
      - A pattern may have the keys C(mode), C(owner), C(group), C(validate), C(secret) and C(comment) of O(files).
      - A later pattern overrides an earlier one and O(trees). O(files) override patterns.
    type: dict
    default: {}
  directories:
    description:
      - Directories with exact attributes. Other missing parent directories of files are created with mode C(0755).
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
      - All units with the same action are handled together, in the order stop, start, restart, reload.
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
          - V(started) starts the unit if it isn't running. V(stopped) stops it.
          - V(unchanged) neither starts nor stops the unit, but restarts or reloads it if it is running and stale.
        type: str
        choices: [started, stopped, unchanged]
        default: started
      enabled:
        description:
          - Whether the unit starts at boot. V(omit) doesn't change that.
          - A unit that Podman generates from a Quadlet file can't be enabled. Use its C([Install]) section instead.
        type: str
        choices: ["true", "false", omit]
        default: omit
      on_change:
        description:
          - How to make a running unit load changed files. V(none) leaves it running with the old ones.
          - V(reload) restarts a unit that can't reload.
        type: str
        choices: [restart, reload, none]
        default: restart
      files:
        description: Patterns of the destinations that the unit loads. The default is all files of the call.
        type: list
        elements: str
        default: ["*"]
      holds:
        description:
          - A command that succeeds as long as the unit's effect lasts, for effects that can be undone without changing
            the unit or its files. If it fails, the module does what O(units[].on_change) says. The command must not
            change anything, because it also runs in check mode.
        type: str
  state:
    description:
      - V(absent) stops and disables O(units), then removes all files that calls with this O(name) applied, their empty
        directories and the manifest. If no call with this O(name) has applied anything, it does nothing.
    type: str
    choices: [present, absent]
    default: present
  apply:
    description:
      - V(drift) only repairs drift. It restores files and listed directories that were changed on the host since the
        last complete call, if the wanted content is still the same. It applies nothing new, removes nothing and touches
        no unit. RV(outdated) says whether there is something new to apply.
    type: str
    choices: [all, drift]
    default: all
  metadata:
    description: Information about the tree, to store in the manifest.
    type: dict
    default: {}
  manifest:
    description:
      - Path of the manifest. It is written last, so it always describes a completely applied tree.
      - The default is C(/var/lib/greenroom/trees/) with O(name) and C(.json).
    type: path
  confirm_files:
    description:
      - Patterns of destinations with which a mistake could lock the controller out, such as the rules of a firewall.
      - Before the call changes one of them, it arms a timer on the host, which puts the previous files back and reloads
        the units that load them. After the call, the action opens a new connection to the host, and with it disarms
        the timer. If that fails, the host undoes the change after 60 seconds, or when it boots. The next call says so.
    type: list
    elements: str
    default: []
  requires:
    description:
      - A command that must succeed before the call compares or changes anything. If it fails, so does the call, with
        the last line of its output. It does not run in check mode.
    type: str
  marker:
    description:
      - A line that says where a file comes from. It is added at the top of each rendered template, as a comment in the
        file's format, which the module derives from its name. Formats without comments (JSON, plain text), unknown
        formats, and files that are not rendered get no marker.
      - An empty string turns it off.
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
    description: Writes nothing and runs no validation command. Predicts what happens to units.
    support: full
  diff_mode:
    description: Shows changes in files. For secret files, it only says that they differ.
    support: full
notes:
  - Parameters and results have no content of secret files. The task doesn't need C(no_log).
  - Symbolic modes are refused, because their result depends on the existing mode.
  - Files belong to the user that runs the module, unless O(files[].owner) is set. M(ansible.builtin.template) keeps an
    existing owner.
  - The file replaces a symbolic link at its destination.
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

- name: Apply the trees of several roles
  template_tree:
    roles: [base, firewall, monitoring]

- name: Repair files that were edited by hand, and check whether there is something new
  template_tree:
    name: services
    apply: drift
    trees:
      - src: services
  register: services_state

- name: Remove all files and units
  template_tree:
    name: services
    state: absent
    units:
      - name: portal
      - name: kratos
"""

RETURN = r"""
changed_files:
  description: Files that were written, or whose attributes were changed.
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
  description: Directories that were created or removed, or whose attributes were changed.
  returned: success
  type: list
  elements: str
  sample: [/etc/haproxy/maps]
drifted_files:
  description:
    - The files in RV(changed_files) that were changed on the host, while their wanted content stayed the same.
  returned: success
  type: list
  elements: str
  sample: [/etc/haproxy/haproxy.cfg]
units:
  description:
    - The actions on units. The values are C(started), C(restarted), C(reloaded), C(stopped), C(enabled) or
      C(disabled).
  returned: success
  type: dict
  sample: {haproxy.service: reloaded}
hash:
  description: Hash of the wanted destinations, contents and attributes.
  returned: success
  type: str
  sample: 1b0386c5940053836c6ab0e82dc6fbeb23fb34d1088f6b4220bc4fdf5f03da01
outdated:
  description: Whether the wanted tree differs from the one that was last applied completely before this call.
  returned: success
  type: bool
  sample: false
loaded_drift:
  description: Units that run with manually edited files, judging by the times of edit and start.
  returned: with O(apply=drift)
  type: list
  elements: str
  sample: [portal-blue.service]
not_running:
  description: Units that should be running but aren't.
  returned: with O(apply=drift)
  type: list
  elements: str
  sample: [portal-blue.service]
missing_packages:
  description: Packages in O(packages) that are not installed. If there are any, nothing was applied.
  returned: with O(roles)
  type: list
  elements: str
  sample: []
armed:
  description: The trees whose change a new connection had to confirm, because of O(confirm_files).
  returned: success
  type: list
  elements: str
  sample: [firewall]
undone:
  description: The trees whose last change the host had undone before this call, each with the time.
  returned: success
  type: list
  elements: dict
  sample: [{name: firewall, at: 1764504000}]
trees:
  description:
    - The result of each tree of O(roles), by its name, with the keys above. The lists above cover all trees.
  returned: with O(roles)
  type: dict
  sample: {}
unit:
  description: The unit that failed.
  returned: when a unit failed
  type: str
  sample: portal-blue.service
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.modules import template_tree
from ansible.module_utils.greenroom.tree import changes


def main() -> None:
    """Apply the files that the action rendered."""
    module = AnsibleModule(template_tree.ARGUMENTS, supports_check_mode=True, **template_tree.RULES)
    result = template_tree.carry_out(module.params, module.check_mode, module._diff, labeller(module))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


def labeller(module: AnsibleModule) -> changes.Label | None:
    """Return a function that sets a file's SELinux context before the rename; None without SELinux."""
    if not module.selinux_enabled():
        return None

    def label(path: str, dest: str) -> None:
        module.set_context_if_different(path, module.selinux_default_context(dest), False)

    return label


if __name__ == "__main__":
    main()
