# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""How a client is told where its server is and how to log in: as a URL of any scheme, as keywords, or in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

# The parts that a secret can be, instead of the whole.
PARTS = ("host", "port", "user", "password", "name", "ca", "prefix")
# Forms that are no scheme of a URL: Java's, whose login is in the query, and libpq's `host=… dbname=…`.
JDBC = "jdbc"
KEYWORDS = "keywords"


@dataclass(frozen=True)
class Connection:
    """A login at a server; `name` is the database or the virtual host, `ca` the file of the CA to verify it with.

    `prefix` is that of the login's keys in a cache.
    """

    host: str
    port: int
    user: str
    password: str
    name: str
    ca: str
    prefix: str = ""

    def part(self, part: str) -> str:
        """Return one of PARTS."""
        return str(getattr(self, part))


def database_text(connection: Connection, form: str | None = None, options: Mapping[str, object] | None = None) -> str:
    """Return what a client of a database reads; `form` is JDBC, KEYWORDS or the scheme of a URL.

    `options` replace those of libpq, with which clients verify the server's certificate.
    """
    told: Mapping[str, object] = (
        {"sslmode": "verify-full", "sslrootcert": connection.ca} if options is None else options
    )
    host, name = connection.host, connection.name
    if form == KEYWORDS:
        words = {"host": host, "port": connection.port, "dbname": name, "user": connection.user}
        return " ".join(
            f"{key}={_quoted(value)}" for key, value in {**words, "password": connection.password, **told}.items()
        )
    place = f"{f'[{host}]' if ':' in host else host}:{connection.port}/{quote(name, safe='')}"
    if form == JDBC:
        query = {"user": connection.user, "password": connection.password, **told}
        return f"jdbc:postgresql://{place}?{_query(query)}"
    login = f"{quote(connection.user, safe='')}:{quote(connection.password, safe='')}"
    return f"{form or 'postgres'}://{login}@{place}" + (f"?{_query(told)}" if told else "")


def cache_text(connection: Connection, options: Mapping[str, object] | None = None) -> str:
    """Return the URL of a cache. There are no options that all clients know, so there are none unless given."""
    login = f"{quote(connection.user, safe='')}:{quote(connection.password, safe='')}"
    place = f"{connection.host}:{connection.port}/{connection.name}"
    return f"rediss://{login}@{place}" + (f"?{_query(options)}" if options else "")


def _query(options: Mapping[str, object]) -> str:
    return urlencode({key: str(value) for key, value in options.items()}, safe="/", quote_via=quote)


def _quoted(value: object) -> str:
    """Return a value as libpq reads it among keywords."""
    text = str(value)
    plain = text and not any(letter in " '\\" for letter in text)
    return text if plain else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
