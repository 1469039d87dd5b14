# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module bluegreen_switch; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bluegreen_switch
short_description: Say which slot serves the public, or find out
version_added: "1.0.0"
description:
  - Writes which slot is live to disk (state file, then the map file of HAProxy), then tells all running workers of
    HAProxy, older ones too, and reads back. No reload, no request lost.
  - The state file is the truth and survives a loss of power. What does not agree with it, after a crash or a hand's
    edit, is mended by any call that is not refused and by the host's own watchdog.
  - An operation (idle, prepared, canary, live, draining, idle) stands in the same file, with what was before it, the
    step that is prepared, and a deadline. Past its deadline the watchdog drops what is only prepared, undoes a canary,
    and finishes the rest.
  - With several edge hosts, call V(prepared) on all of them, then V(present) without O(live) on all of them, both with
    the same O(epoch), which is above RV(highest_epoch) of each. An edge that was away takes over the highest epoch.
  - The value in the map is C(epoch:live:candidate:weight), with C(-) for no candidate.
author: Greenroom developers (!UNKNOWN)
options:
  state:
    description:
      - With V(status) nothing is changed.
      - With V(prepared) the next step of O(operation) is noted; nothing of it is in force.
      - With V(present) and O(operation), what it prepared is put in force; with O(live), too, it is prepared first
        where it was not.
      - With V(present) and no O(operation), O(live) serves afterwards, at once. Without O(live), what disk says is put
        in force.
      - With V(draining) the operation waits for connections of the old slot, with V(finished) it is over.
      - With V(aborted) the public goes back to what was live before the operation, and the operation is over.
    type: str
    choices: [status, prepared, present, draining, finished, aborted]
    default: present
  site:
    description: Key of the entry in the map.
    type: str
    required: true
  live:
    description:
      - The slot that shall serve. With V(draining) and V(finished) the slot that has to be live; with V(aborted) the
        one that has to be live afterwards.
    type: str
    choices: [blue, green]
  weight:
    description: Percent of the requests that the slot beside O(live) gets.
    type: int
    default: 0
  epoch:
    description:
      - The number of the new position, above all that the edge knows. Left out, it is the next one, which is right for
        a single edge.
    type: int
  expected_epoch:
    description:
      - The epoch that the caller saw when it decided, 0 for none. Refused when another change came in between. A
        call that is repeated after it
        was cut short is not refused for what it did itself.
    type: int
  operation:
    description:
      - Name of the operation. While one is under way, any other is refused.
    type: str
  deadline:
    description:
      - In how many seconds the watchdog ends the operation unless it goes on. Each call that goes on with it winds
        this up again, which alone counts as no change.
    type: int
    default: 120
  finish:
    description:
      - With V(draining), whether the operation is over in the same call when nobody is in the old slot any more.
    type: bool
    default: false
  patience:
    description:
      - With V(status) and V(draining), for how many seconds the answer may wait until nobody is in the slot any more
        that does not serve.
    type: float
    default: 0
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

- name: Prepare 5 % for the green slot
  bluegreen_switch:
    state: prepared
    site: staging
    operation: 20260131-1200
    live: blue
    weight: 5
    epoch: 8
    expected_epoch: 7

- name: Let it have them
  bluegreen_switch:
    site: staging
    operation: 20260131-1200
    epoch: 8
    deadline: 300

- name: Go back
  bluegreen_switch:
    state: aborted
    site: staging

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
highest_epoch:
  description: The highest epoch that is in force or prepared. A new O(epoch) has to be above it.
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
phase:
  description: How far the operation has come, as V(idle), V(prepared), V(canary), V(live), V(draining).
  returned: success
  type: str
operation:
  description: The operation under way, or null. V(adopted) is a canary that was taken over from a peer.
  returned: success
  type: str
deadline:
  description: When the watchdog ends the operation (UTC), or null.
  returned: success
  type: str
overdue:
  description: Whether that moment has passed.
  returned: success
  type: bool
before:
  description: The map's value when the operation began, or an empty string.
  returned: success
  type: str
  sample: "7:blue:-:0"
before_live:
  description: The slot that was live when the operation began, or null.
  returned: success
  type: str
next:
  description: The map's value that is prepared, or an empty string.
  returned: success
  type: str
  sample: "8:blue:green:5"
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
connections:
  description:
    - Connections of each slot, V(blue) and V(green), over all workers, as C(current); null where a running worker
      could not be asked.
  returned: when O(state=status) or O(state=draining)
  type: dict
  sample: {blue: {current: 3}, green: {current: 0}}
mended:
  description: What had to be changed, as V(state), V(map), V(worker 123).
  returned: when not O(state=status)
  type: list
  elements: str
