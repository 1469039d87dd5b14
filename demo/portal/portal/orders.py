"""Orders in PostgreSQL, each with the job to send its receipt."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, Row, create_engine, delete, insert, select, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from .settings import Settings
from .tables import SEED_SET, SYNTHETIC, addresses, jobs, receipts
from .tables import orders as table

PRICES = {"Gaffer tape": 1290, "Work light": 3900, "Headset": 14900, "Fog fluid": 2450}
"""Items, and their prices in cents."""
ITEMS = tuple(PRICES)
SHOWN = 20
RECEIPTS = "receipts"
"""The queue of the jobs."""
OPEN = "placed"
"""The state of an order that isn't in progress yet, so its owner can cancel it."""


class NotReadyError(Exception):
    """The database can't be used; the message says why, without addresses or credentials."""


def connect(settings: Settings) -> Engine:
    """Return an engine with a small pool, with a timeout for every wait."""
    return create_engine(
        settings.database_url,
        pool_size=4,
        max_overflow=2,
        pool_timeout=3,
        pool_recycle=300,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            "tcp_user_timeout": 3000,
            "application_name": f"portal-{settings.slot}",
            "options": "-c statement_timeout=5000",
        },
    )


class Orders:
    """Reads and writes orders. A version without notes doesn't use that column, which may not exist yet."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.head = settings.schema_head
        self.notes = settings.order_notes
        self.receipts = settings.options.features.receipts
        self.synthetic = settings.options.synthetic
        self.columns = [column for column in table.c if column.name != "note" or self.notes]

    def ready(self) -> None:
        """Raise NotReadyError unless the database is reachable and has at least the migrations of this version."""
        found = self.schema()
        if found is None or found < self.head:
            raise NotReadyError(f"migrated to {found or 'nothing'}, needs {self.head}")

    def schema(self) -> str | None:
        """Return the newest migration of the database, None without any; raise NotReadyError if it is unreachable."""
        try:
            with self.engine.connect() as connection:
                found: str | None = connection.scalar(text("SELECT max(version_num) FROM alembic_version"))
        except ProgrammingError:
            return None
        except SQLAlchemyError as error:
            raise NotReadyError(f"unreachable ({type(error).__name__})") from None
        return found

    def of(self, owner: str) -> Sequence[Row[tuple[object, ...]]]:
        """Return an owner's newest orders."""
        query = select(*self.columns).where(table.c.owner == owner).order_by(table.c.created_at.desc()).limit(SHOWN)
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def create(self, owner: str, email: str, item: str, quantity: int, note: str) -> uuid.UUID:
        """Write an order and, in the same transaction, the job to send its receipt; return the order's ID."""
        identifier = uuid.uuid4()
        values: dict[str, object] = {
            "id": identifier,
            "owner": owner,
            "item": item,
            "quantity": quantity,
            "total_cents": PRICES[item] * quantity,
            "state": OPEN,
            "created_at": datetime.now(UTC),
        }
        if self.notes:
            values["note"] = note or None
        synthetic = bool(self.synthetic.domain) and email.lower().endswith(f"@{self.synthetic.domain}")
        if synthetic:
            values[SEED_SET] = SYNTHETIC
        with self.engine.begin() as connection:
            if synthetic:
                _delete(connection, self._expired() & (table.c.owner == owner))
            connection.execute(insert(table).values(values))
            if self.receipts:
                body = {"order": str(identifier), "to": email, "item": item, "quantity": quantity}
                body["total_cents"] = values["total_cents"]
                job = {"id": identifier, "queue": RECEIPTS, "body": body, "created_at": values["created_at"]}
                connection.execute(insert(jobs).values(job))
        return identifier

    def cancel(self, owner: str, identifier: uuid.UUID) -> bool:
        """Delete an owner's open order; return False if there is none with this ID."""
        mine = (table.c.id == identifier) & (table.c.owner == owner) & (table.c.state == OPEN)
        with self.engine.begin() as connection:
            result = connection.execute(delete(table).where(mine))
        return result.rowcount > 0

    def forget(self, owner: str) -> None:
        """Delete all orders of an owner, with their jobs and receipts, and the owner's addresses."""
        with self.engine.begin() as connection:
            _delete(connection, table.c.owner == owner)
            connection.execute(delete(addresses).where(addresses.c.owner == owner))

    def expire(self) -> int:
        """Delete the expired orders of synthetic users, also of those that no longer exist; return their number.

        While a synthetic user orders, its own are deleted with each order, so few are left here.
        """
        with self.engine.begin() as connection:
            return _delete(connection, self._expired())

    def _expired(self) -> ColumnElement[bool]:
        limit = datetime.now(UTC) - timedelta(days=self.synthetic.order_days)
        return (table.c[SEED_SET] == SYNTHETIC) & (table.c.created_at < limit)


def _delete(connection: Connection, which: ColumnElement[bool]) -> int:
    """Delete orders with their jobs and receipts; return their number."""
    found = select(table.c.id).where(which)
    connection.execute(delete(jobs).where(jobs.c.id.in_(found)))
    connection.execute(delete(receipts).where(receipts.c.order_id.in_(found)))
    return connection.execute(delete(table).where(which)).rowcount
