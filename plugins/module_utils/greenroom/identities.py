# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Synthetic people in Ory Kratos: who belongs to a set, who is missing, and how they are created and removed.

A person is known by set, seed and index; the address follows from these alone. What was made here carries a mark in
`metadata_admin`, and nothing without that mark is ever changed or removed.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from . import durable, web

MARK = "greenroom"
PAGE = 500
"""Identities in one page of a listing."""
BATCH = 500
"""Identities created by one request; Kratos 1.3.1 takes 2,000 at most."""
IDS = 100
"""Identities asked for by id in one request; a longer address is refused by servers."""
PAUSES = (0.5, 2.0)
"""Seconds before a batch that did not come through is looked into again."""
NO_MAIL = ("invalid", "test", "example", "localhost", "example.com", "example.net", "example.org")
"""Domains that never receive mail (RFC 2606, RFC 6761)."""

_SET = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")


class SeedError(Exception):
    """Seeding that was refused or did not succeed; the text says why."""


@dataclass(frozen=True)
class People:
    """A set of `count` people; the same set, seed and domain always name the same ones."""

    set: str
    seed: str
    count: int
    domain: str
    schema_id: str = "default"

    def __post_init__(self) -> None:
        """Refuse what could name a real person."""
        if not _SET.match(self.set):
            raise SeedError(f"'{self.set}' is no name for a set: at most 32 small letters, digits and dashes")
        if self.count < 0:
            raise SeedError(f"count must be 0 or more, not {self.count}")
        if not _DOMAIN.match(self.domain):
            raise SeedError(f"'{self.domain}' is not a domain in small letters")
        if not any(self.domain == safe or self.domain.endswith(f".{safe}") for safe in NO_MAIL):
            raise SeedError(
                f"'{self.domain}' could receive mail; take a name that ends with one of {', '.join(NO_MAIL)}"
            )

    @property
    def prefix(self) -> str:
        """What all addresses of the set begin with, whatever the seed; those of longer set names may, too."""
        return f"{self.set}-"

    @property
    def indexes(self) -> range:
        """The numbers of the people, from 1."""
        return range(1, self.count + 1)

    def address(self, index: int) -> str:
        """Return a person's address; unique by construction."""
        digest = hashlib.sha256(f"{self.set}\0{self.seed}\0{index}".encode()).hexdigest()
        return f"{self.set}-{index}-{digest[:8]}@{self.domain}"

    def identity(self, index: int, name: Mapping[str, str], password_hash: str) -> dict[str, Any]:
        """Return what Kratos takes for one person: `name` is {first, last}; the address counts as verified."""
        address = self.address(index)
        return {
            "schema_id": self.schema_id,
            "state": "active",
            "traits": {"email": address, "name": dict(name)},
            "verifiable_addresses": [{"value": address, "via": "email", "verified": True, "status": "completed"}],
            "credentials": {"password": {"config": {"hashed_password": password_hash}}},
            "metadata_admin": {MARK: {"set": self.set, "seed": self.seed, "index": index}},
        }


class UnansweredError(Exception):
    """A request that may have been carried out or not: no answer, or one that says to try again."""


