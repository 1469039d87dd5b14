"""Migrates the database's schema for this version.

Migrations only expand the schema, so the previous version keeps working.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from .settings import Settings

logger = logging.getLogger("portal.migrate")

MIGRATIONS = Path(__file__).parent / "migrations"

# An arbitrary number that no other lock in this database uses. The process with the lock migrates, others wait.
ADVISORY_LOCK = 7_265_141


def run(settings: Settings) -> int:
    """Migrate and return the exit code."""
    engine = create_engine(
        settings.database_url, poolclass=NullPool, hide_parameters=True, connect_args={"connect_timeout": 10}
    )
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": ADVISORY_LOCK})
            # From here on, fail instead of blocking the live slot's statements.
            connection.execute(text("SET lock_timeout = '5s'"))
            connection.commit()
            found = upgrade(connection, settings.schema_head)
    except SQLAlchemyError as error:
        logger.error("migration failed: %s", error)
        return 1
    finally:
        engine.dispose()
    if found is not None and found >= settings.schema_head:
        logger.info("schema is at %s, version %s needs %s", found, settings.version, settings.schema_head)
    else:
        logger.info("schema migrated from %s to %s", found or "nothing", settings.schema_head)
    return 0


def upgrade(connection: Connection, head: str) -> str | None:
    """Migrate the schema to `head` unless it is at least there; return its newest migration before that."""
    found = max(MigrationContext.configure(connection).get_current_heads(), default=None)
    connection.commit()
    if found is None or found < head:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, head)
        connection.commit()
    return found
