# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module bluegreen_switch, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bluegreen_switch
short_description: Switch public traffic to a slot, or report which slot is live
version_added: "1.0.0"
description:
  - Writes the live slot to disk (the state file, then HAProxy's map file), then sets it in all running HAProxy workers,
    including old ones, and reads it back. HAProxy isn't reloaded, and no request is lost.
  - The state file is authoritative and survives a power failure. If the map or a worker differs from it, for example
    after a crash or a manual edit, any accepted call repairs that, and so does the host's watchdog.
  - An operation (idle, prepared, canary, live, draining, idle) is in the same file, with the position before it, the
    prepared step, and a deadline. After the deadline, the watchdog drops a step that is only prepared, aborts a canary,
    judges a bake (O(bake)), and finishes any other operation. Setting the host's clock doesn't move the deadline.
  - With several edge hosts, call V(prepared) on all of them, then V(present) without O(live) on all of them, both with
    the same O(epoch), which must be above RV(highest_epoch) of each. An edge host that was down takes over the highest
    epoch. So does one that is behind if O(newest) tells it.
  - A switch of the live slot makes the slot that was live RV(previous), which a rollback returns to. An abort restores
    what was before.
  - The value in the map is C(epoch:live:candidate:weight:previous), with C(-) for no candidate or no previous slot. On
    an edge host that took over a canary from a peer, C(:adopted) follows.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.haproxy
options:
  state:
    description:
      - V(status) changes nothing.
      - V(prepared) records the next step of O(operation) without putting it in effect.
      - V(present) with O(operation) puts its prepared step in effect. With O(live), the step is prepared first if
        necessary.
      - V(present) without O(operation) makes O(live) the live slot at once. Without O(live), it puts the state on disk
        in effect.
      - V(draining) starts to drain the previous slot, V(finished) ends the operation.
      - V(overdue) ends the time of an operation whose run is dead. The watchdog of the edge host then does what is due
        after the deadline, such as a verdict on a bake.
      - V(aborted) makes the slot live that was live before the operation, and ends the operation.
      - V(replacing) records that a deploy is about to replace the idle slot, so there is nothing to roll back to. The
        epoch stays. It is refused while an operation other than O(operation) is in progress.
    type: str
    choices: [status, prepared, present, draining, finished, overdue, aborted, replacing]
    default: present
  site:
    description: Key of the entry in the map.
    type: str
    required: true
  live:
    description:
      - The slot to make live. With V(draining), V(finished) and V(replacing), the slot that must be live already. With
        V(aborted), the slot that must be live afterwards.
    type: str
    choices: [blue, green]
  weight:
    description: The percentage of clients that get the other slot, the candidate.
    type: int
    default: 0
  epoch:
    description:
      - The epoch of the new position. It must be above all epochs that the edge host knows. The default is the next
        one, which is correct for a single edge host.
    type: int
  expected_epoch:
    description:
      - The epoch at the time of the caller's decision, 0 for none. If it has changed since, the call is refused.
        Repeating an interrupted call is safe; it isn't refused because of its own first run.
    type: int
  operation:
    description:
      - Name of the operation. While an operation is in progress, any other is refused.
    type: str
  deadline:
    description:
      - Seconds after which the watchdog ends the operation if it isn't continued. Each call that continues the
        operation sets a new deadline. A new deadline alone doesn't count as a change.
    type: int
    default: 120
  bake:
    description:
      - What the watchdog needs to judge the new live slot by itself if the deadline passes during its bake. If the slot
        fails, and the previous one has healthy servers, the previous one gets all traffic again. Without O(bake), the
        new slot stays live.
      - It belongs to the step that V(prepared), or V(present) with O(live), records.
    type: dict
    suboptions:
      limits:
        description: The limits of the verdict, by the names of the canary's options without C(canary_).
        type: dict
        required: true
      own:
        description: Limits of services that have some of their own, by service, as returned by C(canary_limits).
        type: dict
        default: {}
      routes:
        description: Paths of the catalog's routes, as for canary_traffic.
        type: list
        elements: str
        default: []
      backends:
        description: Services whose requests are counted apart, as for canary_traffic.
        type: dict
        default: {}
      seconds:
        description: How many seconds of the previous slot's requests, from before the switch, are the baseline.
        type: float
        required: true
      not_before:
        description: Since when the previous slot served (UTC, ISO 8601), empty if that isn't known.
        type: str
        default: ""
  by:
    description: Who makes an abort, if it isn't the run of the operation. It becomes RV(changed_by).
    type: str
    default: ""
  final:
    description:
      - Whether a switch of the live slot leaves no RV(previous) slot, because it is a rollback. A second rollback then
        can't return to the slot that this one left.
    type: bool
    default: false
  finish:
    description:
      - With V(draining), whether to end the operation in the same call if the previous slot has no open connections.
    type: bool
    default: false
  healthy:
    description:
      - Whether to refuse O(live) or O(weight) if the slot that would get traffic has a backend without a healthy
        server. Waits up to O(timeout) for it. Without HAProxy, there is nothing to check.
    type: bool
    default: false
  drain_timeout:
    description:
      - With V(status), V(draining) and V(replacing), how many seconds to wait until the idle slot has no open
        connections.
    type: float
    default: 0
  recover:
    description:
      - Whether to accept O(live) if the state file is lost or damaged although the map or HAProxy still know the site.
    type: bool
    default: false
  newest:
    description:
      - RV(value) of the edge host with the highest epoch in the environment. If this host is behind, because it was
        down and can't reach its peers, for example, it takes over this value first, as from a peer.
    type: str
    default: ""
  state_file:
    description: Path of the state file.
    type: path
    default: /var/lib/greenroom/edge/state.json
  map_file:
    description: Path of the map file, exactly as in HAProxy's configuration.
    type: path
    default: /etc/haproxy/maps/live.map
  peers_file:
    description: Path of the file in which the watchdog notes whether the other edge hosts answer.
    type: path
    default: /run/greenroom/edge-peers.json
  timeout:
    description: Timeout in seconds for each request to a socket, and for the lock while another call runs on the host.
    type: float
    default: 5
attributes:
  check_mode:
    description: Reads the state and predicts the result. Writes nothing.
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

- name: Make green the live slot
  bluegreen_switch:
    site: staging
    live: green
    expected_epoch: "{{ edge_status.epoch }}"

- name: Prepare a weight of 5 % for green
  bluegreen_switch:
    state: prepared
    site: staging
    operation: 20260131-1200
    live: blue
    weight: 5
    epoch: 8
    expected_epoch: 7

- name: Put the prepared weight in effect
  bluegreen_switch:
    site: staging
    operation: 20260131-1200
    epoch: 8
    deadline: 300

- name: Abort the operation
  bluegreen_switch:
    state: aborted
    site: staging

- name: Give up the rollback before a deploy replaces the idle slot, and wait for its open connections
  bluegreen_switch:
    state: replacing
    site: staging
    live: blue
    drain_timeout: 3

- name: Set the live slot after the state was lost
  bluegreen_switch:
    site: staging
    live: blue
    recover: true
"""

RETURN = r"""
live:
  description:
    - The live slot, null on a new edge host. With RV(state_lost), the one in the workers, or else in the map file.
  returned: success
  type: str
  sample: green
idle:
  description: The other slot, null on a new edge host.
  returned: success
  type: str
  sample: blue
epoch:
  description: The number of the last switch, 0 on a new edge host.
  returned: success
  type: int
highest_epoch:
  description: The highest epoch in effect or prepared. A new O(epoch) must be above it.
  returned: success
  type: int
candidate:
  description: The slot that RV(weight) percent of clients get, or null.
  returned: success
  type: str
weight:
  description: The percentage of clients that get the candidate.
  returned: success
  type: int
previous:
  description:
    - The slot that was live before and can be rolled back to, or an empty string. Null if it isn't known, because the
      state is from an earlier version.
  returned: success
  type: str
  sample: blue
value:
  description: The state as a value of the map, or an empty string on a new edge host.
  returned: success
  type: str
  sample: "7:green:-:0:blue"
changed_at:
  description: The time of the last switch (UTC), or null.
  returned: success
  type: str
  sample: "2026-01-31T12:00:00Z"
changed_by:
  description: What made the last switch, or null if a run or another edge host did. After an abort, O(by).
  returned: success
  type: str
  sample: greenroom-edge back on edge1
phase:
  description: The phase of the operation, one of V(idle), V(prepared), V(canary), V(live), V(draining).
  returned: success
  type: str
operation:
  description: The operation in progress, or null. V(adopted) is a canary that was taken over from a peer.
  returned: success
  type: str
deadline:
  description: The time at which the watchdog ends the operation (UTC), or null.
  returned: success
  type: str
overdue:
  description: Whether the deadline has passed.
  returned: success
  type: bool
bakes:
  description: Whether the operation watches the new live slot, and the edge hosts can judge it.
  returned: success
  type: bool
before:
  description: The map's value when the operation began, or an empty string.
  returned: success
  type: str
  sample: "7:blue:-:0:-"
before_live:
  description: The slot that was live when the operation began, or null.
  returned: success
  type: str
next:
  description: The map's value that is prepared, or an empty string.
  returned: success
  type: str
  sample: "8:blue:green:5:-"
state_lost:
  description: Whether the state file is missing or damaged although the map file or a worker knows the site.
  returned: success
  type: bool
map_present:
  description: Whether there is a map file.
  returned: success
  type: bool
disk:
  description: The state on disk.
  returned: success
  type: dict
  contains:
    state: {description: Content of the state file or null., type: dict, returned: always}
    damage: {description: The error in a damaged state file., type: str, returned: always}
    map: {description: Value in the map file or null., type: str, returned: always}
workers:
  description: The HAProxy processes that may route requests, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: Process ID., type: str, returned: always}
    old: {description: Whether a newer worker has replaced it., type: bool, returned: always}
    value: {description: Value in its memory or null., type: str, returned: always}
    agrees: {description: Whether this is the wanted value., type: bool, returned: always}
    problem: {description: The reason why it does not respond., type: str, returned: always}
