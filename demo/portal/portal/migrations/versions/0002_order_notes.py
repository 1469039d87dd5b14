"""Orders may have a note."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a column that the previous version can ignore."""
    op.add_column("orders", sa.Column("note", sa.String(), nullable=True))
