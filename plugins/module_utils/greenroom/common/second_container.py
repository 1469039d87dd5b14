# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The command of a second container like one that runs: the same image, files, environment and limits.

Nobody sends requests to it: it has no published ports, and no alias in the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .container_mac import mac_address

# Options of a container that another one can't have, too: its name, its way to requests, its place below systemd.
WITH_VALUE = {"--name", "--cidfile", "--publish", "-p", "--network-alias", "--sdnotify", "--cgroups"}
# Its place in the network, too: the firewall knows the second container by an address of its own.
WITH_VALUE |= {"--mac-address"}
# The output goes to the caller, not to the journal of the service.
WITH_VALUE |= {"--log-driver", "--log-opt"}
WITHOUT_VALUE = {"--replace", "--rm", "--detach", "-d"}
ENTRYPOINT = "--entrypoint"


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
