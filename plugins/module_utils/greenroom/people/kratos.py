# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The part of Ory Kratos' admin API that seeding needs."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

from ..common import web
from .client import (
    Identity,
    RefusedError,
    ServerError,
    UnansweredError,
    content,
    origin,
    reason,
)
from .server import Server

PAGE = 2000
"""Identities in one page of a listing of all: PostgreSQL needs half as long as for two pages of half the size."""
SIMILAR_PAGE = 4000
"""Identities in one page of those with similar addresses: Kratos repeats the whole join for each page."""
IDS = 100
"""Identities requested by id at once: servers refuse longer URLs."""
WITHOUT_SECRETS = "code_recovery"
"""A listing with this kind of credential has the names and times of all credentials, and the content of none."""

_EVERYBODY = {"page_size": PAGE, "include_credential": WITHOUT_SECRETS}
EXTERNAL_IDS = (25, 4)
"""The first version of Kratos whose identities have the field `external_id`."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class Kratos(Server):
    """Ory Kratos."""

    name = "Ory Kratos"
    updates_at_once = False

    def _admin(self, method: str, path: str, data: Any = None) -> web.Answer:
        return self.ask(method, f"{self.url}/admin/{path}", data)

    def _read(self, path: str) -> web.Answer:
        """Return the response to a reading request."""
        return self.retried(self.url, lambda: self._admin("GET", path))

    # --- version and schemas ---

    def ask_version(self) -> None:
        """Read the server's version; raises ServerError if it is not Kratos."""
        answer = self._read("version")
        found = content(answer)
        if answer.status != 200 or not isinstance(found, dict) or not isinstance(found.get("version"), str):
            hint = "; set headers or a client certificate" if answer.status in (401, 403) else ""
            raise ServerError(
                f"{self.url} does not respond like the admin API of Ory Kratos: "
                f"status {answer.status}: {reason(answer)}{hint}"
            )
        self.version = str(found["version"])

    def schema(self, schema_id: str) -> dict[str, Any]:
        """Return an identity schema, from the public API: the admin API redirects there."""
        known, url = [], f"{self.public_url}/schemas?page_size=250"
        hint = "" if self.public_url != self.url else "; set public_url to the URL of Kratos' public API"
        for _ in range(100):
            try:
                answer = self.retried(url, lambda address=url: self.ask("GET", address))  # type: ignore[misc]
            except ServerError as error:
                raise ServerError(f"the identity schemas can't be read: {error}{hint}") from error
            if answer.status in (301, 302, 303, 307, 308):
                url = urljoin(url, answer.header("Location") or "")
                continue
            found = content(answer)
            if answer.status != 200 or not isinstance(found, list):
                text = f"status {answer.status}: {reason(answer)}"
                raise ServerError(f"{origin(url)} does not return identity schemas like Ory Kratos: {text}{hint}")
            for each in found:
                if each.get("id") == schema_id and isinstance(each.get("schema"), dict):
                    return dict(each["schema"])
                known.append(str(each.get("id")))
            token = _next_token(answer)
            if not token:
                break
            url = f"{self.public_url}/schemas?{urlencode({'page_size': 250, 'page_token': token})}"
        raise ServerError(f"Kratos has no identity schema '{schema_id}'; it has {', '.join(known) or 'none'}")

    @property
    def knows_external_id(self) -> bool:
        """Whether identities have the field `external_id`."""
        found = _VERSION.match(self.version)
        return found is not None and (int(found[1]), int(found[2])) >= EXTERNAL_IDS

    # --- listings ---

    def total(self) -> int | None:
        """Return the number of identities, None if the server does not report it."""
        answer = self._read("identities?page=0&per_page=1")
        text = answer.header("X-Total-Count") or ""
        return int(text) if answer.status == 200 and text.isdecimal() else None

    def starting_with(self, prefix: str) -> Iterator[list[Identity]]:
        """Yield the identities whose login name begins with `prefix`, in pages."""
        query, token = {"preview_credentials_identifier_similar": prefix, "page_size": SIMILAR_PAGE}, ""
        while True:
            found, token = self._page(query, token)
            yield found
            if not token:
                return

    def by_id(self, ids: Sequence[str], kinds: Sequence[str] = (WITHOUT_SECRETS,)) -> Iterator[list[Identity]]:
        """Yield the existing identities with these ids, with the content of these kinds of credentials, in pages."""
        for start in range(0, len(ids), IDS):
            query = {"ids": ids[start : start + IDS], "page_size": IDS, "include_credential": kinds}
            yield self._page(query, "")[0]

    def who_logs_in_as(self, name: str) -> list[Identity]:
        """Return the identity with exactly this login name, if there is one."""
        return self._page({"credentials_identifier": name, "page_size": 2}, "")[0]

    def by_external_id(self, external_id: str) -> list[Identity]:
        """Return the identity with this external id, if there is one."""
        found = self._one(f"by/external/{quote(external_id, safe='')}")
        return [found] if found else []

    def _one(self, path: str) -> Identity:
        """Return the identity at a path below `identities`, empty if there is none."""
        answer = self._read(f"identities/{path}")
        found = content(answer)
        return found if answer.status == 200 and isinstance(found, dict) else {}

    def everybody(self, connections: int) -> Iterator[list[Identity]]:
        """Yield all identities, in pages, in no order.

        If the page tokens are plain ids, the range of ids is divided between `connections`.
        """
        found, token = self._page(_EVERYBODY, "")
        yield found
        if not token:
            return
        starts = [token]
        if _UUID.match(token) and connections > 1:
            step = 2**128 // connections
            cuts = [f"{step * number:032x}" for number in range(1, connections)]
            ids = [f"{cut[:8]}-{cut[8:12]}-{cut[12:16]}-{cut[16:20]}-{cut[20:]}" for cut in cuts]
            starts += [each for each in ids if each > token]
        yield from _side_by_side(
            [
                lambda start=start, end=end: self._range(start, end)  # type: ignore[misc]
                for start, end in zip(starts, [*starts[1:], ""], strict=True)
            ]
        )

    def _range(self, token: str, end: str) -> Iterator[list[Identity]]:
        """Yield the pages after a page token, up to the id `end`."""
        while token:
            found, token = self._page(_EVERYBODY, token)
            if end and found and found[-1]["id"] > end:
                found, token = [each for each in found if each["id"] <= end], ""
            yield found

    def _page(self, query: Mapping[str, Any], token: str) -> tuple[list[Identity], str]:
        """Return one page of a listing, and the token of the next page, empty at the end."""
        path = f"identities?{urlencode({**query, **({'page_token': token} if token else {})}, doseq=True)}"
        answer = self._read(path)
        found = content(answer)
        if answer.status != 200 or not isinstance(found, list):
            raise ServerError(
                f"{self.url} does not list identities like Ory Kratos: status {answer.status}: {reason(answer)}"
            )
        return found, _next_token(answer)

    # --- changes (one try each: the caller decides whether to try again) ---

    def create(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create identities in one request; return the result of each, in order: `action`, `identity`, `error`.

        Raises RefusedError if the server refused the request as a whole, UnansweredError if the result is unknown.
        """
        answer = self._admin("PATCH", "identities", {"identities": [{"create": each} for each in bodies]})
        if answer.status == 409:
            # With a single identity, the request as a whole fails.
            return [{"action": "error", "error": {"code": 409, "reason": reason(answer)}} for _ in bodies]
        found = content(answer)
        if answer.status != 200:
            raise RefusedError(self.url, answer.status, reason(answer))
        if not isinstance(found, dict) or len(found.get("identities") or []) != len(bodies):
            raise UnansweredError(f"{self.url}: not a response of Ory Kratos: {reason(answer)}")
        return list(found["identities"])

    def create_one(self, body: Mapping[str, Any]) -> Identity:
        """Create one identity; unlike for a batch, the server gives the reason of a refusal."""
        return self._identity(self._admin("POST", "identities", body), 201)

    def update(self, identity: str, body: Mapping[str, Any]) -> Identity:
        """Replace the content of an identity. It keeps its id, and its credentials unless `body` has some."""
        return self._identity(self._admin("PUT", f"identities/{identity}", body), 200)

    def patch(self, identity: str, operations: Sequence[Mapping[str, Any]]) -> Identity:
        """Change parts of an identity (JSON patch)."""
        return self._identity(self._admin("PATCH", f"identities/{identity}", operations), 200)

    def delete(self, identity: str) -> None:
        """Remove an identity, if it exists."""
        self.remove(f"identities/{identity}")

    def link(self, identity: Identity, accounts: Mapping[str, str]) -> None:
        """Link an identity to accounts at sign-in providers, {provider: subject}; those that it has stay."""
        kept = ("schema_id", "state", "traits", "metadata_public", "metadata_admin")
        providers = [{"provider": provider, "subject": subject} for provider, subject in accounts.items()]
        body = {key: identity[key] for key in kept if identity.get(key) is not None}
        self.update(identity["id"], {**body, "credentials": {"oidc": {"config": {"providers": providers}}}})

    def remove(self, path: str, **query: str) -> None:
        """Remove what is at a path of the admin API, if it exists."""
        answer = self._admin("DELETE", f"{path}?{urlencode(query)}" if query else path)
        if answer.status not in (204, 404):
            raise RefusedError(self.url, answer.status, reason(answer))

    def remove_credential(self, identity: str, kind: str, **which: str) -> None:
        """Remove a second factor, or the account at a sign-in provider with this `identifier`."""
        self.remove(f"identities/{identity}/credentials/{kind}", **which)

    def recovery_code(self, identity: str) -> dict[str, Any]:
        """Return a code for account recovery, and a link with the flow in which it is valid."""
        answer = self._admin("POST", "recovery/code", {"identity_id": identity})
        found = content(answer)
        if answer.status not in (200, 201) or not isinstance(found, dict):
            raise RefusedError(
                self.url,
                answer.status,
                f"{reason(answer)}; second factors need account recovery with codes (selfservice.flows.recovery)",
            )
        return found

    def _identity(self, answer: web.Answer, status: int) -> Identity:
        found = content(answer)
        if answer.status != status:
            raise RefusedError(self.url, answer.status, reason(answer))
        if not isinstance(found, dict) or not isinstance(found.get("id"), str):
            raise UnansweredError(f"{self.url}: not a response of Ory Kratos: {reason(answer)}")
        return found


def _next_token(answer: web.Answer) -> str:
    for link, relation in re.findall(r'<([^>]+)>\s*;\s*rel="(\w+)"', answer.header("Link") or ""):
        if relation == "next":
            return str(parse_qs(urlsplit(link).query).get("page_token", [""])[0])
    return ""


def _side_by_side[T](sources: Sequence[Callable[[], Iterator[T]]]) -> Iterator[T]:
    """Yield the items of several iterators, each in its own thread, at most one item ahead per thread."""
    items: queue.Queue[tuple[str, Any]] = queue.Queue(len(sources))
    over = threading.Event()

    def put(kind: str, item: Any) -> None:
        while not over.is_set():
            try:
                return items.put((kind, item), timeout=0.2)
            except queue.Full:
                continue

    def run(source: Callable[[], Iterator[T]]) -> None:
        try:
            for item in source():
                put("item", item)
                if over.is_set():
                    return
            put("end", None)
        except Exception as error:
            put("error", error)

    for source in sources:
        threading.Thread(target=run, args=(source,), daemon=True).start()
    left = len(sources)
    try:
        while left:
            kind, item = items.get()
            if kind == "error":
                raise item
            if kind == "end":
                left -= 1
            else:
                yield item
    finally:
        over.set()
