# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The controller's part of identity_seed: hashes the password, sends the generator and prints the progress."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.greenroom.controller.common import opened, secret_file
from ansible.module_utils.greenroom.controller.people import admin_access, hashing
from ansible.module_utils.greenroom.people import ledger, ownership, users
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

SECONDS = 30.0
"""Seconds of work in one call of the module. A killed run goes on for so long on the host."""
INTERVAL = 10.0
"""Seconds between two lines about the progress."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls the module on the host until all is done. A run without changes is one call."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, repeatedly if needed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        opened.require(self._task)
        arguments = dict(self._task.args)
        check = self._task.check_mode
        password, key = _text(arguments, "password"), _text(arguments, "password_key")
        given: dict[str, Any] = {}
        secret = {**_signing_keys(arguments), **admin_access.secrets_in(arguments)}
        if arguments.get("state", "present") != "absent":
            cost = _cost(password, key, arguments.get("cost", 12))
            with ThreadPoolExecutor() as pool:
                # A run without changes doesn't need the hash, but one more call would take longer than the hash.
                hashed = None if check else pool.submit(_passwords, password, key, cost, arguments)
                given["_password_mark"] = _mark(password, key, arguments)
                given["_generator"] = {"version": users.generator_version(), "digest": users.generator_digest()}
            secret |= hashed.result() if hashed else {}
        found = self._call(task_vars, arguments, given, secret)
        if "salts" in found.get("todo", {}) and not found.get("failed"):
            given["_compared"] = True
            secret["expected"] = _expected(found["todo"]["salts"], password, key, str(arguments.get("set")))
            found = self._call(task_vars, arguments, given, secret)
        if "schema" in found.get("todo", {}) and not found.get("failed"):
            # The host has no generator yet, or may not use it in check mode: it leaves files.
            try:
                recipe = users.Recipe.of(found["todo"]["recipe"])
                # Test the recipe here first, so that an error comes before anything is sent.
                users.Inventor(recipe, found["todo"]["schema"], found["todo"]["schemas"])
                if not check:
                    given["_generator"]["path"] = self._bring(recipe)
            except users.UsersError as error:
                return {**result, "failed": True, "msg": str(error)}
            if not check:
                found = self._call(task_vars, arguments, given, secret)
        found.pop("todo", None)
        result.update(found)
        return result

    def _call(
        self, task_vars: Any, arguments: dict[str, Any], given: dict[str, Any], secret: dict[str, str]
    ) -> dict[str, Any]:
        """Call the module until it is done or needs something that it doesn't have. `secret` goes in a file."""
        operation = given.setdefault(
            "_operation",
            {"token": secrets.token_hex(8), "holder": _holder(), "seconds": SECONDS, "started": time.monotonic()},
        )
        call = {key: operation[key] for key in ("token", "holder", "seconds")}
        limit, user_set = float(arguments.get("deadline", 14400)), str(arguments.get("set"))
        while True:
            left = limit - (time.monotonic() - operation["started"])
            options = {**arguments, **given, "deadline": max(left, 1.0), "_operation": call}
            with self._telling(user_set, arguments):
                found: dict[str, Any] = secret_file.execute(self, options, secret, task_vars, _has_started)
            given.get("_generator", {}).pop("path", None)
            progress = found.get("todo", {}).get("progress")
            if found.get("failed") or progress is None:
                return found
            text = _progress_line(progress, user_set)
            Display().display(text)
            if time.monotonic() - operation["started"] >= limit:
                return {"failed": True, "msg": f"not done within {limit:.0f} s: {text}; run it again to continue"}

    @contextmanager
    def _telling(self, user_set: str, arguments: dict[str, Any]) -> Iterator[None]:
        """Show in intervals how far the module is, as long as the block takes."""
        over, started = threading.Event(), time.monotonic()

        def tell() -> None:
            while not over.wait(INTERVAL):
                progress = self._progress(str(arguments.get("ledger") or ""), user_set)
                waited = _duration(time.monotonic() - started)
                Display().display(
                    _progress_line(progress, user_set) if progress else f"{user_set}: no news for {waited}"
                )

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            # The next call must not start while this thread uses the connection.
            thread.join()

    def _progress(self, path: str, user_set: str) -> dict[str, Any]:
        """Return what a running call has noted on the host, next to the ledger at `path`; empty if there is nothing."""
        try:
            file = self._remote_expand_user(ledger.progress_file(ledger.path_of(path, user_set)))
            found: dict[str, Any] = json.loads(self._low_level_execute_command(f"cat {shlex.quote(file)}")["stdout"])
        except (ValueError, AnsibleError):
            return {}
        return found

    def _bring(self, recipe: users.Recipe) -> str:
        """Send the generator to the host; return its path there."""
        archive = Path(users.generator_archive(constants.DEFAULT_LOCAL_TMP, recipe.every_locale))
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        remote = shell.join_path(shell.tmpdir, archive.name)
        self._transfer_file(str(archive), remote)
        self._fixup_perms2((shell.tmpdir, remote))
        return str(remote)


