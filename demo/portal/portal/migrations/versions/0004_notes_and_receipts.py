"""Merge the migrations for notes and receipts."""

from __future__ import annotations

revision = "0004"
down_revision = ("0002", "0003")


def upgrade() -> None:
    """Change nothing: this only merges."""
