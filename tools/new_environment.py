#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Write the inventory of a new environment, look whether its hosts can be reached, and say what to do next.

    make new ENV=acme DOMAIN=acme.test HOSTS='edge=10.1.0.11,10.1.0.12 app=10.1.0.21 data=10.1.0.31 ops=10.1.0.41'
    make new ENV=acme DOMAIN=acme.test HOSTS=10.1.0.5                 (one host for everything)

The keys and their comments are those of an inventory that exists (staging), so none is missing. Only values differ. A
folder that exists is not touched.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("edge", "app", "data", "ops")
# They are for documentation, so no host has them.
EXAMPLE_HOSTS = "edge=192.0.2.11 app=192.0.2.21 data=192.0.2.31 ops=192.0.2.41"
NAME = re.compile(r"[a-z][a-z0-9]{0,29}")
DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
SECONDS = 5.0
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class NewEnvironmentError(Exception):
    """Why there is no new inventory, and what to do about it."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says of the environment."""

    name: str
    domain: str
    hosts: Mapping[str, Sequence[str]]
    """{group: addresses}"""
    public: str = ""
    network: str = ""
    shared: str = ""
    registry: str = ""
    vault: str = ""
    login: str = ""
    release: str = ""
    protected: bool = False
    own: str = field(default="", compare=False)
    """The controller's address, as hosts see it."""

    @property
    def public_name(self) -> str:
        """The host name that users type."""
        return self.public or f"www.{self.domain}"


def parse_hosts(text: str) -> dict[str, list[str]]:
    """Return {group: addresses} of `edge=10.0.0.1,10.0.0.2 app=…`, or of one address. Raises NewEnvironmentError."""
    words = text.split()
    if len(words) == 1 and "=" not in words[0] and "," not in words[0]:
        return {group: [words[0]] for group in GROUPS}
    found: dict[str, list[str]] = {}
    for word in words:
        group, given, addresses = word.partition("=")
        if not given or not all(addresses.split(",")):
            raise NewEnvironmentError(
                f'HOSTS: "{word}" is neither <group>=<address>,<address> nor the only word; write, for example, '
                f"HOSTS='{EXAMPLE_HOSTS}'"
            )
        if group not in GROUPS:
            raise NewEnvironmentError(f'HOSTS: unknown group "{group}"; the groups are {", ".join(GROUPS)}')
        found.setdefault(group, []).extend(addresses.split(","))
    for group in ("edge", "app"):
        if group not in found:
            raise NewEnvironmentError(f"HOSTS: no host for {group}; an environment needs edge and app")
    if len(found.get("data", [])) > 1:
        raise NewEnvironmentError("HOSTS: the group data has one host")
    return found


