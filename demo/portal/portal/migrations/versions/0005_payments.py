"""Payments at the provider. 1.0 needs them, too, so this is parallel to the migration for notes in 1.1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Add columns that the previous version can ignore."""
    op.add_column("payments", sa.Column("intent", sa.String(), nullable=True))
    op.add_column("payments", sa.Column("notified_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("payments_intent", "payments", ["intent"], unique=True)
