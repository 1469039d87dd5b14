# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Destroys staging's database under load and brings it back; restores a dropped table; counts what is lost.

    python -m bench.data_host.run [--gib 1]

Staging is converged. A database of the given size is beside the demo's. Then the data host's cluster is deleted while
clients send requests, and site.yml restores it. Writes bench/data_host/README.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.common import ROOT, machine, say, table
from tests.real.environment import Environment, Probe, until

HERE = Path(__file__).resolve().parent
BIG, COPY = "big_for_a_proof", "big_restored"
README = """\
# The data host, lost and restored

The data host's PostgreSQL was deleted while clients sent requests, with a database of {gib:g} GiB beside the demo's.
Then `site.yml -e restore_from_backup=latest` brought it back.

{result}

- Without a decision, the run was refused, and nothing was started: {refused}.
- Rows that were committed and archived before, and are missing: {lost}.
- After the restore, `site.yml` changed: {changed} (tasks).
- Requests meanwhile: {asked}, of which {failures} failed, all before the database served again: {after} failed later.
- A table was dropped while rows were written. Restored to the moment before, rows of later than that moment: {later};
  rows of before that are missing: {missing}.

Measured on {machine}, with the lab's hosts on the same machine. To repeat this, with staging converged:

    python -m bench.data_host.run
"""


def sql(staging: Environment, statement: str, database: str = "postgres") -> list[str]:
    """Return the result of a statement by the superuser."""
    command = f"cd /; su postgres -c 'psql -XAtq -v ON_ERROR_STOP=1 -d {database}' <<'END'\n{statement}\nEND\n"
    return staging.ssh("data1", command, timeout=1200).stdout.splitlines()


def count(staging: Environment, condition: str = "true", database: str = BIG) -> int:
    """Return how many rows the large database has."""
    return int(sql(staging, f"SELECT count(*) FROM orders WHERE {condition}", database)[0])


def fill(staging: Environment, gib: float) -> None:
    """Create the large database."""
    sql(staging, f"DROP DATABASE IF EXISTS {BIG} WITH (FORCE); DROP DATABASE IF EXISTS {COPY} WITH (FORCE);")
    sql(staging, f"DO $$ BEGIN CREATE ROLE {BIG}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;")
    sql(staging, f"CREATE DATABASE {BIG} OWNER {BIG};")
    # Half a KiB in each row, which does not compress to nothing.
    rows = int(gib * 2**30 / 560)
    body = "(SELECT string_agg(md5(i::text || j::text), '') FROM generate_series(1, 16) j)"
    sql(
        staging,
        f"CREATE TABLE orders AS SELECT i AS id, {body} AS body, now() AS at FROM generate_series(1, {rows}) i;"
        f"ALTER TABLE orders OWNER TO {BIG};",
        BIG,
    )


def play(staging: Environment, *words: str, fails: bool = False) -> tuple[float, str]:
    """Run a playbook; return seconds and output. Exits if it ends in another way than it should."""
    started = time.monotonic()
    run = staging.play(*words)
    if (run.code != 0) != fails:
        sys.exit(run.output)
    return time.monotonic() - started, run.output


def dump_and_restore(staging: Environment) -> float:
    """Return how long pg_restore alone takes for the same database."""
    sql(staging, f"CREATE DATABASE {COPY};")
    staging.ssh("data1", f"cd /; su postgres -c 'pg_dump -Fc -f /var/tmp/big.dump {BIG}'", timeout=1200)
    started = time.monotonic()
    staging.ssh("data1", f"cd /; su postgres -c 'pg_restore -d {COPY} /var/tmp/big.dump'", timeout=1200)
    took = time.monotonic() - started
    staging.ssh("data1", "rm /var/tmp/big.dump")
    sql(staging, f"DROP DATABASE {COPY} WITH (FORCE);")
    return took


def dropped_table(staging: Environment) -> tuple[float, int, int]:
    """Drop a table while rows are written; return how long its restore took, later rows, and missing ones."""
    begin = count(staging)
    writes = "".join(
        f"INSERT INTO orders VALUES ({-number}, '', clock_timestamp()); SELECT pg_sleep(0.05);\n"
        for number in range(200)
    )
    sql(staging, writes, BIG)
    [moment] = sql(staging, "SELECT at FROM orders WHERE id = -100", BIG)
    expected = count(staging, f"at <= '{moment}'")
    sql(staging, "DROP TABLE orders", BIG)
    took, _ = play(
        staging,
        *("playbooks/restore.yml", "-e", f"database={BIG}", "-e", f"into={COPY}", "-e", f"restore_time='{moment}'"),
    )
    later, found = count(staging, f"at > '{moment}'", COPY), count(staging, f"at <= '{moment}'", COPY)
    say(f"{begin} rows before, {expected} until {moment}, {found} restored")
    return took, later, expected - found


def lose(staging: Environment) -> dict[str, object]:
    """Delete the cluster under load, and restore it."""
    play(staging, "playbooks/backup.yml")
    rows = count(staging)
    sql(staging, "SELECT pg_switch_wal()")
    staging.ssh("data1", f"cd /; su postgres -c 'pgbackrest --stanza={staging.name} check'")
    with Probe(staging, "/readyz", every=0.5) as probe:
        staging.ssh("data1", "systemctl stop postgresql@17-main; rm -rf /var/lib/postgresql/17/main")
        lost = time.monotonic()
        _, said = play(staging, "site.yml", fails=True)
        refused = "-e restore_from_backup=latest" in said
        took, _ = play(staging, "site.yml", "-e", "restore_from_backup=latest")
        serving = (
            until(lambda: staging.get("/readyz")[0] == 200, 120, "the public is served") and time.monotonic() - lost
        )
        before = len(probe.failures)
        time.sleep(20)
    again = staging.play("site.yml")
    return {
        **{"took": took, "serving": serving, "refused": "yes" if refused else "NO", "lost": rows - count(staging)},
        **{"asked": probe.asked, "failures": len(probe.failures), "after": len(probe.failures) - before},
        "changed": sum(again.changed.values()) if again.code == 0 else "FAILED",
    }


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1)
    gib = parser.parse_args().gib
    staging = Environment(say=say)
    fill(staging, gib)
    try:
        found = lose(staging)
        alone = dump_and_restore(staging)
        restored, later, missing = dropped_table(staging)
    finally:
        sql(staging, f"DROP DATABASE IF EXISTS {BIG} WITH (FORCE); DROP DATABASE IF EXISTS {COPY} WITH (FORCE);")
        sql(staging, f"DROP ROLE IF EXISTS {BIG};")
    rows = [
        ("`site.yml -e restore_from_backup=latest`, from nothing", f"{found['took']:.0f} s"),
        ("from the loss until the public is served, with the refused run", f"{found['serving']:.0f} s"),
        ("`pg_restore` of the large database alone", f"{alone:.0f} s"),
        ("`restore.yml -e restore_time=` of the large database into a copy", f"{restored:.0f} s"),
    ]
    page = README.format(
        gib=gib, result=table(("what", "took"), rows), later=later, missing=missing, machine=machine(), **found
    )
    (HERE / "README.md").write_text(page)
    say(f"wrote {(HERE / 'README.md').relative_to(ROOT)}")
    if found["lost"] or later or missing or found["refused"] == "NO" or found["changed"] != 0:
        sys.exit("something is lost: see the page")


if __name__ == "__main__":
    main()
