"""Orders in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Uuid,
    create_engine,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from .settings import Settings

ITEMS = ("Gaffer tape", "Work light", "Headset", "Fog fluid")
SHOWN = 20

table = Table(
    "orders",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("owner", String, nullable=False),
    Column("item", String, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("note", String),
)


class NotReadyError(Exception):
    """The database can't be used; the message says why, without addresses or credentials."""


def connect(settings: Settings) -> Engine:
    """Return an engine with a small pool, whose waits are all bounded."""
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
    """Reads and writes orders; a version without notes does not touch that column, which may not exist yet."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.head = settings.schema_head
        self.notes = settings.order_notes
        self.columns = [column for column in table.c if column.name != "note" or self.notes]

    def ready(self) -> None:
        """Raise NotReadyError unless the database answers and is migrated far enough; a newer schema is accepted."""
        try:
            with self.engine.connect() as connection:
                found = connection.scalar(text("SELECT max(version_num) FROM alembic_version"))
        except ProgrammingError:
            found = None
        except SQLAlchemyError as error:
            raise NotReadyError(f"unreachable ({type(error).__name__})") from None
        if found is None or found < self.head:
            raise NotReadyError(f"migrated to {found or 'nothing'}, needs {self.head}")

    def of(self, owner: str) -> Sequence[Row[tuple[object, ...]]]:
        """Return an owner's newest orders."""
        query = select(*self.columns).where(table.c.owner == owner).order_by(table.c.created_at.desc()).limit(SHOWN)
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def create(self, owner: str, item: str, quantity: int, note: str) -> uuid.UUID:
        """Write an order and return its id."""
        identifier = uuid.uuid4()
        values: dict[str, object] = {
            "id": identifier,
            "owner": owner,
            "item": item,
            "quantity": quantity,
            "created_at": datetime.now(UTC),
        }
        if self.notes:
            values["note"] = note or None
        with self.engine.begin() as connection:
            connection.execute(insert(table).values(values))
        return identifier

    def cancel(self, owner: str, identifier: uuid.UUID) -> bool:
        """Remove an owner's order; False when there is no such."""
        with self.engine.begin() as connection:
            result = connection.execute(delete(table).where(table.c.id == identifier, table.c.owner == owner))
        return result.rowcount > 0

    def forget(self, owner: str) -> None:
        """Remove all orders of an owner."""
        with self.engine.begin() as connection:
            connection.execute(delete(table).where(table.c.owner == owner))
