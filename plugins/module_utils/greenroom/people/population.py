# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One call of identity_seed on a host: compare, work for a limited time, then report the progress."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..common import web
from . import ledger, users
from .apply import Work
from .client import OPEN, Access, ServerError, origin
from .compare import Found, Look, Owner
from .credentials import Credentials
from .identities import CURRENT, EXTRA, OUTDATED, logs_in_by_address
from .kratos import Kratos
from .ledger import Ledger
from .other_sets import other_sets
from .ownership import Seal
from .people_file import NAMED, write_conflicts, write_progress, write_users
from .problems import in_order, problems
from .progress import Progress
from .removals import RemovalError, Removals
from .server import Server
from .set_lock import alone

ERRORS = (ServerError, RemovalError, ledger.LedgerError, users.UsersError)
"""Errors that the operator gets as a message of one line."""


@dataclass(frozen=True)
class Order:
    """The parameters of one call.

    `token` identifies the operation that the call starts or continues, `holder` is who runs it. `seconds` limits the
    work of this call, `deadline` the whole operation (seconds from now). `archive` is the generator's name in the
    folder `generators`; if it isn't there, a call that needs the generator only compares. `leftovers` are prefixes of
    addresses that only smoke checks use. `removals` limits what `exact` removes. `owner` tells whose users count;
    `compares` whether the controller can compare changed hashes with the password. With `renew`, `exact` creates
    outdated users again instead of updating them.
    """

    recipe: users.Recipe
    state: str
    url: str
    public_url: str | None
    timeout: float
    deadline: float
    connections: int
    ledger: str
    people_file: str
    generators: str
    access: Access = OPEN
    kind: type[Server] = Kratos
    leftovers: tuple[str, ...] = ()
    removals: Removals = field(default_factory=Removals)
    token: str = ""
    holder: str = ""
    seconds: float = 15
    archive: str = ""
    owner: Owner | None = None
    compares: bool = False
    renew: bool = False
    hash_of: Callable[[str], str] = field(default=lambda key: "", repr=False)

    @property
    def has_generator(self) -> bool:
        """Whether this host has the generator."""
        return bool(self.archive) and Path(self.generators, self.archive).exists()

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that `state` removes or updates."""
        return {"present": (), "exact": (EXTRA, OUTDATED), "absent": (EXTRA,)}[self.state]


def run(order: Order, check: bool) -> dict[str, Any]:
    """Return the module's result. If it has `todo`, call again with what `todo` asks for."""
    try:
        return _run(order, check)
    except sqlite3.Error as error:
        raise ledger.LedgerError(f"{order.ledger}: {error}") from error


def _run(order: Order, check: bool) -> dict[str, Any]:
    server = order.kind(order.url, order.timeout, web.Deadline(order.deadline), order.public_url, order.access)
    if order.state != "absent":
        server.refuse(order.recipe)
    if check:
        book = Ledger(order.ledger, write=False)
        try:
            return _Call(order, server, book).predict()
        finally:
            book.close()
    with alone(f"{order.ledger}.lock", order.token, order.holder) as end:
        book = Ledger(order.ledger)
        try:
            result = _Call(order, server, book).go_on()
        finally:
            book.close()
        if "todo" not in result:
            end()
            if not result["present"] + result["extra"]:
                ledger.forget(order.ledger)
        return result


