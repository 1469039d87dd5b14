# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The portal's jobs: in its database's outbox, and in the broker's queues."""

from __future__ import annotations

import json
from typing import Any

from environment import Environment, until


def sql(environment: Environment, query: str) -> str:
    """Query the portal's database as the PostgreSQL superuser."""
    call = f"cd / && sudo -u postgres psql -XqAt -v ON_ERROR_STOP=1 portal <<'END'\n{query};\nEND\n"
    return environment.ssh("data1", call, timeout=300).stdout.strip()


def rabbit(environment: Environment, words: str) -> list[dict[str, Any]]:
    """Run a query of rabbitmqctl; return its rows."""
    answer = environment.ssh("data1", f"rabbitmqctl -q {words} </dev/null").stdout
    return list(json.loads(answer))


def jobs(environment: Environment) -> dict[str, int]:
    """The number of jobs in each queue, including unacknowledged ones, and in the outbox."""
    rows = rabbit(environment, f"list_queues -p {environment.name} --formatter json name messages")
    return {row["name"]: row["messages"] for row in rows} | {
        "outbox": int(sql(environment, "SELECT count(*) FROM jobs"))
    }


def wait_until_done(environment: Environment) -> None:
    """Wait until all jobs are done and there are no dead letters."""
    nothing = {"receipts": 0, "receipts.dead": 0, "outbox": 0}

    def done() -> bool:
        # rabbitmqctl takes two seconds of CPU time, and a query of the outbox almost none.
        return sql(environment, "SELECT count(*) FROM jobs") == "0" and jobs(environment) == nothing

    until(done, 300, "all jobs done, no dead letters")


def delete_dead_letters(environment: Environment) -> None:
    """Delete all dead letters."""
    environment.ssh("data1", f"rabbitmqctl -q purge_queue -p {environment.name} receipts.dead </dev/null")
