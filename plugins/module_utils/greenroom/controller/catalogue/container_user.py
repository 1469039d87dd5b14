# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The user of a service's containers, and the IDs that it has on the host.

A user from 1000 up has the same ID on the host. Others could be a program of the host there: root, or www-data as 33.
So their containers have a user namespace: user 33 of the container is user <first ID of the service> + 33 of the host,
which nothing else has, and root of the container has no rights on the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

Service = Mapping[str, Any]

LEAST = 1000
"""The first ID of people's and services' own accounts; those below belong to the system's programs."""
NOBODY = 65534
"""What else runs as nobody on the host could read the container's environment."""
IDS = 65536
"""How many IDs a user namespace has: all that images use."""
# From systemd's list of IDs: above those of nspawn's containers, below those of foreign images. Debian's adduser and
# useradd give none of them.
_FIRST = 0x70000000
_RANGES = (0x7FFE0000 - _FIRST) // IDS
READERS = 59999
"""A group of containers whose user has a name: which number that is, only the image knows. It reads their files."""


def user_and_group(service: Service) -> tuple[str, str]:
    """Return the user and the group of a service's containers as Podman takes them.

    The group of a number is the same number. That of a name is in the image; it is "" here.
    """
    user, _, group = str(service["user"]).partition(":")
    return user, group or (user if user.isdecimal() else "")


def in_namespace(service: Service) -> bool:
    """Return whether a service's containers have a user namespace."""
    return bool(service.get("userns")) or needs_namespace(service)


def needs_namespace(service: Service) -> bool:
    """Return whether the user or group of a service would be one of the host's own, or is known to the image only."""
    return any(not (name.isdecimal() and LEAST <= int(name) < NOBODY) for name in user_and_group(service))


def first_id(service: Service) -> int:
    """Return the host's ID of root in a service's user namespace; 0 without one.

    It follows from a service's name alone, so both slots have the same, and files that they share keep their owner. A
    service that uses another one's volumes has the IDs of that service (`ids_of`): the files are of the same user.
    Two services may have equal ones by chance: then they are apart no more than those without a user namespace.
    """
    if not in_namespace(service):
        return 0
    number = int.from_bytes(hashlib.sha256((service.get("ids_of") or service["name"]).encode()).digest()[:8])
    return _FIRST + number % _RANGES * IDS


def host_user(service: Service) -> int | str:
    """Return the host's ID of a service's user; the name of one whose number only the image knows."""
    user, _ = user_and_group(service)
    return first_id(service) + int(user) if user.isdecimal() else user


def owner(service: Service) -> dict[str, str]:
    """Return {owner, group, mode} of a file on the host that only a service's containers can read."""
    first = first_id(service)
    user, group = user_and_group(service)
    if user.isdecimal() and group.isdecimal():
        return {"owner": str(first + int(user)), "group": str(first + int(group)), "mode": "0400"}
    return {"owner": "0", "group": str(first + READERS), "mode": "0440"}


def groups(service: Service) -> list[str]:
    """Return the groups of a service's containers besides the one that `user_and_group` returns."""
    return [] if all(name.isdecimal() for name in user_and_group(service)) else [str(READERS)]
