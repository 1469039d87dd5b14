# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module bluegreen_switch; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bluegreen_switch
short_description: Say which slot serves the public, or find out
version_added: "1.0.0"
description:
  - Writes which slot is live to disk (state file, then the map file of HAProxy), each so that it survives a loss of
    power, then tells all running
    workers of HAProxy, older ones too, and reads back. No reload, no request lost.
  - The state file is the truth. What does not agree with it, after a crash or a hand's edit, is mended by any call
    with O(state=present).
  - The value in the map is C(epoch:live:candidate:weight), with C(-) for no candidate.
author: Greenroom developers (!UNKNOWN)
options:
  state:
    description:
      - With V(status) nothing is changed.
      - With V(present) O(live) serves afterwards. Without O(live), what disk says is put in force.
    type: str
    choices: [status, present]
    default: present
  site:
    description: Key of the entry in the map.
    type: str
    required: true
  live:
    description: The slot that shall serve.
    type: str
    choices: [blue, green]
  expected_epoch:
    description:
      - The epoch that the caller saw when it decided, 0 for none. Refused when another change came in between. A
        call that is repeated after it
        was cut short is not refused for what it did itself.
    type: int
  recover:
    description:
      - Whether O(live) is to be believed where the state file was lost or is damaged while the map or HAProxy still
        know the site.
    type: bool
    default: false
  state_file:
    description: Where the state is kept.
    type: path
    default: /var/lib/greenroom/edge/state.json
  map_file:
    description: The map that HAProxy's configuration reads, under the same name.
    type: path
    default: /etc/haproxy/maps/live.map
  socket:
    description: HAProxy's runtime socket, asked where there is no master socket.
    type: path
    default: /run/haproxy/admin.sock
  master_socket:
    description: HAProxy's master socket, which reaches all workers.
    type: path
    default: /run/haproxy-master.sock
  timeout:
    description: Seconds for each question to a socket, and for waiting for another call on the same host.
    type: float
    default: 5
attributes:
  check_mode:
    description: Reads and predicts, writes nothing.
    support: full
  diff_mode:
    description: Shows state, map and workers before and after.
    support: full
"""

EXAMPLES = r"""
- name: Find out which slot is live
  bluegreen_switch:
    state: status
    site: staging
  register: edge_status

- name: Let the green slot serve the public
  bluegreen_switch:
    site: staging
    live: green
    expected_epoch: "{{ edge_status.epoch }}"

- name: Say which slot is live after the state was lost
  bluegreen_switch:
    site: staging
    live: blue
    recover: true
"""

RETURN = r"""
live:
  description:
    - The live slot, null on a new edge. With RV(state_lost), what the workers (else the map file) say.
  returned: success
  type: str
  sample: green
idle:
  description: The other slot, null on a new edge.
  returned: success
  type: str
  sample: blue
epoch:
  description: How many changes there were, 0 on a new edge.
  returned: success
  type: int
candidate:
  description: The slot that gets RV(weight) percent of the requests, or null.
  returned: success
  type: str
weight:
  description: Percent of the requests that the candidate gets.
  returned: success
  type: int
changed_at:
  description: When the state changed last (UTC), or null.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00Z"
state_lost:
  description: Whether there is no (sound) state file although the map file or a worker knows the site.
  returned: success
  type: bool
map_present:
  description: Whether there is a map file.
  returned: success
  type: bool
disk:
  description: What is on disk.
  returned: success
  type: dict
  contains:
    state: {description: Content of the state file or null., type: dict, returned: always}
    damage: {description: What is wrong with the state file., type: str, returned: always}
    map: {description: Value in the map file or null., type: str, returned: always}
workers:
  description: The processes of HAProxy that may route requests, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Process id., type: str, returned: always}
    old: {description: Whether a newer one took over from it., type: bool, returned: always}
    value: {description: What it has in memory or null., type: str, returned: always}
    agrees: {description: Whether that is what it should be., type: bool, returned: always}
    problem: {description: What keeps it from answering., type: str, returned: always}
running:
  description: Whether HAProxy runs. If not, the change is on disk and holds from its start on.
  returned: success
  type: bool
in_force:
  description: Whether state file, map file and all workers agree. In check mode, whether they do now.
  returned: success
  type: bool
mended:
  description: What had to be changed, as V(state), V(map), V(worker 123).
  returned: when O(state=present)
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom import bluegreen

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["status", "present"], "default": "present"},
    "site": {"type": "str", "required": True},
    "live": {"type": "str", "choices": list(bluegreen.SLOTS)},
    "expected_epoch": {"type": "int"},
    "recover": {"type": "bool", "default": False},
    "state_file": {"type": "path", "default": "/var/lib/greenroom/edge/state.json"},
    "map_file": {"type": "path", "default": "/etc/haproxy/maps/live.map"},
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
    "master_socket": {"type": "path", "default": "/run/haproxy-master.sock"},
    "timeout": {"type": "float", "default": 5},
}


def described(seen: bluegreen.Seen) -> str:
    """Return what was found as lines for a diff."""
    lines = [f"state: {seen.state.value if seen.state else 'none'}", f"map: {seen.map_value or 'none'}"]
    return (
        "\n".join([*lines, *(f"worker {worker['name']}: {worker['value'] or 'none'}" for worker in seen.workers)])
        + "\n"
    )


def predicted(seen: bluegreen.Seen, wanted: bluegreen.State) -> bluegreen.Seen:
    """Return what would be found after `wanted` was applied."""
    workers = [worker if worker["problem"] else {**worker, "value": wanted.value} for worker in seen.workers]
    return bluegreen.Seen(wanted, "", wanted.value, True, workers)


def differences(before: bluegreen.Seen, after: bluegreen.Seen) -> list[str]:
    """Name what is not the same before and after."""
    found = ["state"] if before.state != after.state else []
    if before.map_value != after.map_value:
        found.append("map")
    pairs = zip(before.workers, after.workers, strict=True)
    return found + [f"worker {old['name']}" for old, new in pairs if old["value"] != new["value"]]


def switch(places: bluegreen.Places, given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what the arguments ask for, or with `check` say what would be done."""
    seen = bluegreen.look(places)
    wanted = bluegreen.decide(seen, places.site, given["live"], given["expected_epoch"], given["recover"])
    after = predicted(seen, wanted)
    if check:
        mended = differences(seen, after)
        result = {**bluegreen.report(places, after), "in_force": bluegreen.report(places, seen)["in_force"]}
    else:
        mended = bluegreen.apply(places, seen, wanted)
        after = bluegreen.look(places) if mended else seen
        result = bluegreen.report(places, after)
    diff = {"before": described(seen), "after": described(after)}
    return {**result, "changed": bool(mended), "mended": mended, "diff": diff}


def main() -> None:
    """Switch, or report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    try:
        places = bluegreen.Places(
            given["site"],
            given["state_file"],
            given["map_file"],
            given["socket"],
            given["master_socket"],
            given["timeout"],
        )
        if given["state"] == "status":
            result = {"changed": False, **bluegreen.report(places, bluegreen.look(places))}
        elif module.check_mode:
            result = switch(places, given, check=True)
        else:
            with bluegreen.locked(places):
                result = switch(places, given, check=False)
    except bluegreen.SwitchError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
