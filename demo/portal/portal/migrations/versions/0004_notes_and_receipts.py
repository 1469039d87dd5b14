"""Notes and receipts, in whichever order they came: one line of migrations again."""

from __future__ import annotations

revision = "0004"
down_revision = ("0002", "0003")


def upgrade() -> None:
    """Change nothing of its own."""