class Kratos:
    """The admin interface of Ory Kratos at `url`; `requests` counts what it was asked."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.requests = 0

    def _ask(self, method: str, path: str, data: Any = None) -> web.Answer:
        self.requests += 1
        body = None if data is None else json.dumps(data).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            answer = web.request(
                web.Request(method, f"{self.url}{path}", headers, body), web.Network(), web.Deadline(self.timeout)
            )
        except web.WebError as error:
            raise UnansweredError(f"{self.url}: {error}") from error
        if answer.status == 429 or answer.status >= 500:
            raise UnansweredError(f"{self.url}: status {answer.status}: {_reason(answer)}")
        return answer

    def _list(self, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = {**query, "page_size": PAGE, **({"page_token": token} if token else {})}
            answer = self._ask("GET", f"/admin/identities?{urlencode(page, doseq=True)}")
            found = _json(answer)
            if answer.status != 200 or not isinstance(found, list):
                raise SeedError(f"{self.url} does not answer as Kratos does: status {answer.status}: {_reason(answer)}")
            yield from found
            token = _next_token(answer)
            if not token:
                return

    def starting_with(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the identities that log in with an address that begins with `prefix`."""
        return self._list({"preview_credentials_identifier_similar": prefix})

    def by_id(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield the identities with these ids, as far as they exist."""
        for start in range(0, len(ids), IDS):
            yield from self._list({"ids": ids[start : start + IDS]})

    def create(self, identities: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create identities in one request; returns what came of each, in order: `action`, `identity`, `error`."""
        answer = self._ask("PATCH", "/admin/identities", {"identities": [{"create": each} for each in identities]})
        found = _json(answer)
        if answer.status == 409:
            # Kratos says so for the whole when there is nothing in it that it could create.
            return [{"action": "error", "error": {"code": 409, "reason": _reason(answer)}} for _ in identities]
        if answer.status != 200 or not isinstance(found, dict) or len(found.get("identities") or []) != len(identities):
            raise SeedError(f"{self.url} refused the people: status {answer.status}: {_reason(answer)}")
        return list(found["identities"])

    def delete(self, identity: str) -> None:
        """Remove an identity; that it is gone already is fine."""
        answer = self._ask("DELETE", f"/admin/identities/{identity}")
        if answer.status not in (204, 404):
            raise SeedError(f"{self.url} did not remove {identity}: status {answer.status}: {_reason(answer)}")


def _json(answer: web.Answer) -> Any:
    try:
        return json.loads(answer.text)
    except ValueError:
        return None


def _reason(answer: web.Answer) -> str:
    """Return what a server says of an error, on one short line."""
    data = _json(answer)
    error = data.get("error") if isinstance(data, dict) else None
    return _said(error) if isinstance(error, dict) else " ".join(answer.text.split())[:200]


def _said(error: Mapping[str, Any]) -> str:
    return str(error.get("reason") or error.get("message") or "no reason given")[:200]


def _next_token(answer: web.Answer) -> str:
    for link, relation in re.findall(r'<([^>]+)>\s*;\s*rel="(\w+)"', answer.header("Link") or ""):
        if relation == "next":
            return str(parse_qs(urlsplit(link).query).get("page_token", [""])[0])
    return ""


# --- who is there ---


@dataclass
class Found:
    """Who is there: `ours` (index to id), `extra` (ids marked as of the set and not wanted), `taken` (indexes)."""

    ours: dict[int, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)

    @property
    def ids(self) -> list[str]:
        """All identities that carry the set's mark."""
        return [*self.ours.values(), *self.extra]


def look(kratos: Kratos, people: People, ledger: Mapping[str, Any]) -> Found:
    """Find the set's people: by address and, for those who changed theirs since, by the ids in the ledger."""
    found = Found()
    addresses = {people.address(index): index for index in people.indexes}
    seen = set()
    for identity in kratos.starting_with(people.prefix):
        seen.add(identity["id"])
        _sort_in(identity, people, addresses, found)
    for identity in kratos.by_id([each for each in ledger.get("people", {}).values() if each not in seen]):
        _sort_in(identity, people, addresses, found)
    return found


def _sort_in(identity: Mapping[str, Any], people: People, addresses: Mapping[str, int], found: Found) -> None:
    metadata = identity.get("metadata_admin")
    mark = metadata.get(MARK) if isinstance(metadata, dict) else None
    if not isinstance(mark, dict) or mark.get("set") != people.set:
        found.taken |= {addresses[address] for address in _addresses_of(identity) if address in addresses}
    elif mark.get("seed") == people.seed and mark.get("index") in people.indexes and mark["index"] not in found.ours:
        found.ours[mark["index"]] = identity["id"]
    else:
        found.extra.append(identity["id"])


def _addresses_of(identity: Mapping[str, Any]) -> Iterator[str]:
    """Yield the addresses that an identity occupies."""
    for kind in ("verifiable_addresses", "recovery_addresses"):
        for each in identity.get(kind) or []:
            yield each["value"].lower()
    for credential in (identity.get("credentials") or {}).values():
        for identifier in credential.get("identifiers") or []:
            yield identifier.lower()


# --- the ledger ---


def read_ledger(path: str) -> dict[str, Any]:
    """Return what an earlier run wrote down, {} when that is nothing legible: the marks in Kratos are the truth."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from error
    return data if isinstance(data, dict) and isinstance(data.get("people"), dict) else {}


def ledger_of(people: People, found: Found) -> dict[str, Any]:
    """Return what the ledger should say: index to id; empty when there is nobody."""
    if not found.ids:
        return {}
    ids = {str(index): found.ours[index] for index in sorted(found.ours)}
    ids.update({f"extra-{number}": identity for number, identity in enumerate(sorted(found.extra), 1)})
    return {"set": people.set, "seed": people.seed, "domain": people.domain, "people": ids}


def write_ledger(path: str, ledger: Mapping[str, Any]) -> None:
    """Write the ledger down, readable for root only, or remove it when it is empty; raises SeedError."""
    try:
        if not ledger:
            durable.remove(path)
            return
        durable.write(path, (json.dumps(ledger, indent=1) + "\n").encode(), 0o600)
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from error


# --- what is to be done ---


@dataclass
class Outcome:
    """What a call found and did; `missing` lists indexes that nobody created (yet), `failed` reasons."""

    found: Found
    created: int = 0
    removed: int = 0
    missing: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def present(
    kratos: Kratos,
    people: People,
    ledger: Mapping[str, Any],
    names: Mapping[int, Mapping[str, str]] | None,
    secret: str,
) -> Outcome:
    """Create who is missing, with `names` (index to {first, last}) and a password hash; without names only look.

    What came of a batch without an answer is looked up, not guessed: it may have been carried out.
    """
    outcome = Outcome(_patiently(lambda: look(kratos, people, ledger)))
    before = set(outcome.found.ours)
    pauses = list(PAUSES)
    while True:
        outcome.missing = [
            index for index in people.indexes if index not in outcome.found.ours and index not in outcome.found.taken
        ]
        if not outcome.missing or names is None:
            break
        outcome.failed = [f"person {index}: was there just now" for index in outcome.missing if index not in names]
        unclear: list[str] = []
        wanted = [index for index in outcome.missing if index in names]
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            try:
                answers = kratos.create([people.identity(index, names[index], secret) for index in batch])
            except UnansweredError as error:
                unclear.append(str(error))
                continue
            unclear += _take_in(batch, answers, outcome)
        if not unclear:
            break
        if not pauses:
            outcome.failed += unclear
            break
        time.sleep(pauses.pop(0))
        outcome.found = _patiently(lambda: look(kratos, people, ledger))
    outcome.missing = [index for index in outcome.missing if index not in outcome.found.ours]
    outcome.created = len(set(outcome.found.ours) - before)
    return outcome


def _take_in(batch: Iterable[int], answers: Iterable[Mapping[str, Any]], outcome: Outcome) -> list[str]:
    """Note what came of each person of a batch; returns the conflicts, which may be people whom a lost batch made."""
    conflicts = []
    for index, answer in zip(batch, answers, strict=True):
        error = answer.get("error") or {}
        if answer.get("action") == "create" and answer.get("identity"):
            outcome.found.ours[index] = str(answer["identity"])
        elif error.get("code") == 409:
            conflicts.append(f"person {index}: {_said(error)}")
        else:
            outcome.failed.append(f"person {index}: {_said(error)}")
    return conflicts


def absent(kratos: Kratos, people: People, ledger: Mapping[str, Any], write: bool) -> Outcome:
    """Remove all who carry the set's mark; without `write` only count them."""
    found = _patiently(lambda: look(kratos, people, ledger))
    if write:
        for identity in found.ids:
            _patiently(partial(kratos.delete, identity))
    return Outcome(Found(), removed=len(found.ids))


def _patiently[T](ask: Callable[[], T]) -> T:
    """Do what may be repeated safely, again while it stays without an answer; raises SeedError in the end."""
    for pause in PAUSES:
        try:
            return ask()
        except UnansweredError:
            time.sleep(pause)
    try:
        return ask()
    except UnansweredError as error:
        raise SeedError(str(error)) from error
