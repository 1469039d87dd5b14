# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures identity_seed with a real Ory Kratos and PostgreSQL on loopback.

    make bench-identity_seed        (or: python -m bench.identity_seed.run [--users 100000])

100 users: compared with loops of curl, with plain-text passwords and with a hash, and one of ansible.builtin.uri, with
plain-text passwords. A tenth of --users, and --users users: compared with a bare client that sends prepared batches
over as many connections. Every measurement has its own empty Kratos and PostgreSQL, with PostgreSQL's default
settings. Then a run with all --users users that changes nothing, and a new password for all of them. Writes
bench/identity_seed/README.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt

from bench.common import ROOT, machine, run, say, table, verdict
from bench.identity_seed.servers import Server, kratos

HERE = Path(__file__).resolve().parent
PASSWORD = "correct horse battery 7"
BATCH = 500
CONNECTIONS = 2
FEW = 100
TICKS = os.sysconf("SC_CLK_TCK")
README = """\
# identity_seed compared with other ways to create users in Ory Kratos

One run, on {machine}, {day}. Kratos 1.3.1, its PostgreSQL {postgres}
and the client share these cores, and the machine had other work, too (load average at the start: {load:.1f}).
To repeat this:

    make bench-identity_seed

## {few} users

| way | seconds | identity_seed is faster by |
| --- | --- | --- |
{few_table}

With a password in plain text, Kratos hashes it for each user with its default cost of 12. identity_seed hashes once, on
the controller; a loop with that hash does as much. "Task only" is the task itself (hashing, comparing, generating,
creating) without the start of Ansible and Python, the median of 5. A playbook without users takes {empty:.1f} s, so the
work takes {above:.1f} s more (goal: 1 s, {above_verdict}; medians of 3).

## Many users

The bare client sends the same batches of {batch} over {connections} connections; its users and the hash are prepared
beforehand. identity_seed's rates include generating users, validating each against the schema, hashing and the
ledger; the rate of the whole command also includes starting Ansible, comparing with existing users, reporting progress
and writing the file of users. Percentages are of the bare client's rate.{rounds}
"By processor time" compares the processor time of servers and client together, Ansible included. Other work on the
machine doesn't affect it.

| users | bare client | identity_seed, task only | percent | whole command | percent | by processor time | memory |
| --- | --- | --- | --- | --- | --- | --- | --- |
{many_table}

## Nothing to do

A run with {users} existing users: {again:.1f} s for the whole command (goal: 15 s, {again_verdict}),
{requests} requests to Kratos (version, schema, number of users, and one for each 2,000 users),
{again_memory:.0f} MiB of memory.

## A new password for all users

| way | users | users per second | percent of creation |
| --- | --- | --- | --- |
{change_table}

Kratos changes identities one by one, with about 20 queries for each, and creates them in batches.

## Calculated: 10 million users

Processor time per user, measured with {users} users: {kratos_ms:.2f} ms in Kratos, {postgres_ms:.2f} ms in PostgreSQL,
{module_ms:.2f} ms in identity_seed. At the rate above, 10 million users take {hours:.1f} hours on this machine.
The limit is processor time in Kratos and PostgreSQL. The module takes {module_share:.0f} % of the processor time, and
generating users is the smaller part of that.

| 10 million in | users per second | cores for Kratos | cores for PostgreSQL | hosts with 8 cores | `connections` |
| --- | --- | --- | --- | --- | --- |
{path_table}

- Kratos is stateless: several can run side by side, behind one address or with one set each (`set: people-1`
  and so on, each task on its own host). PostgreSQL has one primary, so its cores must be on one machine. Beyond that,
  divide the identities among several Kratos with their own databases, as several environments do.
- One module process generates and encodes about {one_process:,.0f} users per second on one core. For more, run
  several sets side by side.
- The database grows by about {bytes_each:.1f} kB per user: {gigabytes:.0f} GB. Give PostgreSQL a `max_wal_size` of
  16 GB or more and `synchronous_commit = off` while you fill it.
- The module needs one bit of memory per user, 1.2 MiB for 10 million, on top of its usual memory. The ledger and
  the file of users take about {ledger_each:.0f} bytes per user on disk: {ledger_gigabytes:.1f} GB.
- A run that changes nothing lists all users: {list_minutes:.0f} minutes at the rate measured here. From a million
  users on, run it when the recipe changes, not with every deploy.
"""