class _Call:
    """One call, with the server and the ledger."""

    def __init__(self, order: Order, server: Server, book: Ledger) -> None:
        self.order = order
        self.recipe = order.recipe
        self.owner = order.owner or Owner(Seal(order.recipe.set))
        self.server = server
        self.book = book
        # Other servers refuse what is set up here (`Server.lacks`).
        self.credentials = Credentials(server, self.recipe, book, order.state) if isinstance(server, Kratos) else None
        self.schemas: dict[str, dict[str, Any]] = {}

    # --- comparing ---

    def _look(self) -> tuple[Look, Found]:
        self.server.ask_version()
        fingerprints, searchable = None, True
        if self.order.state != "absent":
            schema, others = self._schemas()
            fingerprints = self.recipe.fingerprints(schema, others)
            searchable = all(logs_in_by_address(each) for each in (schema, *others.values()))
        look = Look(self.recipe, fingerprints, self.book, self.owner, self.order.leftovers)
        return look, look.at(self.server, self.order.connections, searchable)

    def _schemas(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return the set's identity schema, and those of personas with another one, by id."""
        if not self.schemas:
            self.schemas = {each: self.server.schema(each) for each in self.recipe.schema_ids}
        others = dict(self.schemas)
        return others.pop(self.recipe.schema_id), others

    def _wanted(self) -> dict[str, Any]:
        """Return what the controller needs to send the generator."""
        schema, others = self._schemas()
        return {
            "recipe": self.recipe.plain(),
            "schema": schema,
            "schemas": others,
        }

    def _invents(self, found: Found) -> int:
        """Return the number of users that need the generator."""
        return found.missing + (found.outdated if self.order.state == "exact" else 0)

    def predict(self) -> dict[str, Any]:
        """Return what a run would do, without changes."""
        _look, found = self._look()
        if found.salts and self.order.compares:
            return {"todo": {"salts": found.salts}}
        self._refuse(found)
        statuses = self.order.statuses
        progress = _progress_of(found)
        progress.created = found.missing
        progress.updated = found.outdated if OUTDATED in statuses else 0
        progress.removed = found.extra if EXTRA in statuses else 0
        if self.credentials:
            progress.equipped = self.credentials.planned(found.conflicts, self.order.renew)
        changed, digest = write_users(self.book, self.recipe, self.order.people_file, write=False)
        result = self._result(progress, changed, digest)
        # The ledger still has the counts from before the run.
        result["present"] += progress.created
        result["outdated"] -= progress.updated
        result["extra"] -= progress.removed
        if text := problems(progress, self.order.ledger, written=False):
            result.update(failed=True, msg=text)
        if self._invents(found):
            result["todo"] = self._wanted()
        return result

    def _refuse(self, found: Found) -> None:
        """Raise RemovalError if the run would remove more users than it may."""
        refusal = self.order.removals.refusal(found, self.recipe.set) if self.order.state == "exact" else ""
        if refusal:
            raise RemovalError(refusal)

    # --- working ---

    def go_on(self) -> dict[str, Any]:
        """Compare, or continue where the operation's last call stopped, and work for a limited time."""
        order, kept = self.order, self.book.operation(self.order.token)
        if kept is None:
            look, found = self._look()
            if found.salts and self.order.compares:
                return {"todo": {"salts": found.salts}}
            self._refuse(found)
            progress = _progress_of(found)
            counts = {CURRENT: found.current, OUTDATED: found.outdated, EXTRA: found.extra}
            work = found.missing + sum(counts[status] for status in order.statuses)
            # Conflicts count as done, from the start.
            progress.todo = work and work + len(found.conflicts)
            self.book.begin(look.missing() if order.state != "absent" else [])
            kept = {"invents": self._invents(found), "version": self.server.version}
        else:
            progress = Progress(**kept["progress"])
            self.server.version = kept["version"]
            # The operation's earlier calls had responses.
            self.server.answered |= {origin(self.server.url), origin(self.server.public_url)}
        if kept["invents"] and not order.has_generator:
            self._keep(kept, progress)
            return {"todo": self._wanted()}
        if progress.todo:
            try:
                over = self._work(progress, bool(kept["invents"]))
            except ServerError as error:
                return self._stopped(progress, str(error))
            if not over:
                self._keep(kept, progress)
                return {"todo": {"progress": progress.told}}
        try:
            if self.credentials:
                self.credentials.set_up(progress)
        except ServerError as error:
            return self._stopped(progress, str(error))
        return self._finish(progress)

    def _work(self, progress: Progress, invents: bool) -> bool:
        order, inventor, started = self.order, None, time.monotonic()
        noted = ledger.progress_file(order.ledger)
        if invents:
            users.use_generator(Path(order.generators, order.archive))
            inventor = users.Inventor(self.recipe, *self._schemas(), beside=lambda: other_sets(order.ledger))
        progress.seconds += time.monotonic() - started
        work = Work(
            self.server,
            self.recipe,
            self.book,
            progress,
            connections=order.connections,
            seal=self.owner.seal,
            inventor=inventor,
            hash_of=order.hash_of,
            renew=order.renew,
            note=partial(write_progress, noted),
        )
        try:
            return work.go(min(order.seconds, order.deadline), order.statuses, create=invents)
        finally:
            ledger.forget(noted)

    def _keep(self, kept: Mapping[str, Any], progress: Progress) -> None:
        self.book.keep(self.order.token, {**kept, "progress": asdict(progress)})

    def _finish(self, progress: Progress) -> dict[str, Any]:
        self.book.end()
        changed, digest = write_users(self.book, self.recipe, self.order.people_file, write=True)
        result = self._result(progress, changed, digest)
        write_conflicts(self.order.ledger, [*progress.conflicts, *progress.unproven])
        if text := problems(progress, self.order.ledger, written=True):
            result.update(failed=True, msg=text)
        return result

    def _stopped(self, progress: Progress, reason: str) -> dict[str, Any]:
        """Return the result of an operation that failed because of the server."""
        self.book.end()
        result = self._result(progress, False, "")
        done = progress.created + progress.updated + progress.removed
        told = f" ({done} of {progress.todo} users are done; run it again to continue)" if done else ""
        return {**result, "failed": True, "msg": f"{reason}{told}"}

    # --- reporting ---

    def _result(self, progress: Progress, file_changed: bool, digest: str) -> dict[str, Any]:
        changes = progress.created + progress.updated + progress.removed + progress.equipped
        outdated = self.book.count(OUTDATED)
        return {
            "changed": bool(changes or progress.news or file_changed),
            "created": progress.created,
            "updated": progress.updated,
            "removed": progress.removed,
            "credentials": progress.equipped,
            "present": self.book.count(CURRENT) + outdated,
            "outdated": outdated,
            "extra": self.book.count(EXTRA),
            "drifted": progress.drifted,
            "other_sets": progress.others,
            "conflicts": sorted([*progress.conflicts, *progress.unproven])[:NAMED],
            "problems": in_order(progress.problems),
            "first": self.recipe.address(1),
            "requests": self.server.requests,
            "server": f"{self.server.name} {self.server.version} at {self.server.url}",
            "rate": round(progress.rate, 1),
            "seconds": round(progress.seconds, 1),
            "memory": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "people_file": self.order.people_file,
            "people_hash": digest,
        }


def _progress_of(found: Found) -> Progress:
    """Return the progress of an operation that has only compared."""
    return Progress(
        drifted=found.drifted,
        conflicts=found.conflicts,
        unproven=found.unproven,
        others=found.others,
        news=found.news,
    )


def diff_of(result: dict[str, Any], user_set: str) -> dict[str, str]:
    """Return the numbers of users before and after, as a diff."""
    after = result["present"] + result["extra"]
    before = after - result["created"] + result["removed"]
    updated = f", {result['updated']} of them updated" if result["updated"] else ""
    return {
        "before": f"{before} users in the set {user_set}\n",
        "after": f"{after} users in the set {user_set}{updated}\n",
    }


def install(path: str, folder: str, name: str) -> None:
    """Move a transferred generator to its folder. Raises LedgerError."""
    target = Path(folder, os.path.basename(name))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, temporary)
        temporary.chmod(0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise ledger.LedgerError(f"{target}: {error.strerror}") from error
