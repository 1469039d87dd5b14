# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The portal's jobs: in its database's outbox, and in the broker's queues."""

from __future__ import annotations

import json
from typing import Any

from environment import Environment, until


def sql(environment: Environment, query: str) -> str:
    """Ask the portal's database, as PostgreSQL's own user."""
    call = f"cd / && sudo -u postgres psql -XqAt -v ON_ERROR_STOP=1 portal <<'END'\n{query};\nEND\n"
    return environment.ssh("data1", call, timeout=300).stdout.strip()


def rabbit(environment: Environment, words: str) -> list[dict[str, Any]]:
    """Ask the broker; the answer is a table."""
    answer = environment.ssh("data1", f"rabbitmqctl -q {words} </dev/null").stdout
    return list(json.loads(answer))


def jobs(environment: Environment) -> dict[str, int]:
    """How many jobs each queue has, those in hand included, and the outbox."""
    rows = rabbit(environment, f"list_queues -p {environment.name} --formatter json name messages")
    return {row["name"]: row["messages"] for row in rows} | {
        "outbox": int(sql(environment, "SELECT count(*) FROM jobs"))
    }


def wait_until_done(environment: Environment) -> None:
    """Wait until nothing is left to do, and nothing was put aside."""
    nothing = {"receipts": 0, "receipts.dead": 0, "outbox": 0}
    until(lambda: jobs(environment) == nothing, 300, "all jobs done, none put aside")


def throw_away(environment: Environment) -> None:
    """Throw away what was put aside."""
    environment.ssh("data1", f"rabbitmqctl -q purge_queue -p {environment.name} receipts.dead </dev/null")
