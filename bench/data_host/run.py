# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Destroys staging's database under load and brings it back; restores a dropped table; counts what is lost.

    python -m bench.data_host.run [--gib 1]

Staging is converged. A database of the given size is beside the demo's. Then the data host's cluster is deleted while
clients send requests, and site.yml restores it. Writes bench/data_host/README.md.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.common import ROOT, machine, say, table
from tests.real.environment import Environment, Probe, until

HERE = Path(__file__).resolve().parent
BIG, COPY = "big_for_a_proof", "big_restored"
WRITERS, WRITE_SECONDS = 4, 10
# A public page that writes to a database, and seconds between two requests: less than the edge's limit for logins.
PAGE, EVERY = "/self-service/login/api", 2.0
README = """\
# The data host, lost and restored

The data host's PostgreSQL was deleted while clients sent requests, with a database of {gib:g} GiB next to the demo's.
Then `site.yml -e restore_from_backup=latest` brought it back.

{result}

- Without a decision, the run was refused, and nothing was started: {refused}.
- Rows that were committed and archived before, and are missing: {lost}.
- After the restore, `site.yml` changed: {changed} (tasks).
- Requests meanwhile: {asked}, of which {failures} failed, all before the database served again: {after} failed later.
- A table was dropped while four clients wrote rows. It was restored to a moment before. Rows that were committed until
  that moment, and are missing: {missing}; later rows: {later}.

Measured on {machine}, with the lab's hosts on the same machine. To repeat this, with staging converged:

    python -m bench.data_host.run --gib {gib:g}
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


# Each row is a commit of its own, and is noted after it.
WRITE = """\
DO $$ BEGIN
  FOR number IN 1..1000000 LOOP
    INSERT INTO orders VALUES (-number * {writers} - {writer}, '', clock_timestamp());
    COMMIT;
    RAISE NOTICE '% %', -number * {writers} - {writer}, extract(epoch FROM clock_timestamp());
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
"""
NOTED = re.compile(r"NOTICE:  (-\d+) (\d+\.\d+)")


def write(staging: Environment, writer: int) -> dict[int, float]:
    """Write rows until the table is gone; return the time (by the server's clock) after the commit of each."""
    statement = WRITE.format(writer=writer, writers=WRITERS)
    command = f"cd /; su postgres -c 'psql -Xq -d {BIG}' <<'END'\n{statement}END\n"
    done = staging.ssh("data1", command, check=False, timeout=1200)
    return {int(number): float(at) for number, at in NOTED.findall(done.stderr)}


def dropped_table(staging: Environment) -> tuple[float, int, int]:
    """Drop a table while rows are written; return how long its restore took, later rows, and missing ones."""
    kept = count(staging)
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, staging, writer) for writer in range(WRITERS)]
        time.sleep(WRITE_SECONDS)
        moment, seconds = sql(
            staging, "SELECT now(), extract(epoch FROM now()); SELECT pg_sleep(0.1); DROP TABLE orders", BIG
        )[0].split("|")
        written = {number: at for writer in writers for number, at in writer.result().items()}
    before = {number for number, at in written.items() if at <= float(seconds)}
    if not before or len(before) == len(written):
        sys.exit(f"of {len(written)} rows, {len(before)} were written before {moment}: that proves nothing")
    took, _ = play(
        staging,
        *("playbooks/restore.yml", "-e", f"database={BIG}", "-e", f"into={COPY}", "-e", f"restore_time='{moment}'"),
    )
    later = count(staging, f"at > '{moment}'", COPY)
    found = {int(line) for line in sql(staging, "SELECT id FROM orders WHERE id < 0", COPY)}
    missing = len(before - found) + kept - count(staging, "id > 0", COPY)
    say(f"{len(written)} rows written, {len(before)} of them until {moment}; {missing} are missing, {later} are later")
    return took, later, missing


def lose(staging: Environment) -> dict[str, object]:
    """Delete the cluster under load, and restore it."""
    play(staging, "playbooks/backup.yml")
    rows = count(staging)
    sql(staging, "SELECT pg_switch_wal()")
    staging.ssh("data1", f"cd /; su postgres -c 'pgbackrest --stanza={staging.name} check'")
    with Probe(staging, PAGE, every=EVERY) as probe:
        staging.ssh("data1", "systemctl stop postgresql@17-main; rm -rf /var/lib/postgresql/17/main")
        lost = time.monotonic()
        _, said = play(staging, "site.yml", fails=True)
        refused = "-e restore_from_backup=latest" in said
        took, _ = play(staging, "site.yml", "-e", "restore_from_backup=latest")
        serving = until(lambda: staging.get(PAGE)[0] == 200, 300, "the public is served") and time.monotonic() - lost
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
