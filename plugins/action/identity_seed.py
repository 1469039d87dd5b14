# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The controller's part of identity_seed: hashes the password, sends the generator and prints the progress."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.controller.common import opened
from ansible.module_utils.greenroom.controller.people import hashing
from ansible.module_utils.greenroom.people import ownership, users
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

INTERVALS = (10.0, 20.0, 30.0)
"""Seconds of work in the first calls of the module, after which it reports progress. The last value repeats."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls the module on the host until all is done. A run without changes is one call."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, repeatedly if needed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        opened.require(self._task)
        arguments = dict(self._task.args)
        password = str(arguments.pop("password", None) or "")
        key = str(arguments.pop("password_key", None) or "")
        given: dict[str, Any] = {"_signing_keys": _signing_keys(arguments)}
        cost = 0
        if arguments.get("state", "present") != "absent":
            cost = _cost(password, key, arguments.get("cost", 12))
            given["_password_mark"] = _mark(password, key, str(arguments.get("set")))
            given["_generator"] = {"version": users.generator_version()}
        found = self._call(task_vars, arguments, given)
        if "hashes" in found.get("todo", {}) and not found.get("failed"):
            given["_same_passwords"] = _same(found["todo"]["hashes"], password, key, str(arguments.get("set")))
            found = self._call(task_vars, arguments, given)
        if "schema" in found.get("todo", {}) and not found.get("failed"):
            try:
                recipe = users.Recipe.of(found["todo"]["recipe"])
                # Test the recipe here first, so that an error comes before anything is sent or changed.
                users.Inventor(recipe, found["todo"]["schema"], found["todo"]["schemas"])
                if not self._task.check_mode:
                    given["_generator"].update(self._bring(recipe, found["todo"]["archives"]))
            except users.UsersError as error:
                return {**result, "failed": True, "msg": str(error)}
            if not self._task.check_mode:
                if key:
                    given["password_key"] = key
                else:
                    given["_password_hash"] = hashing.hash_password(password, cost, str(arguments.get("set")))
                found = self._call(task_vars, arguments, given)
        found.pop("todo", None)
        result.update(found)
        return result

    def _call(self, task_vars: Any, arguments: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Call the module until it is done or needs something that it doesn't have."""
        operation = given.setdefault(
            "_operation", {"token": secrets.token_hex(8), "holder": _holder(), "started": time.monotonic(), "calls": 0}
        )
        limit = float(arguments.get("deadline", 14400))
        while True:
            seconds = INTERVALS[min(operation["calls"], len(INTERVALS) - 1)]
            left = limit - (time.monotonic() - operation["started"])
            found: dict[str, Any] = self._execute_module(
                module_args={
                    **arguments,
                    **given,
                    "deadline": max(left, 1.0),
                    "_operation": {"token": operation["token"], "holder": operation["holder"], "seconds": seconds},
                },
                task_vars=task_vars,
            )
            given.get("_generator", {}).pop("path", None)
            progress = found.get("todo", {}).get("progress")
            if found.get("failed") or progress is None:
                return found
            operation["calls"] += 1
            text = _progress_line(progress, str(arguments.get("set")))
            Display().display(text)
            if time.monotonic() - operation["started"] >= limit:
                return {"failed": True, "msg": f"not done within {limit:.0f} s: {text}; run it again to continue"}

    def _bring(self, recipe: users.Recipe, there: list[str]) -> dict[str, str]:
        """Send the generator to the host unless it is there. Return its name, and its path if it is new."""
        locales = [*recipe.locales, *(persona.locale for persona in recipe.personas if persona.locale)]
        archive = Path(users.generator_archive(constants.DEFAULT_LOCAL_TMP, locales))
        if archive.name in there:
            return {"name": archive.name}
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        remote = shell.join_path(shell.tmpdir, archive.name)
        self._transfer_file(str(archive), remote)
        self._fixup_perms2((shell.tmpdir, remote))
        return {"name": archive.name, "path": remote}


def _cost(password: str, key: str, cost: Any) -> int:
    """Return the cost of a hash. Reject unusable passwords before any request."""
    if password and key:
        raise AnsibleActionFail("set either password or password_key, not both")
    try:
        if key:
            users.person_password(key, "", "", "")
        else:
            hashing.validate(password, int(cost))
        return int(cost)
    except ValueError as error:
        raise AnsibleActionFail(str(error)) from error


def _mark(password: str, key: str, user_set: str) -> str:
    """Return a fingerprint of the password for the recipe. It is slow to compute, which prevents guessing."""
    raw = hashlib.scrypt((key or password).encode(), salt=f"greenroom {user_set}".encode(), n=2**14, r=8, p=1)
    return f"{'derived' if key else 'shared'} {raw.hex()[:16]}"


def _signing_keys(arguments: dict[str, Any]) -> dict[str, str]:
    """Return the key of each set whose marks the module checks. The key that they derive from stays here."""
    secret, environment = str(arguments.pop("signing_key", None) or ""), arguments.pop("environment", None)
    if not secret:
        return {}
    if len(secret.encode()) < 16:
        raise AnsibleActionFail("signing_key must have at least 16 bytes")
    if not environment:
        raise AnsibleActionFail("signing_key needs environment, the name of the environment that the users belong to")
    adopted = arguments.get("adopt") or []
    names = [arguments.get("set"), *(adopted.split(",") if isinstance(adopted, str) else adopted)]
    return {str(name): ownership.signing_key(secret, str(environment), str(name)) for name in names}


def _same(hashes: dict[str, list[str]], password: str, key: str, user_set: str) -> list[str]:
    """Return the IDs of the users whose changed hash is one of their password: Kratos or the user hashed it again."""

    def fits(item: list[str]) -> bool:
        seed, person, hashed = item
        return hashing.matches(users.person_password(key, user_set, seed, person) if key else password, hashed)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [each for each, fit in zip(hashes, pool.map(fits, hashes.values()), strict=True) if fit]


def _holder() -> str:
    return f"{getpass.getuser()} on {socket.gethostname()}, process {os.getpid()}"


def _progress_line(progress: dict[str, Any], user_set: str) -> str:
    """Return one line about the progress."""
    done, todo, rate = progress["done"], progress["todo"], progress["rate"]
    text = f"{user_set}: {done} of {todo}, {rate:.0f}/s"
    return f"{text}, {_duration((todo - done) / rate)} left" if rate else text


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
