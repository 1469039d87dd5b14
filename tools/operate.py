#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Look into the services of an environment, over SSH, with the inventory's own connection settings.

    make ps                          which containers run on the app hosts
    make logs SERVICE=portal         the latest output of a service and its jobs, on all of its hosts
    make exec SERVICE=portal COMMAND="id -u"
    make console SERVICE=portal      an interactive console in a new container

ENV names the inventory (staging unless you set it), HOST one host of the service, SLOT a slot that is not the live one.
If sudo wants a password there, exec and console ask for it on a terminal; ps and logs do with ASK=yes.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).resolve().parent.parent
RUN = "/usr/local/lib/greenroom/slots/greenroom-run"
# What decides how to connect: Ansible's variables for SSH.
SSH = (
    *("ansible_host", "ansible_user", "ansible_port", "ansible_ssh_private_key_file", "ansible_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_become"),
    *("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"),
)
PASSWORD = "sudo wants a password there: add ASK=yes, or set ansible_become_password in the inventory"


class OperateError(Exception):
    """What is wrong with what was asked for, and what to do."""


class Inventory:
    """The hosts of an environment, as a run knows them."""

    def __init__(self, path: str) -> None:
        """Read an inventory; raises OperateError."""
        if not Path(path).exists():
            raise OperateError(f"there is no inventory {path}; set ENV to the name of one in inventories/")
        init_plugin_loader()
        loader = DataLoader()
        loader.set_basedir(str(ROOT / "playbooks"))
        self._loader = loader
        self._manager = InventoryManager(loader=loader, sources=[path])
        self._variables = VariableManager(loader=loader, inventory=self._manager)
        self.groups: dict[str, list[str]] = self._manager.get_groups_dict()

    def variables(self, host: str, names: Sequence[str]) -> dict[str, Any]:
        """Return variables of a host, rendered."""
        found = self._variables.get_vars(host=self._manager.get_host(host))
        templar = Templar(loader=self._loader, variables=found)
        return {name: templar.template(found[name]) for name in names if name in found}

    def hosts(self, service: str) -> list[str]:
        """Return the hosts of a service; those of all services if none is named. Raises OperateError."""
        app = self.groups.get("app", [])
        if not app:
            raise OperateError("the inventory has no hosts in the group app")
        if not service:
            return app
        # A service that is only in an older slot is in the catalog no more; greenroom-run knows it.
        found = self._variables.get_vars(host=self._manager.get_host(app[0])).get("catalogue") or {}
        return self.groups.get(found.get(service, {}).get("group", "app")) or app


def sudo_password(variables: Mapping[str, Any]) -> str:
    """Return the password for sudo, "" if none is known."""
    names = ("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
    return next((str(variables[name]) for name in names if variables.get(name)), "")


def ssh(host: str, variables: Mapping[str, Any], command: str, terminal: bool, asks: bool = False) -> list[str]:
    """Return the command that runs `command` as root on a host.

    Only a terminal can ask for a password. Without one, sudo reads it from its input if it `asks`.
    """
    words = ["ssh", "-t" if terminal else "-T", "-o", "LogLevel=ERROR"]
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        words += shlex.split(str(variables.get(name) or ""))
    if key := variables.get("ansible_ssh_private_key_file") or variables.get("ansible_private_key_file"):
        words += ["-i", str(key)]
    if port := variables.get("ansible_port"):
        words += ["-p", str(port)]
    if user := variables.get("ansible_user"):
        words += ["-l", str(user)]
    sudo = "sudo -S -p ''" if asks else "sudo" if terminal else "sudo -n"
    root = f"{sudo} {command}" if variables.get("ansible_become", True) else command
    return [*words, str(variables.get("ansible_host", host)), root]


def remote(given: argparse.Namespace) -> str:
    """Return the command for the hosts; raises OperateError."""
    if given.what == "ps":
        return "podman ps --all --sort names --format 'table {{.Names}}\t{{.Status}}\t{{.Image}}'"
    if not given.service:
        raise OperateError(f"name a service: make {given.what} SERVICE=portal")
    if given.what == "logs":
        slots = [given.slot] if given.slot else ["blue", "green"]
        patterns = [f"{given.service}{part}-{slot}.service" for slot in slots for part in ("", "-job-*")]
        # journalctl looks for patterns among units that are loaded now.
        units = " ".join(f"--unit={shlex.quote(pattern)}" for pattern in patterns)
        return f"journalctl --quiet --no-pager --output=short-iso --lines={int(given.lines)} {units}" + (
            " --follow" if given.follow else ""
        )
    if given.what == "exec" and not given.words:
        raise OperateError('name a command: make exec SERVICE=portal COMMAND="id -u"')
    slot = ["--slot", given.slot] if given.slot else []
    return shlex.join([RUN, given.what, *slot, given.service, *given.words])


def every(inventory: Inventory, hosts: Sequence[str], command: str, password: str = "") -> int:
    """Run a command on hosts at once, and print what each prints, with its name in front; return an exit code.

    The command must not read its input, which has the `password` for sudo, or the inventory's.
    """
    # Ansible loads its plugins only in one thread.
    known = {host: inventory.variables(host, SSH) for host in hosts}
    passwords = {host: password or sudo_password(known[host]) for host in hosts}
    calls = {host: ssh(host, known[host], command, terminal=False, asks=bool(passwords[host])) for host in hosts}

    def one(host: str) -> int:
        pipe = subprocess.PIPE
        with subprocess.Popen(calls[host], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
            with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as given:
                if given and passwords[host]:
                    given.write(f"{passwords[host]}\n")
            for line in process.stdout or ():
                said = PASSWORD if line.strip() == "sudo: a password is required" else line.rstrip("\n")
                print(f"{host}  {said}", flush=True)
        return process.returncode

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        return max(pool.map(one, hosts))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Look into the services of an environment.")
    parser.add_argument("what", choices=["ps", "logs", "exec", "console"])
    parser.add_argument("--inventory", default="inventories/staging")
    parser.add_argument("--service", default="")
    parser.add_argument("--host", default="")
    parser.add_argument("--slot", default="", choices=["", "blue", "green"])
    parser.add_argument("--lines", default="100", help="how many lines of output each host shows")
    parser.add_argument("--follow", action="store_true", help="go on showing output until Ctrl-C")
    parser.add_argument("--ask-become-pass", action="store_true", help="ask for the password of sudo, once")
    parser.add_argument("--command", dest="words", type=shlex.split, default=[])
    return parser.parse_args(words)


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    given = arguments()
    os.chdir(ROOT)
    try:
        inventory = Inventory(given.inventory)
        command = remote(given)
        hosts = inventory.hosts(given.service)
        if given.host and given.host not in hosts:
            raise OperateError(f"{given.host} is not a host of this service; it has {', '.join(hosts)}")
        hosts = [given.host] if given.host else hosts
        if given.what in ("ps", "logs"):
            password = getpass.getpass("BECOME password: ") if given.ask_become_pass else ""
            return every(inventory, hosts, command, password)
        # The first host, as for all commands that run once.
        words = ssh(hosts[0], inventory.variables(hosts[0], SSH), command, terminal=sys.stdin.isatty())
        return subprocess.run(words, check=False).returncode
    except (OperateError, AnsibleError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
