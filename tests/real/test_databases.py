"""A changed login: check mode reports it, a failure doesn't show its verifier, a run repairs it."""

from __future__ import annotations

import re

from environment import Environment

# A stored password verifier in a statement.
VERIFIER = re.compile(r"SCRAM-SHA-256\$\d")
REPAIR = "ALTER ROLE \"backup\" LOGIN PASSWORD '…'"


def sql(environment: Environment, statement: str) -> str:
    """The result of a statement by the superuser, who can write even if the role's settings are read-only."""
    options = "PGOPTIONS='-c default_transaction_read_only=off'"
    command = f"{options} psql -XAtq -v ON_ERROR_STOP=1 -d postgres"
    return environment.ssh("data1", f"cd /\nsu postgres -c \"{command}\" <<'END'\n{statement};\nEND\n").stdout.strip()


def stored(environment: Environment) -> str:
    return sql(environment, "SELECT rolpassword FROM pg_authid WHERE rolname = 'backup'")


def test_a_changed_login_is_reported_and_repaired_without_its_verifier(staging: Environment) -> None:
    log = "/var/log/postgresql/postgresql-17-main.log"
    before = int(staging.ssh("data1", f"stat -c %s {log}").stdout)
    sql(staging, "ALTER ROLE backup PASSWORD 'changed-by-hand'")
    changed = stored(staging)
    try:
        look = staging.play("playbooks/data.yml", "--check", "--diff")
        assert look.code == 0, look.output
        assert REPAIR in look.output
        assert stored(staging) == changed

        sql(staging, "ALTER ROLE postgres SET default_transaction_read_only = on")
        failed = staging.play("playbooks/data.yml", "-vvv")
        assert failed.code != 0
        assert f"PostgreSQL can't {REPAIR}: ERROR:" in failed.errors
        assert "read-only transaction" in failed.errors
    finally:
        sql(staging, "ALTER ROLE postgres RESET default_transaction_read_only")
        repaired = staging.play("playbooks/data.yml", "--diff")
    assert repaired.code == 0, repaired.output
    assert REPAIR in repaired.output
    assert stored(staging) != changed
    for run in (look, failed, repaired):
        assert not VERIFIER.search(run.output + run.errors)
    assert not VERIFIER.search(staging.ssh("data1", f"tail -c +{before + 1} {log}").stdout)
