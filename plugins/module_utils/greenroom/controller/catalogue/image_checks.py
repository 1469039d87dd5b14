# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Validate how a service's image runs: its user, capabilities, and paths with a tmpfs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ...common.names import suggestion
from .container_user import needs_namespace, user_and_group

Service = Mapping[str, Any]

LARGEST_ID = 65535
_HARMLESS = ("IPC_LOCK", "NET_BIND_SERVICE")
# In a user namespace, they reach files and processes of the container only.
_OWN = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETPCAP", "SETUID"),
    *("SYS_CHROOT", "SYS_NICE"),
)
_OF_HOST = (
    *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_OWNER"),
    *("LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT"),
    *("SYS_MODULE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG"),
    "WAKE_ALARM",
)
_REFUSED = {
    **dict.fromkeys(_OF_HOST, "it reaches the host, not only the container"),
    **dict.fromkeys(
        ("NET_ADMIN", "NET_BROADCAST", "NET_RAW"),
        "with it, a container takes another one's network address, by which the firewall knows it",
    ),
}
# Podman mounts something there itself.
_MOUNTED = ("/dev", "/proc", "/sys")


def image_problems(service: Service) -> Iterator[str]:
    """Yield what is wrong with how the image of a service runs, as `<key>: <problem>`."""
    for name in dict.fromkeys(user_and_group(service)):
        if name.isdecimal() and int(name) > LARGEST_ID:
            yield f"user: {name} is above {LARGEST_ID}"
    if service["userns"] is False and needs_namespace(service):
        user = service["user"]
        yield f"userns: user {user} may be a program of the host; without a user namespace, set a user from 1000 up"
    yield from _capabilities(service)
    yield from _writable(service)


def _capabilities(service: Service) -> Iterator[str]:
    known = (*_HARMLESS, *_OWN)
    namespace = service["userns"] or needs_namespace(service)
    for index, given in enumerate(service["capabilities"]):
        name = given.removeprefix("CAP_")
        if why := _REFUSED.get(name):
            yield f"capabilities[{index}]: {given} is not allowed: {why}"
        elif given not in known:
            hint = f'; write "{name}"' if name in known else suggestion(name.upper(), known)
            yield f'capabilities[{index}]: unknown capability "{given}"{hint}'
        elif given in _OWN and not namespace:
            yield f"capabilities[{index}]: {given} would count on the host, too; add `userns: true`"


def _writable(service: Service) -> Iterator[str]:
    for path in service["writable"]:
        plain = posixpath.normpath(path)
        if path != plain:
            yield f'writable: write "{plain}" in place of "{path}"'
        elif plain == "/":
            yield "writable: the root of the file system is read-only; name the folders that the program writes to"
        elif plain == "/dev/shm":
            yield "writable: set the size of /dev/shm with `shm`"
        elif any(f"{plain}/".startswith(f"{taken}/") for taken in _MOUNTED):
            yield f'writable: nothing can be mounted at "{plain}"'
        elif plain == service["config_path"]:
            yield f'writable: "{plain}" is also `config_path`; choose another path for one of them'