def _has_started(found: dict[str, Any]) -> bool:
    """Return whether a result is one of the module itself."""
    return "requests" in found or "todo" in found


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


def _text(arguments: dict[str, Any], name: str) -> str:
    """Take a secret from the arguments. Reject what isn't text, because YAML may have read another value."""
    value = arguments.pop(name, None)
    if value is not None and not isinstance(value, str):
        raise AnsibleActionFail(f"{name} must be text, not a list, mapping, number or boolean; write it in quotes")
    return value or ""


def _passwords(password: str, key: str, cost: int, arguments: dict[str, Any]) -> dict[str, str]:
    """Return what the module needs to know of the passwords, and no more."""
    if key:
        return {"set_key": users.set_key(key, str(arguments.get("set")), str(arguments.get("seed", "1")))}
    server = arguments.get("server", "kratos")
    if arguments.get("hashes") == "each" or server == "scim":
        return {"password": password}
    if server == "keycloak":
        return {"hash": users.pbkdf2_hash(password)}
    return {"hash": hashing.hash_password(password, cost)}


def _mark(password: str, key: str, arguments: dict[str, Any]) -> str:
    """Return a fingerprint of the password for the recipe. It is slow to compute, which prevents guessing."""
    salt = f"greenroom {arguments.get('set')}".encode()
    raw = hashlib.scrypt((key or password).encode(), salt=salt, n=2**14, r=8, p=1)
    return f"{'derived by set' if key else arguments.get('hashes', 'shared')} {raw.hex()[:16]}"


def _signing_keys(arguments: dict[str, Any]) -> dict[str, str]:
    """Return the keys of the sets whose marks the module checks. The key that they derive from stays here."""
    secret, environment = _text(arguments, "signing_key"), arguments.pop("environment", None)
    if not secret:
        return {}
    if len(secret.encode()) < 16:
        raise AnsibleActionFail("signing_key must have at least 16 bytes")
    if not environment:
        raise AnsibleActionFail("signing_key needs environment, the name of the environment that the users belong to")
    adopted = arguments.get("adopt") or []
    names = [arguments.get("set"), *(adopted.split(",") if isinstance(adopted, str) else adopted)]
    keys = {str(name): ownership.signing_key(secret, str(environment), str(name)) for name in names}
    return {"signing_keys": json.dumps(keys)}


def _expected(salts: dict[str, list[str]], password: str, key: str, user_set: str) -> str:
    """Return hashes of users' passwords by ID, with the salts of their changed hashes, as JSON.

    If Kratos or the user has hashed the same password again, that is the changed hash, which stays on the host.
    """

    def hashed(item: list[str]) -> str:
        seed, person, salt = item
        given = users.person_password(key, user_set, seed, person) if key else password
        return str(hashing.with_salt(given, salt))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return json.dumps(dict(zip(salts, pool.map(hashed, salts.values()), strict=True)))


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
