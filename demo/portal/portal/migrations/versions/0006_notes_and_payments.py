"""Merge the migrations for notes and payments."""

from __future__ import annotations

revision = "0006"
down_revision = ("0004", "0005")


def upgrade() -> None:
    """Change nothing: this only merges."""