running:
  description: Whether HAProxy is running. If not, the change is on disk and takes effect when HAProxy starts.
  returned: success
  type: bool
in_force:
  description: Whether state file, map file and all workers agree. In check mode, whether they agree now.
  returned: success
  type: bool
peers:
  description:
    - The other edge hosts, by address, each with the reason why it does not say what it has in effect. Null if it does.
  returned: success
  type: dict
  sample: {192.0.2.12: null, 192.0.2.13: timed out}
unconfirmed:
  description:
    - Whether no other edge host has confirmed the state since HAProxy started here, so that it may be old. False if
      there are no others.
  returned: success
  type: bool
connections:
  description:
    - Connections of each slot, V(blue) and V(green), on all workers, as C(current). Null if a running worker does not
      respond.
  returned: when O(state=status), O(state=draining) or O(state=replacing)
  type: dict
  sample: {blue: {current: 3}, green: {current: 0}}
health:
  description:
    - What the health checks of the newest worker say about the backends of each slot, V(blue) and V(green), by name.
      C(healthy) is whether one of a backend's servers is healthy, C(down) names the servers that are not. Null if
      HAProxy is not running or does not respond.
  returned: success
  type: dict
  sample: {blue: {portal_http_blue: {healthy: true, down: [app2]}}, green: {}}
repaired:
  description: What was changed or repaired, as V(state), V(map), V(worker 123).
  returned: when not O(state=status)
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.switch import module_call
from ansible.module_utils.greenroom.switch.bluegreen import SwitchError
from ansible.module_utils.greenroom.switch.options import ARGUMENTS


def main() -> None:
    """Carry out the request, or report the status."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**module_call.carry_out(module.params, module.check_mode))
    except SwitchError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
