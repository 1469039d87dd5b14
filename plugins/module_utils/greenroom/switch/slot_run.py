# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-run: runs a command of a service on this app host, in the live slot unless another one is named.

    greenroom-run run     [OPTION ...] SERVICE ARGUMENT ...        in a new container: arguments of its entry point
    greenroom-run console [OPTION ...] SERVICE [PROGRAM ...]       the same, with a terminal
    greenroom-run exec    [--slot SLOT] SERVICE PROGRAM ...        in the container that runs
    greenroom-run slot                                             print which slot is live

Options are --slot SLOT, and for a new container --seconds SECONDS, after which Podman ends it, and --hook HOOK, which
names the container and is in its environment.

A new container is like the service's own (image, environment, files, calls, limits), but gets no requests. It is
removed when the command ends. The exit code is that of the command; 120 means that nothing ran. The journal has a line
when a command begins and when it ends.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import syslog
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.exclusive_files import exclusive
from ..common.second_container import SHOW_LIMITS, command_of_unit, known_controllers, limits, second_container
from .bluegreen import SLOTS
from .slot_live import ConfigurationError, Host, live_slot

WHAT = ("run", "console", "exec", "slot")
NOTHING_RAN = 120
SHELL = "/bin/sh"
HOOK = re.compile(r"[a-z][a-z_]*")

Ask = Callable[[Sequence[str]], tuple[int, str]]


class NothingRanError(Exception):
    """The command can't be run; the message says why."""


@dataclass(frozen=True)
class Asked:
    """What is to run: in which slot ("" for the live one), for how many seconds ("" for any), of which service.

    `hook` is "" unless it is the command of a hook.
    """

    what: str
    slot: str
    seconds: str
    service: str
    words: Sequence[str]
    hook: str = ""


def command_line(given: Asked, slot: str, description: dict[str, Any], inspect: Ask) -> list[str]:
    """Return the command of Podman that does what is asked for in a slot; raises NothingRanError."""
    service = given.service
    if service not in description.get("services", {}):
        known = ", ".join(sorted(description.get("services", {}))) or "none"
        raise NothingRanError(f"{slot} has no service {service}; it has {known}")
    own = description["services"][service]
    name = f"{service}-{slot}"
    code, out = inspect(["podman", "container", "inspect", name])
    found = json.loads(out)[0] if code == 0 else {}
    # A hook may come before its service runs.
    if not (found.get("State", {}).get("Running") or given.hook):
        raise NothingRanError(f"{name} does not run on this host; playbooks/status.yml shows where it does")
    terminal = [] if given.what == "run" else ["--interactive", *(["--tty"] if sys.stdin.isatty() else [])]
    if given.what == "exec":
        if not given.words:
            raise NothingRanError("exec needs a program, such as: greenroom-run exec portal id")
        return ["podman", "exec", *terminal, name, *given.words]
    if not given.hook and (problem := _rivals(service, own)):
        raise NothingRanError(problem)
    created = found.get("Config", {}).get("CreateCommand") or command_of_unit(inspect(["systemctl", "cat", name])[1])
    image = description.get("images", {}).get(own.get("image"), "")
    more = [*terminal, *limits(inspect([*SHOW_LIMITS, name])[1], known_controllers())]
    more += [f"--timeout={given.seconds}"] if given.seconds else []
    more += [f"--env=GREENROOM_HOOK={given.hook}"] if given.hook else []
    try:
        # A name of its own tells the firewall what it may call.
        second = second_container(created, image, f"{service}-{given.hook or given.what}", more)
    except ValueError as error:
        raise NothingRanError(f"{name}: {error}") from error
    # The container has the program of `entrypoint` as an option, but not the program's first arguments.
    first = own.get("entry_arguments", [])
    if given.what == "run":
        # Without words, the image's own command would start the service a second time.
        if not given.words:
            raise NothingRanError("run needs a command: the arguments of the image's entry point")
        return second.with_command([*first, *given.words])
    console = own.get("console")
    if given.words or not console:
        program, *arguments = given.words or [SHELL]
        return second.with_command(arguments, entrypoint=program)
    return second.with_command([*first, *console])


def _rivals(name: str, service: dict[str, Any]) -> str:
    """Return why no other process may use the files of a service, "" if it may."""
    alone = exclusive(service)
    if not alone:
        return ""
    return (
        f"{name} is a singleton: only one process may use its files ({', '.join(alone)}). `greenroom-run exec {name}` "
        "starts a program in the container that runs. If such commands may use the files while it runs, set "
        f"`commands: true` at volumes.{alone[0]} and deploy"
    )


def described(host: Host, slot: str) -> dict[str, Any]:
    """Return the description of a slot's bundle; raises NothingRanError."""
    try:
        found = json.loads((host.slots / f"{slot}.fact").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NothingRanError(f"{slot} has no bundle here: {error}") from error
    return found if isinstance(found, dict) else {}


def _inspect(command: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.returncode, done.stdout


def _call(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False).returncode


def asked(words: Sequence[str]) -> Asked:
    """Return what the words ask for; raises NothingRanError."""
    what, *rest = words or [""]
    options = {"--slot": "", "--seconds": "", "--hook": ""}
    while rest and rest[0] in options:
        options[rest[0]], rest = "".join(rest[1:2]), rest[2:]
    slot, seconds, hook = options.values()
    service, *more = rest or [""]
    wrong = (slot and slot not in SLOTS) or (seconds and not seconds.isdecimal()) or (hook and not HOOK.fullmatch(hook))
    if what not in WHAT or wrong or bool(service) == (what == "slot"):
        raise NothingRanError(
            "usage: greenroom-run run|console|exec [--slot blue|green] [--seconds SECONDS] [--hook HOOK] SERVICE "
            "[WORD ...], or: greenroom-run slot"
        )
    return Asked(what, slot, seconds, service, more, hook)


def main(
    configuration: str,
    words: Sequence[str],
    inspect: Ask = _inspect,
    call: Callable[[Sequence[str]], int] = _call,
    record: Callable[[str], object] = syslog.syslog,
) -> int:
    """Carry out what the words ask for; returns the exit code."""
    try:
        given = asked(words)
        host = Host.from_file(configuration)
        slot = given.slot or live_slot(host)
        if not slot:
            why = "no edge host answers" if slot is None else "no slot is live yet"
            raise NothingRanError(f"{why}; name a slot with --slot")
        if given.what == "slot":
            print(slot)
            return 0
        command = command_line(given, slot, described(host, slot), inspect)
    except (ConfigurationError, NothingRanError) as error:
        print(f"nothing ran: {error}", file=sys.stderr)
        return NOTHING_RAN
    what = f"{given.what} {given.service} in {slot}: {shlex.join(given.words) or 'console'}"
    record(f"{what}; by {os.environ.get('SUDO_USER', 'root')}")
    code = call(command)
    record(f"{what}; ended with exit code {code}")
    return code
