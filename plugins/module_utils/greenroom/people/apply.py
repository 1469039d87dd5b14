# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Creates, updates and removes identities in Ory Kratos until they are as a recipe says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .change import Changes, Creation
from .client import Identity, RefusedError, ServerError, UnansweredError, said
from .identities import CURRENT, EXTRA, OUTDATED, addresses_of, proven_key
from .invent.inventor import Inventor
from .ledger import Ledger, Row
from .ownership import Seal
from .passwords import with_password
from .progress import Progress
from .recipe.recipe import MARK, Recipe
from .server import Server

BATCH = 500
"""Users that one request creates."""
LARGE = 1000
"""Users that one request creates on a server that limits the number of requests. Kratos accepts 2000."""
SINGLES = 4
"""How many requests for a single user are sent in parallel, for each batch that would be: they are mostly waiting."""
RENEWED = 125
"""Users that a thread removes and then creates again."""
FEW = 20
"""Users that a thread updates or removes between two looks at the clock; also the length of lists of problems."""
NOTED = 2.0
"""Seconds between two notes about the progress."""
QUICK = 5.0
"""Seconds that a request may take: on a slow server, it creates fewer users, so that progress can be reported."""


class Work:
    """Creates, updates and removes users until the ledger has no more work."""

    def __init__(
        self,
        server: Server,
        recipe: Recipe,
        ledger: Ledger,
        progress: Progress,
        *,
        connections: int,
        seal: Seal,
        inventor: Inventor | None = None,
        hash_of: Callable[[str], str] = lambda key: "",
        renew: bool = False,
        note: Callable[[Mapping[str, float]], None] = lambda told: None,
    ) -> None:
        """Without an `inventor`, no user is created or updated. `hash_of` returns a user's password hash.

        If the server hashes passwords itself, `hash_of` returns the password. `connections` is how many batches are
        sent in parallel. With `renew`, outdated users are removed and created again. `note` gets the progress.
        """
        self._server = server
        self._recipe = recipe
        self._ledger = ledger
        self._seal = seal
        self._inventor = inventor
        self._hash_of = hash_of
        self._connections = connections
        self._batches = threading.Semaphore(connections)
        creation = Creation(
            self._body, self._send_changed, self._conflict, self._problem, self._updated, self._count_removed
        )
        changes = Changes(server, recipe, ledger, seal, creation)
        # What to do with users of a status, and with how many at once.
        self._jobs = {
            EXTRA: (changes.remove, FEW),
            OUTDATED: (changes.renew, RENEWED) if renew else (changes.update, FEW),
        }
        # The keys of users that are created again.
        self._renewed: set[str] = set()
        self.progress = progress
        self._lock = threading.RLock()
        self._failure: Exception | None = None
        self._note = note
        self._noted = 0.0
        # Users per second on one connection.
        self._pace = progress.rate / connections

    @property
    def _batch(self) -> int:
        """How many users the next request creates. A few users are divided among the connections."""
        size = LARGE if self.progress.limited else BATCH
        if self._pace:
            size = min(size, max(FEW, int(self._pace * QUICK)))
        return max(1, min(size, -(-self.progress.todo // self._connections)))

    def go(self, seconds: float, statuses: Sequence[str], create: bool) -> bool:
        """Remove or update users of these statuses and create users, for so long; return whether all is done."""
        started, before = time.monotonic(), self.progress.seconds
        stop = started + seconds
        threads_wanted = self._connections * (SINGLES if statuses else 1)
        finished = [False] * threads_wanted

        def run(number: int) -> None:
            try:
                while self._failure is None:
                    job = self._next(statuses, create and number < self._connections)
                    if job is None:
                        finished[number] = True
                        return
                    job()
                    with self._lock:
                        self.progress.seconds = before + time.monotonic() - started
                        self._tell()
                    if time.monotonic() >= stop:
                        return
            except Exception as error:
                self._failure = error

        threads = [threading.Thread(target=run, args=(number,)) for number in range(threads_wanted)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        over = all(finished) and self._failure is None
        if over:
            self._resolve_unclear()
        self.progress.seconds = before + time.monotonic() - started
        if self._failure is not None:
            raise self._failure
        return over

    def _tell(self) -> None:
        """Note the progress, now and then."""
        if time.monotonic() - self._noted >= NOTED:
            self._noted = time.monotonic()
            self._note(self.progress.told)

    def _next(self, statuses: Sequence[str], create: bool) -> Callable[[], None] | None:
        """Take the next piece of work."""
        with self._lock:
            for status in statuses:
                job, size = self._jobs[status]
                rows = self._ledger.after(status, self.progress.behind.get(status, ""), size)
                if rows:
                    self.progress.behind[status] = rows[-1].id
                    return partial(job, rows)
            keys = self._ledger.take_missing(self._batch) if create else []
            return partial(self._create, keys) if keys else None

    # --- results ---

    def _record_created(self, ids: Mapping[str, str], now: bool = True) -> None:
        """Record the users that were created, {key: id}; without `now`, some time ago."""
        with self._lock:
            self._record(ids, self._server.now() if now else 0)
            renewed = self._renewed & ids.keys()
            self._renewed -= renewed
            self.progress.updated += len(renewed)
            self.progress.created += len(ids) - len(renewed)

    def _updated(self, key: str, identity: str) -> None:
        """Record a user that was updated."""
        with self._lock:
            self._record({key: identity}, self._server.now())
            self.progress.updated += 1

    def _count_removed(self) -> None:
        with self._lock:
            self.progress.removed += 1

    def _record(self, ids: Mapping[str, str], stamp: float) -> None:
        self._ledger.put(Row(each, self._recipe.seed, key, CURRENT, True, stamp) for key, each in ids.items())

    def _conflict(self, key: str) -> None:
        with self._lock:
            self.progress.conflicts.append(self._recipe.address(key))

    def _problem(self, key: str, reason: str) -> None:
        with self._lock:
            self.progress.refused += 1
            if len(self.progress.problems) < FEW:
                self.progress.problems.append(f"user {key}: {reason}")
            if (
                self.progress.refused >= FEW
                and not self.progress.created + self.progress.updated + self.progress.removed
            ):
                raise ServerError(f"{self._server.url} refuses every user: {'; '.join(self.progress.problems[:3])}")

    # --- creating ---

    def _generator(self) -> Inventor:
        if self._inventor is None:
            raise ServerError("users can't be created or updated without a generator")
        return self._inventor

    def _body(self, key: str) -> dict[str, Any]:
        secret = self._hash_of(key) if self._recipe.has_password(key) else ""
        if self._server.tells_passwords:
            body = self._seal.sealed(self._generator().identity(key, secret))
        else:
            # A mark with a digest of the password would promise that a change is noticed.
            body = self._seal.sealed(self._generator().identity(key))
            body = with_password(body, secret, self._server.imports_hashes)
        if self._server.knows_external_id:
            body["external_id"] = self._external_id(key)
        return body

    def _external_id(self, key: str) -> str:
        return f"{MARK}-{self._recipe.local_part(key)}"

    def _create(self, keys: Sequence[str]) -> None:
        self._send({key: self._body(key) for key in keys})

    def _send(self, bodies: dict[str, dict[str, Any]]) -> None:
        """Create users. If a request gets no response, look up whether it was carried out before trying again."""
        pauses = self._server.pauses(self._server.url)
        while bodies:
            try:
                answers = self._create_batch(list(bodies.values()))
            except RefusedError as error:
                return self._send_halves(bodies, error)
            except UnansweredError as error:
                self.progress.limited |= error.too_many
                pauses.wait(error)
                # A batch is one transaction, so one of its users tells whether all of them are there.
                if error.perhaps_done and self._existing_id(next(iter(bodies))):
                    return self._leave_unclear(bodies)
            else:
                bodies = self._record_batch(bodies, answers)
        return None

    def _create_batch(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        with self._batches:
            started = time.monotonic()
            answers = self._server.create(bodies)
            self._pace = len(bodies) / max(time.monotonic() - started, 0.001)
            return answers

    def _send_changed(self, bodies: dict[str, dict[str, Any]], were_there: bool) -> None:
        """Create users that had to be changed; if they `were_there`, they count as updated."""
        if were_there:
            with self._lock:
                self._renewed |= bodies.keys()
        self._send(bodies)

    def _send_halves(self, bodies: dict[str, dict[str, Any]], error: RefusedError) -> None:
        """Send a refused batch again in halves, to find the users that the server refuses."""
        keys = list(bodies)
        if error.status in (401, 403):
            raise error
        if len(keys) == 1:
            return self._problem(keys[0], error.reason)
        middle = len(keys) // 2
        self._send({key: bodies[key] for key in keys[:middle]})
        return self._send({key: bodies[key] for key in keys[middle:]})

    def _record_batch(
        self, bodies: Mapping[str, dict[str, Any]], answers: Sequence[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Record the result for each user of a batch; return the users to send again.

        If Kratos 1.3 refuses one user because of a conflict, it creates none, but reports the others as created.
        """
        made, others = {}, []
        for key, answer in zip(bodies, answers, strict=True):
            if answer.get("action") == "create" and answer.get("identity"):
                made[key] = str(answer["identity"])
            else:
                others.append((key, answer.get("error") or {}))
        ids = list(made.values())
        there = {each["id"] for page in self._server.by_id(ids) for each in page} if others else set(ids)
        self._record_created({key: each for key, each in made.items() if each in there})
        conflicts = [key for key, error in others if error.get("code") == 409]
        if len(conflicts) > FEW:
            self._leave_unclear(conflicts)
        for key, error in others:
            if error.get("code") != 409:
                self._create_alone(key, bodies[key], said(error))
            elif len(conflicts) <= FEW:
                self._resolve_conflict(key)
        return {key: bodies[key] for key, each in made.items() if each not in there}

    def _create_alone(self, key: str, body: Mapping[str, Any], reason: str) -> None:
        """Create one refused user alone, because only then does the server give a useful reason; only the first few."""
        if len(self.progress.problems) >= FEW:
            return self._problem(key, reason)
        try:
            # If the response to a try is lost, the next one finds a conflict with the user itself.
            self._record_created({key: str(self._server.repeated(lambda: self._server.create_one(body))["id"])})
        except RefusedError as error:
            if error.status == 409:
                return self._resolve_conflict(key)
            self._problem(key, error.reason)
        return None

    def _resolve_conflict(self, key: str) -> None:
        """Find out which identity has the address of a user that the server says exists."""
        found = self._holders(key)
        mine = self._id_among(key, found)
        if mine:
            self._record_created({key: mine}, now=False)
        elif found:
            self._conflict(key)
        else:
            self._leave_unclear([key])

    def _leave_unclear(self, keys: Iterable[str]) -> None:
        """Leave it to one listing at the end, which costs a busy server less than a request for each user."""
        with self._lock:
            self.progress.unclear += keys

    def _holders(self, key: str) -> list[Identity]:
        if self._server.knows_external_id and (found := self._server.by_external_id(self._external_id(key))):
            return found
        return self._server.who_logs_in_as(self._generator().login(key))

    def _existing_id(self, key: str) -> str:
        """Return the id of a user that exists already, or an empty string."""
        return self._id_among(key, self._holders(key))

    def _id_among(self, key: str, found: Iterable[Identity]) -> str:
        for identity in found:
            if proven_key(self._recipe, self._seal, identity) == key:
                return str(identity["id"])
        return ""

    def _resolve_unclear(self) -> None:
        """Find the unclear users in a listing of all identities, and send those that are not there once more."""
        left = self._not_listed()
        for start in range(0, len(left), BATCH):
            self._send({key: self._body(key) for key in left[start : start + BATCH]})
        for key in self._not_listed():
            self._problem(key, "Kratos says that this identity exists, but doesn't list it")

    def _not_listed(self) -> list[str]:
        """Record which unclear users a listing shows, created or as conflicts; return the others."""
        unclear, self.progress.unclear = dict.fromkeys(self.progress.unclear), []
        for page in self._server.everybody(self._connections) if unclear else ():
            for identity in page:
                mine = proven_key(self._recipe, self._seal, identity)
                for key in [mine] if mine else dict(addresses_of(self._recipe, identity)):
                    if key not in unclear:
                        continue
                    del unclear[key]
                    if mine:
                        self._record_created({key: str(identity["id"])}, now=False)
                    else:
                        self._conflict(key)
        return list(unclear)
