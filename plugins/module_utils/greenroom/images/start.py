# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Start what a running container runs a second time, without traffic, to see whether it still starts.

The second container comes from the first one's own command, so it has the same image, files and environment. It has no
published ports and no alias in the network, so nobody sends requests to it. It is always removed; if this process is
killed, Podman ends and removes it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..common.masking import Mask
from ..common.second_container import SHOW_LIMITS, known_controllers, limits, second_container
from ..common.web import Deadline
from ..health.check import HealthCheck

Run = Callable[[list[str]], tuple[int, str, str]]

# Exit codes of Podman itself: it could not run the program.
PODMAN_FAILED = {125, 126, 127}
# Where hosts keep the volumes of services (role volumes).
VOLUMES = "/var/lib/greenroom/volumes/"
POLL_SECONDS = 0.5
STOP_SECONDS = 5
# Seconds after which Podman ends the container if this process was killed.
SPARE_SECONDS = 60
SAID_CHARACTERS = 200
# The file of a bundle with a service's secrets (the role bundle).
SECRETS = "secrets"


class UntriedError(Exception):
    """The container can't be tried; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A running container: its name, its image as its command names it, and its health check, with the port inside.

    `seconds` is how long it may take to become ready.
    """

    name: str
    image: str
    check: HealthCheck
    seconds: int


@dataclass(frozen=True)
class Outcome:
    """Whether the container of this name would start again, None if that can't be told, and the reason if not."""

    name: str
    starts: bool | None
    reason: str = ""


def trial_name(name: str) -> str:
    """Return the name of the second container for the container `name`."""
    return f"{name}-trial"


def trial_command(command: Sequence[str], image: str, name: str, limit: int, more: Sequence[str] = ()) -> list[str]:
    """Return the command that runs the same as `command` (`podman run …`) in the container `name`, in the foreground.

    Podman ends the container after `limit` seconds; `more` are more options. Raises UntriedError if `command` doesn't
    run `image`.
    """
    try:
        second = second_container(command, image, name, [f"--timeout={limit}", *more])
    except ValueError as error:
        raise UntriedError(str(error)) from error
    return replace(second, options=[_scratch(word) for word in second.options]).whole()


def _scratch(word: str) -> str:
    """Return the mount of a volume as one whose changes are dropped: the first container writes to the files.

    `word` is any word of the command.
    """
    option, equals, value = word.rpartition("=")
    source, *rest = value.split(":")
    if not source.startswith(VOLUMES) or not rest:
        return word
    return f"{option}{equals}{source}:{rest[0]}:O"


def secrets_of(command: Sequence[str]) -> Iterator[str]:
    """Yield the secrets in a container's environment files: values, parts of lists, and passwords in URLs."""
    for word in command:
        path = Path(word.removeprefix("--env-file="))
        if path.is_absolute() and path.name == SECRETS:
            for line in path.read_text(encoding="utf-8").split("\n"):
                value = line.partition("=")[2]
                yield from (value, *value.split(","))
                with contextlib.suppress(ValueError):
                    yield from (unquote(urlsplit(value).password or ""), urlsplit(value).password or "")


def last_words(output: str) -> str:
    """Return the last line of a program's output, or its `message` if the line is a JSON object with one."""
    line = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, Mapping) and found.get("message"):
            line = str(found["message"])
    return line if len(line) <= SAID_CHARACTERS else f"{line[: SAID_CHARACTERS - 1]}…"


class Trials:
    """Trial starts on this host. `run` takes a command and returns (code, stdout, stderr)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def start(self, subject: Subject) -> Outcome:
        """Start what a container runs once more, and return whether it became ready."""
        name = trial_name(subject.name)
        try:
            command = self._command(subject, name)
            self._remove(name)
            with tempfile.TemporaryFile() as output:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )
                try:
                    why = self._watch(process, subject, name)
                finally:
                    self._remove(name)
                    _reap(process)
                output.seek(0)
                said = last_words(output.read().decode(errors="replace"))
            reason = Mask(secrets_of(command)).clean(": ".join(filter(None, (why, said)))) if why else ""
        except (UntriedError, OSError) as error:
            return Outcome(subject.name, None, str(error))
        if process.returncode in PODMAN_FAILED and why:
            return Outcome(subject.name, None, reason)
        return Outcome(subject.name, not why, reason)

    def _command(self, subject: Subject, name: str) -> list[str]:
        found = self._inspect(subject.name)
        if not found.get("State", {}).get("Running"):
            raise UntriedError("it is not running")
        created = found.get("Config", {}).get("CreateCommand") or []
        _code, shown, _error = self._run([*SHOW_LIMITS, subject.name])
        more = limits(shown, known_controllers())
        return trial_command(created, subject.image, name, subject.seconds + SPARE_SECONDS, more)

    def _watch(self, process: subprocess.Popen[bytes], subject: Subject, name: str) -> str:
        """Wait until the program is ready, has ended, or had its time; return why it is not ready, or ""."""
        deadline = Deadline(subject.seconds)
        last = "no address yet"
        while deadline.left() > 0:
            if process.poll() is not None:
                return f"ended with exit code {process.returncode}"
            if address := self._address(name):
                unmet = subject.check.unmet(address, name, deadline)
                if not unmet:
                    return ""
                # If the deadline interrupted this try, the one before says more.
                if deadline.left() > 0:
                    last = ": ".join(filter(None, unmet))
            time.sleep(min(POLL_SECONDS, deadline.left()))
        return f"not ready within {subject.seconds} s ({last})"

    def _address(self, name: str) -> str:
        networks = self._inspect(name).get("NetworkSettings", {}).get("Networks") or {}
        return next((str(found["IPAddress"]) for found in networks.values() if found.get("IPAddress")), "")

    def _inspect(self, name: str) -> dict[str, Any]:
        """Return what Podman says about a container; nothing if there is none."""
        code, out, _ = self._run(["podman", "container", "inspect", name])
        found: dict[str, Any] = json.loads(out)[0] if code == 0 else {}
        return found

    def _remove(self, name: str) -> None:
        self._run(["podman", "rm", "--force", "--ignore", f"--time={STOP_SECONDS}", name])


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for Podman, whose container is gone."""
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