def names(hosts: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return {address: name}. A host is named after its first group; the only host is `host1`."""
    places = list(dict.fromkeys(address for addresses in hosts.values() for address in addresses))
    if len(places) == 1:
        return {places[0]: "host1"}
    found: dict[str, str] = {}
    for group, addresses in hosts.items():
        for number, address in enumerate(addresses, start=1):
            found.setdefault(address, f"{group}{number}")
    return found


def common_network(hosts: Mapping[str, Sequence[str]]) -> str:
    """Return the smallest network with all hosts, at least a /24 (IPv6: /64). Raises NewEnvironmentError."""
    found: list[IpNetwork] = []
    for address in names(hosts):
        try:
            parsed = ipaddress.ip_address(address if ":" in address else _resolved(address))
        except (OSError, ValueError) as error:
            raise NewEnvironmentError(
                f"HOSTS: the address of {address} isn't known ({error}); set NETWORK=<the hosts' network>"
            ) from error
        found.append(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))
    if len({network.version for network in found}) > 1:
        raise NewEnvironmentError("HOSTS: IPv4 and IPv6 are mixed; set NETWORK=<the hosts' network>")
    network = found[0]
    while not all(_within(other, network) for other in found):
        network = network.supernet()
    return str(network)


def _within(inner: IpNetwork, outer: IpNetwork) -> bool:
    first, last = int(outer.network_address), int(outer.broadcast_address)
    return first <= int(inner.network_address) <= last


def _resolved(name: str) -> str:
    return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])


def values(wanted: Wanted) -> dict[str, Any]:
    """Return the variables that differ from those of the inventory that is copied."""
    own = f"{wanted.own}/{128 if ':' in wanted.own else 32}" if wanted.own else ""
    edge_hosts = wanted.hosts.get("edge", [])
    found = {
        "environment_name": wanted.name,
        "environment_domain": wanted.domain,
        "environment_public_name": wanted.public_name,
        "environment_network": wanted.network or common_network(wanted.hosts),
        "environment_protected": wanted.protected,
        "environment_seeding_allowed": not wanted.protected,
        "environment_toggles": {},
        "simulation_enabled": False,
        "release_name": wanted.release or "1.0",
        "registry_address": wanted.registry or f"registry.{wanted.domain}:5000",
        "keepalived_address": wanted.shared,
        "keepalived_interface": "",
        "edge_visitors_only": not wanted.protected,
        "edge_indexed": wanted.protected,
        "edge_limits": {"default": 600, "login": 10},
        "edge_limit_exempt": ["ops"] if wanted.hosts.get("ops") and not wanted.protected else [],
        "firewall_public_sources": ["0.0.0.0/0", "::/0"],
        "firewall_ssh_sources": [own] if own else [],
        "firewall_office_sources": [own] if own else [],
        "firewall_forbidden_networks": [],
        "firewall_container_targets": ["{{ environment_network }}"],
        "identity_providers": [],
        "secrets_url": wanted.vault or f"https://vault.{wanted.domain}:8200",
    }
    if wanted.login:
        found["ansible_user"] = wanted.login
    if len(edge_hosts) < 2 and wanted.shared:
        raise NewEnvironmentError("SHARED: one edge host shares its address with nobody; leave it out")
    return found


def replaced(text: str, key: str, value: Any) -> str:
    """Return the text of a YAML file with another value of one of its top-level keys; comments stay."""
    shown = yaml.safe_dump(value, default_flow_style=True, width=10000, default_style=None).strip()
    shown = shown.removesuffix("...").strip()
    return re.sub(rf"^{key}:.*\n(?:[ -].*\n)*", lambda _found: f"{key}: {shown}\n", text, flags=re.MULTILINE)


def inventory(wanted: Wanted, source: Path) -> dict[str, str]:
    """Return {path in the inventory's folder: content}. `source` is the inventory whose keys and comments it gets."""
    named = names(wanted.hosts)
    lines = ["---", f"# The hosts of {wanted.name}.", f"{wanted.name}:", "  children:"]
    seen: set[str] = set()
    for group in GROUPS:
        lines += [f"    {group}:", "      hosts:" if wanted.hosts.get(group) else "      hosts: {}"]
        for address in wanted.hosts.get(group, []):
            shown = "" if address in seen else f" {{ansible_host: {yaml.safe_dump(address).split()[0]}}}"
            lines.append(f"        {named[address]}:{shown}")
            seen.add(address)
    found = {"hosts.yml": "\n".join([*lines, ""])}
    changed = values(wanted)
    old = source.name
    for file in sorted((source / "group_vars" / old).glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        # Comments that speak of the other environment, and of its neighbors.
        text = re.sub(rf"^# {old.capitalize()}: ", f"# {wanted.name}: ", text, flags=re.MULTILINE)
        text = re.sub(r"(may not open connections): \w+'s\.$", r"\1, such as another environment's.", text, flags=re.M)
        text = re.sub(rf"^(#.*)\b{old}\b", rf"\1{wanted.name}", text, flags=re.MULTILINE)
        for key, value in changed.items():
            text = replaced(text, key, value)
        found[f"group_vars/{wanted.name}/{file.name}"] = text
    return found


def write(wanted: Wanted, inventories: Path, source: Path) -> list[Path]:
    """Write the inventory of the environment below `inventories`; return its files. Raises NewEnvironmentError."""
    if not NAME.fullmatch(wanted.name) or wanted.name in {*GROUPS, "all"}:
        raise NewEnvironmentError(f'ENV: "{wanted.name}" can\'t name an environment; use lowercase letters and digits')
    for key, name in (("DOMAIN", wanted.domain), ("PUBLIC", wanted.public_name)):
        if not DOMAIN.fullmatch(name):
            raise NewEnvironmentError(f'{key}: "{name}" is not a domain such as acme.test')
    folder = inventories / wanted.name
    if folder.exists():
        raise NewEnvironmentError(f"{folder} exists. Choose another name, or remove the folder first.")
    content = inventory(wanted, source)
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in content]


def controller_address(hosts: Mapping[str, Sequence[str]]) -> str:
    """Return the address from which this machine reaches the first host, "" if there is no way."""
    for address in names(hosts):
        try:
            kind, _type, _protocol, _name, place = socket.getaddrinfo(address, 22, type=socket.SOCK_DGRAM)[0]
            with socket.socket(kind, socket.SOCK_DGRAM) as there:
                # Sends nothing.
                there.connect(place)
                return str(there.getsockname()[0])
        except OSError:
            continue
    return ""


def reach(address: str, port: int = 22, seconds: float = SECONDS) -> str:
    """Return why there is no SSH server at an address, "" if there is one."""
    try:
        with socket.create_connection((address, port), timeout=seconds) as there:
            said = there.recv(64)
    except socket.gaierror:
        return "this name has no address; fix its DNS entry, or write the address"
    except TimeoutError:
        return f"no response at port {port} within {seconds:.0f} s; is the host up, and does its firewall let you in?"
    except OSError as error:
        return f"no SSH at port {port}: {error.strerror or error}"
    return "" if said.startswith(b"SSH-") else f"something other than SSH listens at port {port}"


def reports(wanted: Wanted) -> list[str]:
    """Return a line about each host, and one about the public name."""
    lines = []
    for address, name in names(wanted.hosts).items():
        problem = reach(address)
        lines.append(f"{name:8} {address:16} {problem or 'SSH answers'}")
    expected = wanted.shared or (wanted.hosts["edge"][0] if wanted.hosts.get("edge") else "")
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(wanted.public_name, 443, type=socket.SOCK_STREAM)}
    except OSError:
        found = set()
    if expected in found:
        return [*lines, f"{wanted.public_name} leads to {expected}"]
    now = f"leads to {', '.join(sorted(found))}" if found else "has no DNS entry"
    return [*lines, f"{wanted.public_name} {now}; it must lead to {expected}"]


def next_steps(wanted: Wanted, folder: Path) -> str:
    """Return what to do next."""
    shown, access = os.path.relpath(folder), os.environ.get("GREENROOM_ACCESS") or f".access/{wanted.name}"
    own = wanted.own or "none: add your address, or every run is refused"
    alone = (
        ""
        if wanted.shared or len(wanted.hosts["edge"]) < 2
        else "\n      keepalived_address     none: all traffic uses edge1"
    )
    return f"""\
Next:
 1. Look through {shown}/group_vars/{wanted.name}/. These values are guesses:
      firewall_ssh_sources   {own}
      registry_address       {values(wanted)["registry_address"]}
      secrets_url            {values(wanted)["secrets_url"]}{alone}
 2. Write {access}/ with mode 0700: ca.crt, ssh_key, known_hosts, vault-role-id, vault-secret-id
    (docs/bring-your-own-hosts.md). For known_hosts, compare these lines with the hosts' consoles:
      ssh-keyscan -t ed25519 {" ".join(names(wanted.hosts))}
 3. Look whether a login works, create secrets, and look whether the input is right. None of this changes a host:
      ansible -i {shown} all -m ansible.builtin.ping
      ansible-playbook -i {shown} playbooks/secrets.yml -e create=missing
      ansible-playbook -i {shown} playbooks/validate.yml
 4. Set up the environment:
      ansible-playbook -i {shown} site.yml"""


def main() -> int:
    """Write the inventory that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, help_text in {
        "name": "the name of the environment, such as acme",
        "domain": "its domain, such as acme.test",
        "hosts": "its hosts by group, or the address of the only one",
        "public": "the host name that users type (default: www.<domain>)",
        "network": "the network of the hosts (default: the smallest with all of them)",
        "shared": "the unused address that several edge hosts share",
        "registry": "host and port of the image registry",
        "vault": "the URL of Vault",
        "login": "the account on the hosts that may use sudo",
        "release": "the release to run, a file in releases/",
        "source": "the inventory to take keys and comments from",
    }.items():
        parser.add_argument(f"--{name}", default="", help=help_text)
    parser.add_argument("--protected", action="store_true", help="runs must be confirmed; no synthetic users")
    given = vars(parser.parse_args())
    source = Path(given.pop("source") or ROOT / "inventories/staging")
    try:
        if not given["name"] or not given["domain"]:
            raise NewEnvironmentError("Give a name and a domain: make new ENV=acme DOMAIN=acme.test HOSTS=<address>")
        hosts = parse_hosts(given["hosts"] or EXAMPLE_HOSTS)
        own = controller_address(hosts) if given["hosts"] else ""
        wanted = Wanted(**{**given, "hosts": hosts, "own": own})
        files = write(wanted, ROOT / "inventories", source)
    except NewEnvironmentError as error:
        print(error, file=sys.stderr)
        return 1
    print(*(f"wrote {os.path.relpath(file)}" for file in files), "", sep="\n")
    if given["hosts"]:
        print(*reports(wanted), "", sep="\n")
    print(next_steps(wanted, ROOT / "inventories" / wanted.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
