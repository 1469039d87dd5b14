# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether a run would lock the controller out of hosts: their firewall and their SSH server."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..hosts.networks import networks_of

SSH = 22
_JUMP = re.compile(r"""(?:^|\s)(?:-J\s*|-o\s*["']?ProxyJump[=\s]\s*)([^\s"']+)""", re.IGNORECASE)
# Up to the end of the quotes around it; ssh forwards to the host with -W.
_COMMAND = re.compile(r"""ProxyCommand[=\s]\s*(["']?[^"']*\s-W\s[^"']*)""", re.IGNORECASE)


@dataclass(frozen=True)
class Login:
    """How the controller logs in to a host: its address or name, the user, and what SSH is open to there.

    `options` are those of `ssh`, `forwards` is what the host's SSH server forwards to. `seen` is the address from which
    the host sees the controller, "" if this machine's own.
    """

    address: str
    user: str
    sources: Any
    options: str = ""
    forwards: Any = ()
    seen: str = ""


def lockout_problems(
    logins: Mapping[str, Login], addresses: Mapping[str, Sequence[str]], applies: bool
) -> Iterator[str]:
    """Yield why hosts would no longer let the controller in, one line each.

    `logins` = {host: Login}, `addresses` = {group: [address]}. Without `applies`, the run doesn't change the firewall,
    so it may come from any machine.
    """
    where: dict[str, list[str]] = {}
    for host, login in logins.items():
        for line in [*_problems(login, addresses, applies), *(_jump_problems(login, logins) if applies else ())]:
            where.setdefault(line, []).append(host)
    yield from (f"{line} (on {', '.join(hosts)})" for line, hosts in where.items())


def _problems(login: Login, addresses: Mapping[str, Sequence[str]], applies: bool) -> Iterator[str]:
    if login.user == "root":
        yield "ansible_user: hosts close root's SSH login, so no later run could log in; set a user with sudo"
    if not isinstance(login.sources, Sequence) or isinstance(login.sources, str):
        return  # the check of types reports it
    if not login.sources:
        yield "firewall_ssh_sources: empty, so nobody could log in; add the controller's address"
    elif applies and (seen := login.seen or source_address(login.address)) and not _has(login.sources, addresses, seen):
        yield (
            f"firewall_ssh_sources: the controller's address {seen} is not in it, so no later run could log in; "
            "add it, or set firewall_controller_address if hosts see another one (NAT, jump host)"
        )


def _jumps(options: str) -> Iterator[str]:
    """Yield the hosts through which `ssh` goes with these options; of a ProxyCommand, all words that may be one."""
    for way in _JUMP.findall(options):
        yield from (place.removeprefix("ssh://").rpartition("@")[2].partition(":")[0] for place in way.split(","))
    for command in _COMMAND.findall(options):
        yield from (word.strip("\"'").rpartition("@")[2] for word in command.split())


def _jump_problems(login: Login, logins: Mapping[str, Login]) -> Iterator[str]:
    for jump in dict.fromkeys(_jumps(login.options)):
        for host, its in logins.items():
            if jump in (host, its.address) and not its.forwards:
                yield (
                    f"base_forward_to: empty for {host}, through which the controller logs in, so no later run "
                    'could log in; set ["*:22"] there'
                )


def source_address(host: str) -> str:
    """Return the address of this machine on the way to a host, "" if there is no way; sends nothing to the host."""
    with contextlib.suppress(OSError, UnicodeError):
        family, _kind, _protocol, _name, place = socket.getaddrinfo(host, SSH, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as found:
            found.connect(place)
            return str(found.getsockname()[0])
    return ""


def _has(sources: Collection[Any], addresses: Mapping[str, Sequence[str]], own: str) -> bool:
    try:
        networks = [network for source in sources for network in networks_of(str(source), addresses, "")]
        return any(ipaddress.ip_address(own) in network for network in networks)
    except ValueError:
        return True  # the check of meanings reports it
