# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What runs leave on hosts, and at which of a run's tasks to kill it."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from environment import Environment, until

EARLIER = 10
"""Tasks by which a run that was over too soon is killed earlier."""

# All that a run leaves on a host: files with mode and content, containers, units; but no times, epochs, process ids.
SNAPSHOT = """
import hashlib, json, os, pathlib, subprocess
folders = ["/etc/greenroom", "/etc/containers", "/etc/haproxy", "/etc/systemd/system", "/etc/postgresql",
           "/etc/prometheus", "/etc/default", "/etc/nftables.conf", "/usr/local/lib/greenroom",
           "/var/lib/greenroom/trees"]
def content(path):
    if path.name == "bundle.json" or path.parent.name == "trees":
        manifest = json.loads(path.read_text())
        # Its one file has an epoch in it.
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
# Simulated people come by a timer, whatever runs do.
found["containers"] = [line for line in lines("podman", "ps", "-a", "--format", "{{.Names}} {{.Image}} {{.State}}")
                       if not line.startswith("greenroom-simulation ")]
found["units"] = [" ".join(line.split()[:4]) for pattern in ("*-blue.service", "*-green.service")
                  for line in lines("systemctl", "list-units", "--plain", "--no-legend", pattern)]
found["failed"] = [line for line in lines("systemctl", "list-units", "--plain", "--no-legend", "--state=failed")
                   if not line.startswith("greenroom-simulation.")]
found["roles"] = lines("su", "postgres", "-c", "cd / && psql -XAtc 'SELECT rolname, rolcanlogin FROM pg_roles'") \
    if os.path.exists("/etc/postgresql") else []
print(json.dumps(found))
"""
# Takes a slot back to where it is before its first deploy.
EMPTY = """
for unit in $(cd /etc/containers/systemd && ls *-{slot}.container 2>/dev/null); do
    systemctl stop "${{unit%.container}}.service"
    rm -f "/etc/containers/systemd/$unit" "/var/lib/greenroom/units/${{unit%.container}}.service.json"
done
rm -rf "/etc/greenroom/slots/{slot}" "/etc/greenroom/slots/{slot}.fact"
systemctl daemon-reload
"""


def snapshot(environment: Environment) -> dict[str, Any]:
    """What a run left, by host, once no service of a slot starts or stops any more."""

    def at_rest() -> dict[str, Any]:
        found = {host: json.loads(environment.python(host, SNAPSHOT)) for host in environment.hosts}
        units = [unit.split() for host in found.values() for unit in host["units"]]
        return {} if any({"activating", "deactivating"} & set(unit) for unit in units) else found

    result: dict[str, Any] = until(at_rest, 120, "no service starts or stops")
    return result


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two snapshots differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        return [line for key in keys for line in differences(left.get(key), right.get(key), f"{path} {key}")]
    return [] if left == right else [f"{path}: {left} / {right}"]


def lasting_differences(environment: Environment, wanted: dict[str, Any]) -> list[str]:
    """Where the hosts differ from a snapshot, and go on to: what a timer has begun meanwhile ends by itself."""
    end = time.monotonic() + 60
    while (found := differences(wanted, snapshot(environment))) and time.monotonic() < end:
        time.sleep(1)
    return found


def moments(tasks: list[tuple[str, str]], every_phase: bool, seed: int) -> list[int]:
    """Numbers of the tasks at which to kill: one from each half, or one from each play."""
    chance = random.Random(seed)
    # The last play only tells what was done, and may be over before it is killed.
    tasks = [(play, name) for play, name in tasks if play != tasks[-1][0]]
    if not every_phase:
        middle = len(tasks) // 2
        return [chance.randrange(middle), chance.randrange(middle, len(tasks))]
    plays = sorted({play: number for number, (play, _) in reversed(list(enumerate(tasks)))}.values())
    return [chance.randrange(first, last) for first, last in zip(plays, [*plays[1:], len(tasks)], strict=True)]