@dataclass
class Cpu:
    """Processor seconds of the servers, with all their children, and of the client."""

    kratos: float
    postgres: float
    client: float = 0

    def since(self, before: Cpu) -> Cpu:
        """Return the processor seconds since `before`."""
        return Cpu(self.kratos - before.kratos, self.postgres - before.postgres, self.client - before.client)

    @property
    def all(self) -> float:
        """Servers and client together."""
        return self.kratos + self.postgres + self.client


def processor(pid: int) -> float:
    """Return the processor seconds of a process and its ended children."""
    try:
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return sum(int(each) for each in parts[11:15]) / TICKS


def children(pid: int) -> list[int]:
    """Return a process' children."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Place:
    """A Kratos with an empty database, and a folder."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        (folder / "python").mkdir()

    def sql(self, query: str) -> str:
        """Run a query and return its output."""
        command = ["psql", "-qXAt", "-h", "127.0.0.1", "-p", str(self.server.database), "-U", "postgres", "kratos"]
        done = subprocess.run([*command, "-c", query], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def cpu(self) -> Cpu:
        """Return the processor seconds so far."""
        assert self.server.process is not None
        note = self.folder / "server" / "postgres" / "data" / "postmaster.pid"
        postmaster = int(note.read_text().splitlines()[0])
        live = sum(processor(child) for child in children(postmaster))
        own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        client = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
        return Cpu(processor(self.server.process.pid), processor(postmaster) + live, client)

    def ansible(self, play: str, count: int, **given: Any) -> tuple[float, dict[str, Any]]:
        """Run a play, with `given` for the task; returns its seconds and the module's result."""
        task = {
            "url": self.server.admin,
            "public_url": self.server.public,
            "count": count,
            "password": PASSWORD,
            "folder": str(self.folder),
            "state": "present",
            "renew": False,
            **given,
        }
        variables = {
            "bench_task": task,
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        command = ["ansible-playbook", "-i", "localhost,", str(HERE / play), "-e", json.dumps(variables)]
        done = run(command, {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCALHOST_WARNING": "false"})
        result = self.folder / "result.json"
        found = json.loads(result.read_text()) if result.exists() else {}
        result.unlink(missing_ok=True)
        return done.seconds, found


@contextmanager
def place() -> Iterator[Place]:
    """Run a place for the duration of a with block."""
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with kratos(folder / "server") as server:
            yield Place(server, folder)


def body(name: str, number: int, password: dict[str, str]) -> dict[str, Any]:
    """Return a user in the form that identity_seed sends."""
    address = f"{name}-{number}-0123abcd@people.bench.invalid"
    return {
        "schema_id": "default",
        "state": "active",
        "traits": {"email": address, "name": {"first": "Richard", "last": "Hanson"}},
        "verifiable_addresses": [{"value": address, "via": "email", "verified": True, "status": "completed"}],
        "metadata_admin": {"greenroom": {"set": name, "seed": "1", "key": str(number), "recipe": "0123456789abcdef"}},
        "credentials": {"password": {"config": password}},
    }


def bare(here: Place, count: int) -> tuple[float, Cpu]:
    """Create users with a client that does nothing else; returns seconds and processor seconds."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
    batches = []
    for start in range(1, count + 1, BATCH):
        numbers = range(start, min(start + BATCH, count + 1))
        made = [{"create": body("bare", number, {"hashed_password": hashed})} for number in numbers]
        batches.append(json.dumps({"identities": made}).encode())
    lock = threading.Lock()
    failed: list[bytes] = []

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", here.server.admin_port)
        while True:
            with lock:
                if not batches or failed:
                    return
                batch = batches.pop(0)
            connection.request("PATCH", "/admin/identities", batch, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or b'"error"' in text:
                failed.append(text[:200])

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    started, before = time.monotonic(), here.cpu()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    assert not failed, failed
    return seconds, here.cpu().since(before)


def curl(server: Server, folder: Path, name: str, password: dict[str, str]) -> float:
    """Create users with one curl each; returns the seconds."""
    script = folder / "loop.sh"
    script.write_text(
        "set -e\n"
        f"for number in $(seq {FEW}); do\n"
        "  curl --silent --show-error --fail --output /dev/null --header 'Content-Type: application/json' \\\n"
        f"    --data @{folder}/$number.json {server.admin}/admin/identities\n"
        "done\n"
    )
    for number in range(1, FEW + 1):
        (folder / f"{number}.json").write_text(json.dumps(body(name, number, password)))
    started = time.monotonic()
    subprocess.run(["sh", str(script)], check=True, timeout=900)
    return time.monotonic() - started


def work_alone(server: Server, folder: Path, name: str) -> float:
    """Run the task's own code without Ansible, and return its seconds."""
    program = f"""
import json, sys, time
import ansible.module_utils
ansible.module_utils.__path__.append({str(ROOT / "plugins/module_utils")!r})
from ansible.module_utils.greenroom.controller.people import hashing
from ansible.module_utils.greenroom.people import population, users
archive = users.generator_archive({str(folder / "python")!r}, ["en_US"])
started = time.monotonic()
hashed = hashing.hash_password({PASSWORD!r}, 12)
recipe = users.Recipe.of({{"set": {name!r}, "seed": "1", "count": {FEW}, "domain": "people.bench.invalid"}})
order = population.Order(recipe, "present", {server.admin!r}, {server.public!r}, 60, 600, {CONNECTIONS},
    {str(folder / f"{name}.db")!r}, {str(folder / f"{name}.jsonl")!r}, {str(folder / "python")!r}, token="a",
    archive=archive.name, hash_of=lambda key: hashed)
result = population.run(order, False)
print(json.dumps([time.monotonic() - started, result["created"]]))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=300)
    seconds, created = json.loads(done.stdout)
    assert created == FEW
    return float(seconds)


@dataclass
class Few:
    """The result for few users: a table, and seconds of an empty playbook and above it."""

    table: str
    empty: float
    above: float
    met: list[bool]


def middle(seconds: list[float]) -> float:
    """Return the median of an odd number of values."""
    return sorted(seconds)[len(seconds) // 2]


def few_users() -> Few:
    """Measure few users."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
    with place() as here:
        looped = curl(here.server, here.folder, "curl", {"password": PASSWORD})
        ready = curl(here.server, here.folder, "ready", {"hashed_password": hashed})
        say(f"{FEW} users, curl: {looped:.1f} s, with a hash {ready:.1f} s")
        usual, _ = here.ansible("uri.yml", FEW)
        say(f"{FEW} users, uri: {usual:.1f} s")
        empty, whole = [], []
        for _round in range(3):
            empty.append(here.ansible("empty.yml", 0)[0])
            seconds, result = here.ansible("play.yml", FEW)
            assert result["created"] == FEW
            whole.append(seconds)
            here.ansible("play.yml", FEW, state="absent")
        alone = middle([work_alone(here.server, here.folder, f"alone-{number}") for number in range(5)])
    command, above = middle(whole), middle(whole) - middle(empty)
    say(f"{FEW} users, identity_seed: {command:.1f} s, {above:.1f} s above an empty playbook, task only {alone:.2f} s")
    met = [looped / alone >= 50, usual / command >= 10, above <= 1]
    rows = [
        ["curl, one request per user, plain-text password", f"{looped:.1f}", ""],
        ["curl, one request per user, ready hash", f"{ready:.1f}", ""],
        ["ansible.builtin.uri in a loop, plain-text password", f"{usual:.1f}", ""],
        [
            "identity_seed, whole command",
            f"{command:.1f}",
            f"curl {looped / command:.0f}, with a hash {ready / command:.1f}, "
            f"uri {usual / command:.0f} (goal: 10, {verdict(met[1])})",
        ],
        [
            "identity_seed, task only",
            f"{alone:.2f}",
            f"curl {looped / alone:.0f} (goal: 50, {verdict(met[0])}), with a hash {ready / alone:.1f}",
        ],
    ]
    return Few(table_rows(rows), middle(empty), above, met)


def table_rows(rows: list[list[str]]) -> str:
    """Return the rows of a table without its head."""
    return "\n".join(table([""] * len(rows[0]), rows).splitlines()[2:])


@dataclass
class Many:
    """The result for many users; rates are users per second."""

    count: int
    bare: float
    work: float
    whole: float
    cost: float
    memory: float
    figures: dict[str, Any]

    @property
    def share(self) -> float:
        """The rate of the task, relative to the bare client's."""
        return self.work / self.bare

    def row(self) -> list[str]:
        """Return it as a row of the table."""
        return [
            f"{self.count:,}",
            f"{self.bare:.0f}/s",
            f"{self.work:.0f}/s",
            f"{self.share:.0%} (goal: 90 %, {verdict(self.share >= 0.9)})",
            f"{self.whole:.0f}/s",
            f"{self.whole / self.bare:.0%}",
            f"{self.cost:.0%}",
            f"{self.memory:.0f} MiB",
        ]


def many_users(count: int, again: bool) -> Many:
    """Measure many users; with `again`, also a run that has nothing to do."""
    with place() as here:
        seconds, plainly = bare(here, count)
        plain = count / seconds
    say(f"{count} users, bare client: {plain:.0f}/s")
    with place() as here:
        before = here.cpu()
        seconds, result = here.ansible("play.yml", count)
        cost = here.cpu().since(before)
        assert (result["created"], result["present"]) == (count, count)
        say(f"{count} users, identity_seed: {result['rate']:.0f}/s task only, {count / seconds:.0f}/s whole command")
        figures = {
            "postgres": here.sql("SHOW server_version").split()[0],
            "kratos_ms": cost.kratos / count * 1000,
            "postgres_ms": cost.postgres / count * 1000,
            "rate": result["rate"],
            "bytes_each": int(here.sql("SELECT pg_database_size('kratos')")) / count,
            "ledger_each": sum(path.stat().st_size for path in here.folder.glob("people.*")) / count,
        }
        if again:
            figures["again"], unchanged = here.ansible("play.yml", count)
            assert (unchanged["changed"], unchanged["present"]) == (False, count)
            figures["requests"], figures["again_memory"] = unchanged["requests"], unchanged["memory"]
            say(f"{count} users, nothing to do: {figures['again']:.1f} s, {unchanged['requests']} requests")
        # All users, or a tenth in place, which takes long.
        _, changed = here.ansible("play.yml", count, state="exact", password="another horse 8", renew=again)
        assert changed["updated"] == count
        figures["changed"] = changed["rate"]
        say(f"{count} users, another password: {changed['rate']:.0f}/s")
    return Many(count, plain, result["rate"], count / seconds, plainly.all / cost.all, result["memory"], figures)


def main() -> None:
    """Run the benchmark and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3, help="rounds with fewer users; the table has their median")
    options = parser.parse_args()
    # As on hosts, Python keeps compiled files.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    load = os.getloadavg()[0]
    few = few_users()
    rounds = [many_users(max(options.users // 10, 1), again=False) for _ in range(options.rounds)]
    less = sorted(rounds, key=lambda each: each.share)[len(rounds) // 2]
    most = many_users(options.users, again=True)
    figures = most.figures
    changes = [(less, "in place: IDs stay"), (most, "`renew: true`: removed and created again, with other IDs")]
    parts = [each.figures["changed"] / each.work for each, _ in changes]
    met = [*few.met, less.share >= 0.9, most.share >= 0.9, parts[1] >= 0.5, figures["again"] <= 15]
    goals = ["", f" (goal: 50 %, {verdict(met[-2])})"]
    change_rows = [
        [way, f"{each.count:,}", f"{each.figures['changed']:.0f}", f"{part:.0%}{goal}"]
        for (each, way), part, goal in zip(changes, parts, goals, strict=True)
    ]
    text = README.format(
        machine=machine(),
        day=time.strftime("%Y-%m-%d"),
        load=load,
        rounds=f" The first row is the median of {options.rounds} rounds." if options.rounds > 1 else "",
        few=FEW,
        few_table=few.table,
        empty=few.empty,
        above=few.above,
        above_verdict=verdict(few.met[-1]),
        change_table=table_rows(change_rows),
        batch=BATCH,
        connections=CONNECTIONS,
        many_table=table_rows([less.row(), most.row()]),
        users=f"{options.users:,}",
        again_verdict=verdict(met[-1]),
        **paper(figures, options.users),
    )
    (HERE / "README.md").write_text(text)
    print(text)
    if not all(met):
        sys.exit("A goal was missed: see the tables.")


def paper(figures: dict[str, Any], users: int) -> dict[str, Any]:
    """Return the figures for 10 million users, calculated from `figures`."""
    million = 10_000_000
    # The module's own processor time, for generating, encoding and the ledger. Measured without a server.
    module_ms = module_cost()
    all_ms = figures["kratos_ms"] + figures["postgres_ms"] + module_ms
    path = []
    for hours in (4, 1, 0.25):
        rate = million / hours / 3600
        cores = [rate * figures[key] / 1000 / 0.7 for key in ("kratos_ms", "postgres_ms")]
        hosts = [max(1, -(-int(each + 0.999) // 8)) for each in cores]
        path.append(
            [
                f"{hours:g} h" if hours >= 1 else f"{hours * 60:.0f} min",
                f"{rate:,.0f}",
                f"{cores[0]:.1f}",
                f"{cores[1]:.1f}",
                f"{hosts[0]} for Kratos, {hosts[1]} for PostgreSQL",
                f"{max(2, round(rate / 300))}",
            ]
        )
    return {
        **figures,
        "module_ms": module_ms,
        "module_share": 100 * module_ms / all_ms,
        "hours": million / figures["rate"] / 3600,
        "path_table": table_rows(path),
        "one_process": 1000 / module_ms,
        "bytes_each": figures["bytes_each"] / 1000,
        "gigabytes": figures["bytes_each"] * million / 1e9,
        "ledger_gigabytes": figures["ledger_each"] * million / 1e9,
        "list_minutes": figures["again"] * million / users / 60,
    }


def module_cost(count: int = 5000) -> float:
    """Return the processor milliseconds of the module per user."""
    program = f"""
import json, time
import ansible.module_utils
ansible.module_utils.__path__.append({str(ROOT / "plugins/module_utils")!r})
from ansible.module_utils.greenroom.people import ledger, ownership, users
schema = json.load(open({str(ROOT / "services/kratos/config/identity.schema.json")!r}))
recipe = users.Recipe.of({{"set": "cost", "seed": "1", "count": {count}, "domain": "people.bench.invalid"}})
inventor = users.Inventor(recipe, schema)
seal = ownership.Seal("cost", "the key of the set")
book = ledger.Ledger("", write=False)
started = time.process_time()
for first in range(1, {count} + 1, {BATCH}):
    keys = [str(number) for number in range(first, first + {BATCH})]
    made = [seal.sealed(inventor.identity(key, "$2b$12$" + "a" * 53)) for key in keys]
    text = json.dumps({{"identities": [{{"create": each}} for each in made]}})
    book.put(ledger.Row("0" * 28 + key.zfill(8), "1", key, "current") for key in keys)
for line in book.lines(recipe.address):
    pass
print((time.process_time() - started) / {count} * 1000)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=300)
    return float(done.stdout)


if __name__ == "__main__":
    main()
