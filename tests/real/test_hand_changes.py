# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One change by hand of each kind: the next run finds and repairs it, because runs cache no state."""

from __future__ import annotations

import json

import pytest
from environment import Environment, other

ACCOUNT = {"name": "alice", "role": "operator", "ssh_keys": ["ssh-ed25519 AAAA"]}
ACCOUNTS = ("-e", json.dumps({"base_accounts": [ACCOUNT]}))
RUNTIME = """python3 - <<'END'
import socket
runtime = socket.socket(socket.AF_UNIX)
runtime.connect("/run/haproxy/admin.sock")
runtime.sendall(b"{}\\n")
answer = b""
while part := runtime.recv(4096):
    answer += part
print(" ".join(line.split(" ", 1)[1] for line in answer.decode().splitlines() if " " in line))
END
"""
SQL = "cd / && su postgres -c \"psql -XAtq -d postgres -c '{}'\""
USERS = """python3 - <<'END'
import json, urllib.request
users = json.load(urllib.request.urlopen("{admin}/identities?page_size=500"))
chosen = sorted(one["traits"]["email"] for one in users if one["traits"]["email"].startswith("people-"))
print(len(chosen), chosen[7])
END
"""
REMOVE = """python3 - <<'END'
import json, urllib.request
users = json.load(urllib.request.urlopen("{admin}/identities?page_size=500"))
chosen = sorted((one["traits"]["email"], one["id"]) for one in users if one["traits"]["email"].startswith("people-"))
urllib.request.urlopen(urllib.request.Request("{admin}/identities/" + chosen[7][1], method="DELETE"))
END
"""
# By kind: the host, the script that makes the change, and the script that shows it.
CHANGES = {
    "a file's content": ("app1", "echo '# by hand' >> /etc/chrony/chrony.conf", "sha256sum /etc/chrony/chrony.conf"),
    "a file's mode": ("ops1", "chmod 0666 /etc/prometheus/prometheus.yml", "stat -c %a /etc/prometheus/prometheus.yml"),
    "a folder's owner": ("data1", "chown nobody /etc/greenroom", "stat -c %U /etc/greenroom"),
    "the mode of podman's storage": (
        "app1",
        "chmod 0755 /var/lib/containers/storage",
        "stat -c %a /var/lib/containers/storage",
    ),
    "a unit": (
        "edge1",
        "systemctl disable --quiet --now prometheus-node-exporter",
        "systemctl is-active prometheus-node-exporter; systemctl is-enabled prometheus-node-exporter",
    ),
    "a package": (
        "edge2",
        "DEBIAN_FRONTEND=noninteractive apt-get remove --yes -qq prometheus-node-exporter",
        "dpkg-query --show --showformat '${db:Status-Status}' prometheus-node-exporter; "
        "systemctl is-active prometheus-node-exporter",
    ),
    "an account": ("app2", "userdel alice", "getent passwd alice | cut -d : -f 1,6,7"),
    "a rule of the firewall": (
        "data1",
        "nft insert rule inet greenroom input tcp dport 9 accept",
        "nft --stateless list table inet greenroom",
    ),
    "a rule between containers": (
        "app2",
        "nft insert rule bridge greenroom forward ether type ip accept",
        "nft --stateless list table bridge greenroom",
    ),
    "a database's role": (
        "data1",
        SQL.format("ALTER ROLE portal_{idle} NOLOGIN"),
        SQL.format("SELECT rolcanlogin FROM pg_roles WHERE rolname = \\$\\$portal_{idle}\\$\\$"),
    ),
    "a permission of the broker": (
        "data1",
        "rabbitmqctl -q clear_permissions -p staging portal-worker_{idle} </dev/null",
        "rabbitmqctl -q list_user_permissions portal-worker_{idle} </dev/null",
    ),
    "a map of HAProxy": (
        "edge1",
        RUNTIME.format("set map /etc/haproxy/maps/live.map staging 0:{live}:-:0"),
        RUNTIME.format("show map /etc/haproxy/maps/live.map"),
    ),
    "an identity": ("app1", REMOVE, USERS),
}


@pytest.mark.usefixtures("no_simulation")
def test_a_change_by_hand_of_each_kind_is_found_and_repaired(staging: Environment) -> None:
    staging.rest()
    assert staging.play("playbooks/provision.yml", *ACCOUNTS).code == 0
    words = {"live": staging.live(), "idle": other(staging.live()), "admin": staging.kratos_admin()}

    def told(kind: str) -> str:
        host, _, tells = CHANGES[kind]
        return staging.ssh(host, filled(tells, words), check=False).stdout

    before = {kind: told(kind) for kind in CHANGES}
    assert all(before.values()), before
    for host, change, _ in CHANGES.values():
        staging.ssh(host, filled(change, words))
    # The edge's watchdog repairs a map within seconds, so the change may already be gone.
    changed = {kind for kind in CHANGES if told(kind) != before[kind]}
    assert changed >= CHANGES.keys() - {"a map of HAProxy"}

    staging.converge(*ACCOUNTS)
    assert {kind: told(kind) for kind in CHANGES} == before
    again = staging.converge(*ACCOUNTS)
    assert again.quiet, again.output


def filled(script: str, words: dict[str, str]) -> str:
    """Fill in slots and addresses. Scripts have other braces, so str.format doesn't work."""
    for name, word in words.items():
        script = script.replace(f"{{{name}}}", word)
    return script
