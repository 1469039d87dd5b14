"""Addresses, orders, payments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

STATES = "'placed', 'paid', 'packed', 'shipped', 'delivered', 'cancelled', 'returned'"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "addresses",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False, index=True),
        sa.Column("street", sa.String(), nullable=False),
        sa.Column("postal_code", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("country", sa.String(2), nullable=False),
        sa.Column("since", sa.Date(), nullable=False, server_default=sa.func.current_date()),
        sa.Column("seed_set", sa.String()),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("address_id", sa.Uuid(), sa.ForeignKey("addresses.id", ondelete="SET NULL"), index=True),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("total_cents", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False, server_default="placed"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("seed_set", sa.String()),
        sa.CheckConstraint(f"state IN ({STATES})", name="orders_state"),
        sa.CheckConstraint("total_cents >= 0", name="orders_total"),
    )
    op.create_index("orders_owner_created_at", "orders", ["owner", "created_at"])
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("order_id", sa.Uuid(), sa.ForeignKey("orders.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("amount_cents", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("seed_set", sa.String()),
        sa.CheckConstraint("state IN ('failed', 'pending', 'captured', 'refunded')", name="payments_state"),
    )
    # These indexes find generated rows. With real users there are none, and the indexes are empty.
    for table in ("addresses", "orders", "payments"):
        marked = sa.text("seed_set IS NOT NULL")
        op.create_index(f"{table}_seed_set", table, ["seed_set"], postgresql_where=marked)
