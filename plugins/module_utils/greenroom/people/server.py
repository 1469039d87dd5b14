# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What seeding needs of an identity server, whichever program it is.

Identities have the shape that they have in Ory Kratos: `id`, `state`, `traits`, `verifiable_addresses`, `credentials`,
`metadata_admin` with the mark. A server that keeps them otherwise translates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..common import web
from .client import OPEN, Access, Client, Identity, ServerError
from .recipe.recipe import Recipe


class Server(Client, ABC):
    """A server with the admin API `url`, for several threads.

    `timeout` is the seconds for one request, `deadline` ends all of them.
    """

    name: ClassVar[str]
    """The program's name, for messages."""
    imports_hashes: ClassVar[bool] = True
    """Whether the server takes passwords as hashes. Otherwise, it gets the passwords themselves."""
    tells_passwords: ClassVar[bool] = True
    """Whether listings tell when a password was changed. Otherwise, nobody notices a password changed by hand."""
    updates_at_once: ClassVar[bool] = True
    """Whether an update also says which addresses are verified."""
    lacks: ClassVar[Mapping[str, str]] = {}
    """What a persona can't have on this server, by key of the persona, each with the reason."""

    def __init__(
        self, url: str, timeout: float, deadline: web.Deadline, public_url: str | None = None, access: Access = OPEN
    ) -> None:
        super().__init__(url, timeout, deadline, access)
        self.public_url = (public_url or url).rstrip("/")
        self.version = ""

    def repeated[T](self, change: Callable[[], T]) -> T:
        """Carry out a change that may be repeated until there is a response; raises ServerError after the timeout."""
        return self.retried(self.url, change)

    def refuse(self, recipe: Recipe) -> None:
        """Raise ServerError if the recipe has a persona that this server can't have."""
        for persona in recipe.personas:
            for key, reason in self.lacks.items():
                if getattr(persona, key):
                    raise ServerError(f"persona {persona.name}: {key}: {reason}")

    # --- reading ---

    @abstractmethod
    def ask_version(self) -> None:
        """Read the server's version; raises ServerError if it is another program."""

    @abstractmethod
    def schema(self, schema_id: str) -> dict[str, Any]:
        """Return an identity schema, which has the traits in `properties.traits` like one of Kratos."""

    @property
    def knows_external_id(self) -> bool:
        """Whether identities have the field `external_id`."""
        return False

    @abstractmethod
    def total(self) -> int | None:
        """Return the number of identities, None if the server does not report it."""

    @abstractmethod
    def everybody(self, connections: int) -> Iterator[list[Identity]]:
        """Yield all identities, in pages, in no order."""

    @abstractmethod
    def starting_with(self, prefix: str) -> Iterator[list[Identity]]:
        """Yield the identities whose login name begins with `prefix`, in pages."""

    @abstractmethod
    def by_id(self, ids: Sequence[str], kinds: Sequence[str] = ()) -> Iterator[list[Identity]]:
        """Yield the existing identities with these ids, with the content of these kinds of credentials, in pages."""

    @abstractmethod
    def who_logs_in_as(self, name: str) -> list[Identity]:
        """Return the identity with exactly this login name, if there is one."""

    def by_external_id(self, external_id: str) -> list[Identity]:
        """Return the identity with this external id, if there is one."""
        return []

    # --- changing (one try each: the caller decides whether to try again) ---

    @abstractmethod
    def create(self, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create identities in one request; return the result of each, in order: `action`, `identity`, `error`.

        Raises RefusedError if the server refused the request as a whole, UnansweredError if the result is unknown.
        """

    @abstractmethod
    def create_one(self, body: Mapping[str, Any]) -> Identity:
        """Create one identity. Raises RefusedError with the server's reason."""

    @abstractmethod
    def update(self, identity: str, body: Mapping[str, Any]) -> Identity:
        """Replace the content of an identity, which keeps its ID; return it as it is now."""

    def patch(self, identity: str, operations: Sequence[Mapping[str, Any]]) -> Identity:
        """Change parts of an identity (JSON patch), on a server that does not update all of it at once."""
        raise NotImplementedError(self.name)

    def remove_credential(self, identity: str, kind: str, **which: str) -> None:
        """Remove a second factor or an account at a sign-in provider, on a server that lists them."""
        raise NotImplementedError(self.name)

    @abstractmethod
    def delete(self, identity: str) -> None:
        """Remove an identity, if it exists."""
