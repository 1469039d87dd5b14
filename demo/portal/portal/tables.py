"""The portal's tables in the newest version."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Date, DateTime, ForeignKey, Integer, MetaData, String, Table, Uuid

metadata = MetaData()

SEED_SET = "seed_set"
"""Marks rows that seeding created. Seeding never changes or removes others."""
SYNTHETIC = "(synthetic users)"
"""Marks orders that synthetic users placed; they expire. No set can have this name."""

addresses = Table(
    "addresses",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner", String, nullable=False),
    Column("street", String, nullable=False),
    Column("postal_code", String, nullable=False),
    Column("city", String, nullable=False),
    Column("country", String(2), nullable=False),
    Column("since", Date, nullable=False),
    Column(SEED_SET, String),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner", String, nullable=False),
    Column("address_id", Uuid, ForeignKey("addresses.id", ondelete="SET NULL")),
    Column("item", String, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("total_cents", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("note", String),
    Column(SEED_SET, String),
)

payments = Table(
    "payments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("method", String, nullable=False),
    Column("state", String, nullable=False),
    Column("amount_cents", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("intent", String, unique=True),
    Column("notified_at", DateTime(timezone=True)),
    Column(SEED_SET, String),
)
"""`intent` is the payment's name at the provider; generated payments have none. `notified_at`: the first webhook."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("queue", String, nullable=False),
    Column("body", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
"""The outbox: jobs are written in the transaction of their order, and deleted once the broker has them."""

receipts = Table(
    "receipts",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("slot", String, nullable=False),
    Column("sent_at", DateTime(timezone=True), nullable=False),
)
"""Orders whose receipt was sent. The primary key makes sure that a job is done once, however often it is delivered."""
