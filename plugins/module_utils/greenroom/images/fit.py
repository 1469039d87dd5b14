# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether an image can run as its service.yml says, from the image's own configuration."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Run = Callable[[list[str]], tuple[int, str, str]]
Users = Mapping[str, str]
"""{name: user ID:group ID} of an image's /etc/passwd, and {name: group ID} of its /etc/group."""

# What the kernel calls a machine, and what images call it.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
# Podman mounts a tmpfs there.
_OWN_TMPFS = ("/tmp", "/run", "/var/tmp", "/dev/shm")
_PASSWD_BYTES = 1 << 20


class FitError(Exception):
    """An image can't be inspected; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """What a service.yml says of its image; `mounted` are the paths with something mounted."""

    name: str
    image: str
    user: str = "1000"
    user_given: bool = False
    starts: bool = False
    ports: Sequence[int] = field(default_factory=list)
    mounted: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True)
class Names:
    """The names of users and groups that an image has."""

    users: Users = field(default_factory=dict)
    groups: Users = field(default_factory=dict)


def refusals(wanted: Wanted, image: Mapping[str, Any], names: Names, machine: str) -> Iterator[str]:
    """Yield why a container would not start at all."""
    architecture, here = str(image.get("Architecture") or ""), _MACHINES.get(machine, "")
    if architecture and here and architecture != here:
        yield f"is for {architecture}, and this host is {here}; push an image for {here}, or one for both"
    name, _, group = wanted.user.partition(":")
    if not name.isdecimal() and name not in names.users:
        yield f'has no user "{name}" in /etc/passwd; set `user` to a number'
    if group and not group.isdecimal() and group not in names.groups:
        yield f'has no group "{group}" in /etc/group; set the group in `user` to a number'
    config = image.get("Config") or {}
    if not (wanted.starts or config.get("Entrypoint") or config.get("Cmd")):
        yield "has neither an entry point nor a command; set `entrypoint` or `command`"


def notes(wanted: Wanted, image: Mapping[str, Any], names: Names) -> Iterator[str]:
    """Yield what an image wants, and its service.yml does not give: the image may do without."""
    config = image.get("Config") or {}
    user, _, group = str(config.get("User") or "root").partition(":")
    number, _, own = (user if user.isdecimal() else names.users.get(user, "0" if user == "root" else "")).partition(":")
    if not wanted.user_given and number != wanted.user:
        shown = user if number in ("", user) else f"{user} ({number})"
        # Quoted, because YAML takes 33:33 for a number.
        both = f'"{number}:{group or own}"' if (group or own) not in ("", number) else number
        yield f"wants user {shown}, and runs as {wanted.user} (`user: {both if number else user}`)"
    for path in sorted(config.get("Volumes") or {}):
        plain = path.rstrip("/")
        if not any(f"{plain}/".startswith(f"{each.rstrip('/')}/") for each in (*wanted.mounted, *_OWN_TMPFS)):
            yield f"writes to volume {path}, whose files are lost at each restart (`writable: {{{plain}: 64M}}`)"
    exposed = sorted(int(port.partition("/")[0]) for port in config.get("ExposedPorts") or {} if port.endswith("/tcp"))
    if wanted.ports and exposed and not set(exposed) & set(wanted.ports):
        yield f"exposes {', '.join(map(str, exposed))}, but no port of the service says so"


def judge(run: Run, services: Sequence[Wanted]) -> tuple[list[str], list[str]]:
    """Return what is refused and what is noted, one line for each service, with Podman's `run` of this host."""
    refused: list[str] = []
    noted: list[str] = []
    images: dict[str, tuple[Mapping[str, Any], Names]] = {}
    for wanted in services:
        if wanted.image not in images:
            image = _inspect(run, wanted.image)
            own = str((image.get("Config") or {}).get("User") or "0").partition(":")[0]
            named = [name for its in services if its.image == wanted.image for name in its.user.split(":")]
            numbers = all(name.isdecimal() for name in (*named, "0" if own == "root" else own))
            images[wanted.image] = image, Names() if numbers else _names(run, wanted.image)
        for found, lines in (
            (refused, refusals(wanted, *images[wanted.image], platform.machine())),
            (noted, notes(wanted, *images[wanted.image])),
        ):
            if line := "; ".join(lines):
                found.append(f"{wanted.name}: the image {line}")
    return refused, noted


def _inspect(run: Run, image: str) -> Mapping[str, Any]:
    code, out, error = run(["podman", "image", "inspect", image])
    if code:
        raise FitError(f"{image}: {error.strip()}")
    found: Mapping[str, Any] = json.loads(out)[0]
    return found


def _names(run: Run, image: str) -> Names:
    code, out, error = run(["podman", "image", "mount", image])
    if code:
        raise FitError(f"{image}: {error.strip()}")
    try:
        return names_of(Path(out.strip()))
    finally:
        run(["podman", "image", "unmount", image])


def names_of(root: Path) -> Names:
    """Return the users and groups of the image below `root`."""
    users = {
        each[0]: f"{each[2]}:{each[3]}" for each in _lines(root, "passwd") if len(each) >= 4 and each[2].isdecimal()
    }
    groups = {each[0]: each[2] for each in _lines(root, "group") if len(each) >= 3 and each[2].isdecimal()}
    return Names(users, groups)


def _lines(root: Path, name: str) -> list[list[str]]:
    """Return the fields of each line of a file in /etc. A symbolic link in an image may lead to the host's files."""
    options = os.O_RDONLY | os.O_NOFOLLOW
    try:
        folder = os.open(root / "etc", options | os.O_DIRECTORY)
        try:
            with open(os.open(name, options | os.O_NONBLOCK, dir_fd=folder), "rb") as file:
                text = file.read(_PASSWD_BYTES).decode(errors="replace")
        finally:
            os.close(folder)
    except OSError:
        return []
    return [line.split(":") for line in text.splitlines()]