"""

import time
from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.switch import apply, steps
from ansible.module_utils.greenroom.switch.apply import Places, Seen
from ansible.module_utils.greenroom.switch.bluegreen import SLOTS, State, SwitchError
from ansible.module_utils.greenroom.switch.steps import Wish

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["status", *steps.STEPS], "default": "present"},
    "site": {"type": "str", "required": True},
    "live": {"type": "str", "choices": list(SLOTS)},
    "weight": {"type": "int", "default": 0},
    "epoch": {"type": "int"},
    "expected_epoch": {"type": "int"},
    "operation": {"type": "str"},
    "deadline": {"type": "int", "default": 120},
    "finish": {"type": "bool", "default": False},
    "patience": {"type": "float", "default": 0},
    "recover": {"type": "bool", "default": False},
    "state_file": {"type": "path", "default": "/var/lib/greenroom/edge/state.json"},
    "map_file": {"type": "path", "default": "/etc/haproxy/maps/live.map"},
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
    "master_socket": {"type": "path", "default": "/run/haproxy-master.sock"},
    "timeout": {"type": "float", "default": 5},
}
POLL = 0.05
WISHES = ("state", "live", "weight", "epoch", "expected_epoch", "deadline", "recover")


def described(seen: Seen) -> str:
    """Return what was found as lines for a diff."""
    state = seen.state
    lines = [f"state: {state.value if state else 'none'}", f"map: {seen.map_value or 'none'}"]
    if state and state.operation:
        following = f", then {state.operation.next}" if state.operation.next else ""
        lines.insert(1, f"operation: {state.operation.id}, {state.phase}{following}")
    return (
        "\n".join([*lines, *(f"worker {worker['name']}: {worker['value'] or 'none'}" for worker in seen.workers)])
        + "\n"
    )


def predicted(seen: Seen, wanted: State) -> Seen:
    """Return what would be found after `wanted` was applied."""
    workers = [worker if worker["problem"] else {**worker, "value": wanted.value} for worker in seen.workers]
    return Seen(wanted, "", wanted.value, True, workers)


def differences(before: Seen, after: Seen) -> list[str]:
    """Name what is not the same before and after."""
    found = ["state"] if before.state != after.state else []
    if before.map_value != after.map_value:
        found.append("map")
    pairs = zip(before.workers, after.workers, strict=True)
    return found + [f"worker {old['name']}" for old, new in pairs if old["value"] != new["value"]]


def switch(places: Places, wish: Wish, check: bool) -> dict[str, Any]:
    """Do what the arguments ask for, or with `check` say what would be done."""
    seen = apply.look(places)
    if seen.state is None:
        wanted = steps.first(places.site, wish, seen.traces, seen.damage, time.time())
    else:
        wanted = steps.decide(seen.state, wish, time.time())
    after = predicted(seen, wanted)
    if check:
        mended = differences(seen, after)
        result = {**apply.report(places, after), "in_force": apply.report(places, seen)["in_force"]}
    else:
        mended = apply.apply(places, seen, wanted)
        after = apply.look(places) if mended else seen
        result = apply.report(places, after)
    if wanted.only_wound_since(seen.state):
        mended.remove("state")
    diff = {"before": described(seen), "after": described(after)}
    return {**result, "changed": bool(mended), "mended": mended, "diff": diff}


def connections(places: Places, left: str | None, patience: float) -> dict[str, dict[str, int | None]]:
    """Count each slot's connections; wait for those of the slot that was left to end, for so many seconds."""
    give_up = time.monotonic() + patience
    while True:
        found: dict[str, dict[str, int | None]] = apply.connections(places)
        if left is None or found[left]["current"] == 0 or time.monotonic() > give_up:
            return found
        time.sleep(POLL)


def finished(places: Places, wish: Wish, drained: dict[str, Any]) -> dict[str, Any]:
    """End the operation if nobody is in the old slot any more; return what was done with what draining did."""
    if drained["connections"][drained["idle"]]["current"] != 0:
        return drained
    with apply.locked(places):
        ended = switch(places, replace(wish, state="finished"), check=False)
    together = {
        "changed": drained["changed"] or ended["changed"],
        "mended": list(dict.fromkeys(drained["mended"] + ended["mended"])),
        "diff": [drained["diff"], ended["diff"]],
    }
    return {**drained, **ended, **together}


def main() -> None:
    """Switch, or report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    try:
        files = (given["state_file"], given["map_file"], given["socket"], given["master_socket"])
        places = Places(given["site"], *files, given["timeout"])
        if given["state"] == "status":
            found = apply.report(places, apply.look(places))
            result = {"changed": False, **found}
        else:
            wish = Wish(operation=given["operation"] or "", **{name: given[name] for name in WISHES})
            if module.check_mode:
                result = switch(places, wish, check=True)
            else:
                with apply.locked(places):
                    result = switch(places, wish, check=False)
        if given["state"] in ("status", "draining"):
            patience = 0 if module.check_mode else given["patience"]
            result["connections"] = connections(places, result["idle"], patience)
        if given["state"] == "draining" and given["finish"] and not module.check_mode:
            result = finished(places, wish, result)
    except SwitchError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
