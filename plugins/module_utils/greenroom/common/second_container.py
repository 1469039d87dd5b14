# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The command of a second container like one that runs: the same image, files, environment and limits.

Nobody sends requests to it: it has no published ports, and no alias in the network.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .container_mac import mac_address

# Options of a container that another one can't have, too: its name, its way to requests, its place below systemd.
WITH_VALUE = {"--name", "--cidfile", "--publish", "-p", "--network-alias", "--sdnotify", "--cgroups"}
# Its place in the network, too: the firewall knows the second container by an address of its own.
WITH_VALUE |= {"--mac-address"}
# The output goes to the caller, not to the journal of the service.
WITH_VALUE |= {"--log-driver", "--log-opt"}
WITHOUT_VALUE = {"--replace", "--rm", "--detach", "-d"}
ENTRYPOINT = "--entrypoint"
# The limits of a service are those of its unit, which the second container is not in.
SHOW_LIMITS = ["systemctl", "show", "--property=MemoryMax", "--property=CPUQuotaPerSecUSec"]
# What the kernel can limit. Podman fails with a limit for which there is nothing.
CONTROLLERS = Path("/sys/fs/cgroup/cgroup.controllers")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}


@dataclass(frozen=True)
class Second:
    """The parts of the command: `podman run`, options, the image, and the arguments of its entry point."""

    start: list[str]
    options: list[str]
    image: str
    arguments: list[str]

    def whole(self) -> list[str]:
        """Return the command that runs the same as the first container."""
        return [*self.start, *self.options, self.image, *self.arguments]

    def with_command(self, arguments: Sequence[str], entrypoint: str = "") -> list[str]:
        """Return the command that runs other arguments, with another entry point if one is given."""
        options = [*_without(self.options, {ENTRYPOINT}), f"{ENTRYPOINT}={entrypoint}"] if entrypoint else self.options
        return [*self.start, *options, self.image, *arguments]


def second_container(command: Sequence[str], image: str, name: str, more: Sequence[str] = ()) -> Second:
    """Return the command of the container `name`, in the foreground, from that of a container (`podman run …`).

    `more` are more options. Raises ValueError if `command` doesn't run `image`.
    """
    if "run" not in command or image not in command:
        raise ValueError(f"the container was not created from {image}")
    start, end = command.index("run") + 1, command.index(image)
    options = command[start:end]
    own = ["--rm", f"--name={name}", "--log-driver=none", *more]
    # Containers of earlier versions of Greenroom have no such address.
    own += [f"--mac-address={mac_address(name)}" for word in options if word.startswith("--mac-address")]
    shared = [word for word in _without(options, WITH_VALUE) if word not in WITHOUT_VALUE]
    return Second(list(command[:start]), [*own, *shared], image, list(command[end + 1 :]))


def _without(options: Sequence[str], with_value: set[str]) -> Iterator[str]:
    """Yield the options except these. Values follow their option, or `=`."""
    rest = iter(options)
    for word in rest:
        option, equals, _ = word.partition("=")
        if option in with_value:
            if not equals:
                next(rest, None)
        else:
            yield word


def limits(shown: str, controllers: str) -> list[str]:
    """Return Podman's options for a unit's limits; `shown` is the output of SHOW_LIMITS and the unit's name.

    `controllers` is the content of CONTROLLERS, "" where there is no such file.
    """
    known = dict(line.partition("=")[::2] for line in shown.splitlines())
    memory, quota = known.get("MemoryMax", ""), known.get("CPUQuotaPerSecUSec", "")
    found = [f"--memory={memory}b"] if memory.isdecimal() and "memory" in controllers.split() else []
    # Such as 500ms, or 1min 30s.
    parts = re.findall(r"([0-9.]+)(us|ms|s|min)\b", quota)
    cpus = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return [*found, f"--cpus={cpus:g}"] if cpus and "cpu" in controllers.split() else found


def known_controllers() -> str:
    """Return the content of CONTROLLERS."""
    try:
        return CONTROLLERS.read_text(encoding="ascii")
    except OSError:
        return ""


def command_of_unit(text: str) -> list[str]:
    """Return the command that a unit of Quadlet starts, [] if there is none; `text` is the unit's file."""
    line = next((line for line in text.splitlines() if line.startswith("ExecStart=")), "")
    return [word.replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart="))]
