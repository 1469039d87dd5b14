# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tries who reaches a slot's containers and forwards ports with the rendered files of an app host.

`reach.py RENDERED` reads {containers, published, local, tries} from standard input and prints a JSON list with the
outcome of each try: true if a connection was made, false if it was refused, or had no response.

`containers` = {name: {mac, address, ports}} on one bridge, as Podman makes it: processes that listen on at least one
port, in network namespaces of their own. `published` = {port on 127.0.0.1: [address, port of a container]}, `local` are
ports of other programs on 127.0.0.1. A try is {by, to: [address, port]}: `by` is a container, a user ID, or `ssh
<account>`, which forwards. The text "link-local <container>" as an address stands for the one that the kernel chose.
A try with `without` deletes these tables of the firewall first, and sets them up again afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BRIDGE = "podman1"
GATEWAY = "10.89.10.1/24"
SECONDS = 2
SSH_PORT = 2222
KEY = "/tmp/key"
LISTEN = """
import socket, sys, threading
def serve(port):
    server = socket.socket(socket.AF_INET6)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", port))
    server.listen(64)
    print(port, flush=True)
    while True:
        server.accept()[0].close()
for port in sys.argv[1:]:
    threading.Thread(target=serve, args=[int(port)]).start()
"""
CONNECT = f"""
import os, socket, sys
if sys.argv[3] != "0":
    os.setuid(int(sys.argv[3]))
socket.create_connection((sys.argv[1], int(sys.argv[2])), {SECONDS}).close()
"""
# Netavark's rules, in short.
PUBLISH = f"""
table ip published {{{{
    chain output {{{{ type nat hook output priority dstnat; {{rules}} }}}}
    chain postrouting {{{{ type nat hook postrouting priority srcnat; oifname {BRIDGE} masquerade; }}}}
}}}}
"""
Words = list[str]


def run(*words: str, check: bool = True, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(words, input=given, capture_output=True, text=True, check=check)


def listen(ports: list[int], *before: str) -> subprocess.Popen[str]:
    """Start a program that listens, and wait until it does."""
    words = [*before, sys.executable, "-c", LISTEN, *map(str, ports)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in ports:
        process.stdout.readline()
    return process


class World:
    """A host with a slot's containers."""

    def __init__(self, rendered: Path, given: dict[str, Any]) -> None:
        """Set up the bridge, the containers, their published ports, the firewall and SSH."""
        self.firewall = rendered / "etc/nftables.conf"
        self.processes: dict[str, subprocess.Popen[str]] = {}
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", GATEWAY, "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        for number, (name, container) in enumerate(given["containers"].items()):
            self._start(name, container, f"veth{number}")
        # The kernel does not use its link-local addresses before it has checked them.
        for name in given["containers"]:
            while not self._link_local(name):
                time.sleep(0.1)
        Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet").write_text("1\n")
        rules = "".join(
            f"ip daddr 127.0.0.1 tcp dport {port} dnat to {place[0]}:{place[1]}\n"
            for port, place in given["published"].items()
        )
        run("nft", "-f", "-", given=PUBLISH.format(rules=rules))
        listen(given["local"])
        run("nft", "-f", str(self.firewall))
        self._ssh(rendered)

    def _start(self, name: str, container: dict[str, Any], link: str) -> None:
        own = listen(container["ports"], "unshare", "--net")
        self.processes[name] = own
        peer = ["peer", "name", "eth0", "address", container["mac"], "netns", str(own.pid)]
        run("ip", "link", "add", link, "type", "veth", *peer)
        run("ip", "link", "set", link, "master", BRIDGE, "up")
        run(*self._inside(name), "ip", "address", "add", f"{container['address']}/24", "dev", "eth0")
        run(*self._inside(name), "ip", "link", "set", "eth0", "up")
        run(*self._inside(name), "ip", "link", "set", "lo", "up")

    def _inside(self, name: str) -> Words:
        return ["nsenter", "-t", str(self.processes[name].pid), "--net"]

    def _link_local(self, name: str) -> str:
        shown = run(*self._inside(name), "ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link").stdout
        return "" if "tentative" in shown or not shown else shown.split()[3].partition("/")[0] + "%eth0"

    def _ssh(self, rendered: Path) -> None:
        for folder in ("authorized_keys.d", "sshd_config.d"):
            shutil.copytree(rendered / "etc/ssh" / folder, Path("/etc/ssh", folder), dirs_exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY)
        for file in Path("/etc/ssh/authorized_keys.d").iterdir():
            file.write_text(Path(f"{KEY}.pub").read_text())
            run("useradd", "--create-home", "--shell", "/bin/bash", file.name, check=False)
        run("ssh-keygen", "-q", "-A")
        Path("/run/sshd").mkdir(exist_ok=True)
        run("/usr/sbin/sshd", "-p", str(SSH_PORT))

    def attempt(self, by: str | int, to: tuple[str, int]) -> bool:
        """Whether a connection is made."""
        address, port = to
        if address.startswith("link-local "):
            address = self._link_local(address.split()[1])
        if isinstance(by, str) and by.startswith("ssh "):
            options = ["-i", KEY, "-p", str(SSH_PORT), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
            account = f"{by.split()[1]}@127.0.0.1"
            done = run("ssh", *options, "-W", f"{address}:{port}", account, check=False)
            assert "Permission denied" not in done.stderr, done.stderr
            return done.returncode == 0
        before, user = ([], by) if isinstance(by, int) else (self._inside(by), 0)
        words = [*before, sys.executable, "-c", CONNECT, address, str(port), str(user)]
        return run(*words, check=False).returncode == 0


def main() -> None:
    """Try all."""
    given = json.load(sys.stdin)
    world = World(Path(sys.argv[1]), given)
    found = []
    for each in given["tries"]:
        for table in each.get("without", []):
            run("nft", "delete", "table", *table.split())
        found.append(world.attempt(each["by"], each["to"]))
        if "without" in each:
            run("nft", "-f", str(world.firewall))
    print(json.dumps(found), flush=True)
    # The listening programs would keep the container.
    os._exit(0)


if __name__ == "__main__":
    main()
