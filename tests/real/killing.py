# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Snapshots of hosts after a run, and the choice of tasks at which to kill a run."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from environment import Environment, until

EARLIER = 10
"""If a run ends before its kill, the next one is killed this many tasks earlier."""

# The state of a host after a run: files with mode and content, containers, units; without times, epochs, process IDs.
SNAPSHOT = """
import glob, hashlib, json, pathlib, subprocess
folders = ["/etc/greenroom", "/etc/containers", "/etc/haproxy", "/etc/systemd/system", "/etc/postgresql",
           "/etc/prometheus", "/etc/default", "/etc/nftables.conf", "/usr/local/lib/greenroom",
           "/var/lib/greenroom/trees"]
def content(path):
    if path.name == "bundle.json" or path.parent.name == "trees":
        manifest = json.loads(path.read_text())
        # Its only file contains an epoch.
        return sorted(manifest["files"]) if path.name == "edge-record.json" else [manifest["hash"], manifest["files"]]
    if path.name == "live.map":
        return path.read_text().partition(":")[2]
    return hashlib.sha256(path.read_bytes()).hexdigest()
found = {}
for folder in map(pathlib.Path, folders):
    for path in [folder, *folder.rglob("*")] if folder.exists() else []:
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            found[str(path)] = [oct(status.st_mode), status.st_uid, status.st_gid, content(path)]
def lines(*command):
    try:
        return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
    except FileNotFoundError:
        return []
# A timer starts the simulation, independent of runs.
found["containers"] = [line for line in lines("podman", "ps", "-a", "--format", "{{.Names}} {{.Image}} {{.State}}")
                       if not line.startswith("greenroom-simulation ")]
found["units"] = [" ".join(line.split()[:4]) for pattern in ("*-blue.service", "*-green.service")
                  for line in lines("systemctl", "list-units", "--plain", "--no-legend", pattern)]
found["failed"] = [line for line in lines("systemctl", "list-units", "--plain", "--no-legend", "--state=failed")
                   if not line.startswith("greenroom-simulation.")]
found["roles"] = lines("su", "postgres", "-c", "cd / && psql -XAtc 'SELECT rolname, rolcanlogin FROM pg_roles'") \
    if glob.glob("/etc/postgresql/*/main") else []
print(json.dumps(found))
"""
# Resets a slot to its state before the first deploy.
EMPTY = """
for unit in $(cd /etc/containers/systemd && ls *-{slot}.container 2>/dev/null); do
    systemctl stop "${{unit%.container}}.service"
    rm -f "/etc/containers/systemd/$unit" "/var/lib/greenroom/units/${{unit%.container}}.service.json"
done
rm -rf "/etc/greenroom/slots/{slot}" "/etc/greenroom/slots/{slot}".*
systemctl daemon-reload
"""


def snapshot(environment: Environment) -> dict[str, Any]:
    """The state after a run, by host, once no service of a slot is starting or stopping."""

    def at_rest() -> dict[str, Any]:
        found = {host: json.loads(environment.python(host, SNAPSHOT)) for host in environment.hosts}
        units = [unit.split() for host in found.values() for unit in host["units"]]
        return {} if any({"activating", "deactivating"} & set(unit) for unit in units) else found

    result: dict[str, Any] = until(at_rest, 120, "no service starts or stops")
    return result


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """The differences between two snapshots."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [line for key in keys for line in differences(left.get(key), right.get(key), f"{path} {key}")]
    return [] if left == right else [f"{path}: {left} / {right}"]


def lasting_differences(environment: Environment, wanted: dict[str, Any]) -> list[str]:
    """Lasting differences of the hosts from a snapshot. Waits for units that a timer has started."""
    end = time.monotonic() + 60
    while (found := differences(wanted, snapshot(environment))) and time.monotonic() < end:
        time.sleep(1)
    return found


def moments(tasks: list[tuple[str, str]], every_phase: bool, seed: int) -> list[int]:
    """Indexes of the tasks at which to kill: one in each half, or one in each play."""
    chance = random.Random(seed)
    # The last play only prints the summary, and may end before the kill.
    tasks = [(play, name) for play, name in tasks if play != tasks[-1][0]]
    if not every_phase:
        middle = len(tasks) // 2
        return [chance.randrange(middle), chance.randrange(middle, len(tasks))]
    plays = sorted({play: number for number, (play, _) in reversed(list(enumerate(tasks)))}.values())
    return [chance.randrange(first, last) for first, last in zip(plays, [*plays[1:], len(tasks)], strict=True)]
