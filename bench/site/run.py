# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares a run that changes nothing with the usual ways: Ansible loops, tuned Ansible loops, and pyinfra.

    make bench-site [ROUNDS=3] [OPTIONS="--before COMMIT"]
    make bench-site OPTIONS=--profile

Captures what Greenroom deployed on staging's hosts, and writes it as an ordinary project's templates and lists. All
ways take turns on the same hosts. After each, it checks that nothing changed: the same files with the same owner and
mode, the same units, none restarted. The captured data contains secrets: it is in a private folder outside the
checkout, which is removed at the end. With `--before`, an earlier version of Greenroom takes part, too. It may need a
different state of the hosts, so it converges them first, and this version does so afterwards; neither is measured.
Writes bench/site/README.md.

`--profile` only measures where site.yml's time goes, and rewrites that section of the page. Needs staging's hosts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import common
from bench.common import ROOT, Run, playbook, run, say, seconds_list, table, verdict
from bench.site import profile
from bench.site.project import MANIFEST, TREE, write_project

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
KINDS = ("packages", "folders", "files", "units")
README = """\
# A run that changes nothing, compared with the usual way

Goal: on a converged environment, `site.yml` changes nothing, takes 10 s or less on two cores, and needs at most 60
tasks, 5 SSH processes per host on average and 20 on any host. It takes at most half the time of the earlier version, is
5 times as fast as the usual way, and faster than pyinfra. `tree.yml`, the direct comparison, takes at most 0.4 times as
long as pyinfra.

{result}

| goal | result | |
| --- | --- | --- |
{aims}

Measured on {machine}, with the lab's {hosts} hosts on the same
machine; medians of {rounds} rounds in which the ways took turns, each with new connections. To repeat this, with
staging converged (about {minutes:.0f} minutes):

    make bench-site{again}

## What is compared

All ways manage the same end state: {packages} packages, {folders} folders, {files} files and {units} units, summed over
all hosts. The benchmark compares it before and after each run: content, owner and mode of each file and folder, state
and invocation ID of each unit. Tasks are all that started, including skipped ones.

- `site.yml` does more than the others: it validates, reads Vault and the registry, holds the run lock, manages
  databases, logins and synthetic users, and runs public checks of the live slot.
{before}- [configure.yml](configure.yml) leaves out only synthetic users and public checks.
- [tree.yml](tree.yml) is the direct comparison: the same lists of packages, files and units as the ways below, with
  `apt` and one call of `template_tree`.
- [usual.yml](usual/usual.yml): `template`, `apt` and `systemd_service` in loops, with Ansible's defaults (facts, no
  pipelining, 5 forks). It is one short play, which is faster than the same tasks in a series of roles.
- [tuned.yml](usual/tuned.yml): pipelining, no facts, 50 forks, packages in one call, a pinned interpreter.
- [pyinfra](pyinfra_deploy/deploy.py), with hosts that don't wait for each other (`--no-wait`). It keeps its own
  connection to each host, so the table has no SSH processes for it.

The other ways get templates that were made from the files on the hosts. These need no variables, so they render faster
than real templates. None of the other ways reads a secret or connects to a database.

{profile}"""
BEFORE = """\
- "before" is `site.yml` of Greenroom at {commit}, from a separate checkout. It may need a different state of the hosts:
  it converges them first, and this version does so afterwards. Neither counts.
"""


@dataclass
class Way:
    """One way to manage the end state, and its runs.

    `start` gets the folder with the other ways' files. `changed` must return 0 for each run.
    """

    title: str
    start: Callable[[Path], Run]
    changed: Callable[[Run], int] = lambda done: done.changed
    runs: list[Run] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of the runs' seconds."""
        return statistics.median(run.seconds for run in self.runs)


@dataclass
class Before:
    """An earlier version of Greenroom: its commit's short hash, and the folder of its checkout."""

    commit: str
    project: Path


def capture() -> dict[str, Any]:
    """Return the state of each host, as read_host.py prints it, with the host's packages."""
    with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
        playbook("bench/site/capture.yml", "-e", f"capture_folder={folder}")
        return {path.stem: json.loads(path.read_text()) for path in sorted(Path(folder).iterdir())}


def usual(name: str, folder: Path) -> Run:
    """Run one of the ordinary playbooks."""
    return playbook(
        HERE / f"usual/{name}.yml",
        "-i",
        str(folder / "inventory"),
        environment={"ANSIBLE_CONFIG": str(HERE / f"usual/{name}.cfg")},
    )


def tree(folder: Path) -> Run:
    """Run tree.yml with the lists of the other ways."""
    return playbook(HERE / "tree.yml", "-i", str(folder / "inventory"))


def install_pyinfra(folder: Path) -> Path:
    """Install pyinfra into its own virtual environment, and return its program."""
    run([sys.executable, "-m", "venv", str(folder)])
    run([str(folder / "bin/pip"), "install", "--quiet", "--require-hashes", "-r", str(HERE / "requirements.txt")])
    return folder / "bin/pyinfra"


def pyinfra(program: Path, folder: Path, *options: str) -> Run:
    """Run the pyinfra deploy."""
    command = [str(program), "--yes", "--no-wait", *options, "inventory.py", "deploy.py"]
    return run(command, {"BENCH_PYINFRA": str(folder / "pyinfra.json")}, cwd=HERE / "pyinfra_deploy")


def pyinfra_errors(done: Run) -> int:
    """Count failed operations from the last row of pyinfra's last table: hosts, success, error, no change.

    Its "success" can't count as a change: it sets an owner again if that is a number without a name, as for files that
    containers read. The state of the hosts is compared after each run anyway.
    """
    found = re.findall(r"Grand total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", done.output)
    if not found:
        sys.exit(f"No total in pyinfra's output:\n{done.output}")
    error = found[-1][2]
    return 0 if error == "-" else int(error)


def check_same(before: Mapping[str, Any], after: Mapping[str, Any], who: str) -> None:
    """Exit with the paths and units that a run changed on the hosts, if any."""
    differences = []
    for host, found in before.items():
        for name, tree in found["trees"].items():
            now = after[host]["trees"].get(name, {"files": {}, "folders": {}})
            for kind in ("files", "folders"):
                differences += [f"{host}: {path}" for path in tree[kind] if tree[kind][path] != now[kind].get(path)]
        now = after[host]["units"]
        differences += [f"{host}: {unit}" for unit, shown in found["units"].items() if shown != now.get(unit)]
    if differences:
        sys.exit(f"{who} changed the hosts:\n" + "\n".join(differences))


def check_out(commit: str, folder: Path) -> Before:
    """Check out an earlier version into `folder`, with this checkout's credentials. Exits if that fails."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"git can't check out {commit}: {done.stderr.strip()}")
        return done.stdout.strip()

    git("clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    for shared in (".access", ".venv"):
        (folder / shared).symlink_to(ROOT / shared)
    return Before(git("-C", str(folder), "rev-parse", "--short", "HEAD"), folder)


def site_before(before: Before) -> Run:
    """Converge the hosts with the earlier version's site.yml, then run it again and return that run."""
    playbook("site.yml", project=before.project)
    return playbook("site.yml", project=before.project)


def clean() -> None:
    """Remove tree.yml's records from the hosts."""
    playbook(HERE / "clean.yml", "-e", f"tree_name={TREE}", "-e", f"tree_manifest={MANIFEST}")


@contextlib.contextmanager
def put_right() -> Iterator[None]:
    """Remove this benchmark's records from the hosts at the end, and converge the hosts after a failure."""
    try:
        yield
    except BaseException:
        say("repairing staging")
        clean()
        playbook("site.yml")
        raise
    clean()


def take_turn(way: Way, folder: Path, number: int) -> None:
    """Run one way once. Exits if it reports a change."""
    done = way.start(folder)
    way.runs.append(done)
    say(f"round {number}, {way.title}: {done.seconds:.1f} s, {len(done.tasks)} tasks, {done.ssh.total()} SSH processes")
    if way.changed(done):
        sys.exit(f"{way.title} changed something, or failed:\n{done.output}")


def measure(ways: Mapping[str, Way], rounds: int, root: Path) -> dict[str, dict[str, Any]]:
    """Run all ways in turns, and check that none changes the hosts. Returns the lists of the end state, by host.

    Each round starts with the earlier version, if there is one; this version converges the hosts after it.
    """
    lists: dict[str, dict[str, Any]] = {}
    # With the records of a killed benchmark, tree.yml would remove files that are in them and not in its own list.
    clean()
    for number in range(1, rounds + 1):
        folder = root / f"round-{number}"
        with put_right():
            if "before" in ways:
                take_turn(ways["before"], folder, number)
            playbook("site.yml")
            state = capture()
            lists = write_project(state, folder)
            tree(folder)
            check_same(state, capture(), "The first run of tree.yml")
            for way in (way for key, way in ways.items() if key != "before"):
                take_turn(way, folder, number)
                check_same(state, capture(), way.title)
    return lists


def report(
    ways: Mapping[str, Way], lists: Mapping[str, Mapping[str, list[Any]]], before: Before | None, seconds: float
) -> bool:
    """Write README.md, print its tables, and return whether all goals were met; `seconds` is the total duration."""
    hosts = len(lists)
    rows = []
    ours = {name: ways[name] for name in ("tree", "configure", "site")}
    for key, way in ways.items():
        counts = [way.runs[-1].ssh.total() / hosts, max(way.runs[-1].ssh.values(), default=0)]
        ssh = "-" if key == "pyinfra" else f"{counts[0]:.1f} on average, {counts[1]:.0f} at most"
        tasks = "-" if key == "pyinfra" else str(len(way.runs[-1].tasks))
        cells = [f"{way.median:.1f} s", seconds_list(run.seconds for run in way.runs), tasks, ssh]
        rows.append([way.title, *cells, *(f"{way.median / our.median:.1f}" for our in ours.values())])
    head = ["way", "median", "rounds", "tasks", "SSH processes per host", *(f"to {our.title}" for our in ours.values())]
    found = judge(ways, hosts)
    result = table(head, rows)
    aims = "\n".join(f"| {wanted} | {value} | {verdict(met)} |" for wanted, value, met in found)
    print(f"{result}\n\n{aims}")
    PAGE.write_text(
        README.format(
            result=result,
            aims=aims,
            machine=common.machine(),
            hosts=hosts,
            rounds=len(ways["site"].runs),
            minutes=seconds / 60,
            again=f' OPTIONS="--before {before.commit}"' if before else "",
            before=BEFORE.format(commit=before.commit) if before else "",
            profile=profile.section(ways["site"].runs),
            **{kind: sum(len(variables[f"usual_{kind}"]) for variables in lists.values()) for kind in KINDS},
        )
    )
    return all(met for *_, met in found)


def judge(ways: Mapping[str, Way], hosts: int) -> list[tuple[str, str, bool]]:
    """Return each goal, its result, and whether it was met."""
    site, tree, configure = ways["site"], ways["tree"], ways["configure"]
    tasks = max(len(run.tasks) for run in site.runs)
    average = max(run.ssh.total() / hosts for run in site.runs)
    most = max(max(run.ssh.values(), default=0) for run in site.runs)
    found = [
        ("`site.yml` takes 10 s or less", f"{site.median:.1f} s", site.median <= 10),
        # Zero would mean that the counter is broken.
        ("60 tasks or fewer", str(tasks), 0 < tasks <= 60),
        ("5 SSH processes per host on average or fewer", f"{average:.1f}", 0 < average <= 5),
        ("20 SSH processes on any host or fewer", str(most), most <= 20),
    ]
    for way, most_of, other in (("site", 0.5, "before"), ("tree", 0.4, "pyinfra")):
        if other in ways:
            ratio = ways[way].median / ways[other].median
            wanted = f"{ways[way].title} takes at most {most_of} times as long as {ways[other].title}"
            found.append((wanted, f"{ratio:.2f} times as long", ratio <= most_of))
    for key, wanted, aim, others in (
        ("usual", "5 times as long as", 5, (tree, configure, site)),
        ("tuned", "longer than", 1, (tree, configure, site)),
        ("pyinfra", "longer than", 1, (configure, site)),
    ):
        for our in others:
            slower = ways[key].median / our.median
            found.append((f"{ways[key].title} takes {wanted} {our.title}", f"{slower:.1f} times as long", slower > aim))
    return found


def measure_site(rounds: int) -> list[Run]:
    """Run site.yml `rounds` times with nothing to do. Exits if a run changes something."""
    playbook("site.yml")
    way = Way("`site.yml`", lambda _: playbook("site.yml"))
    for number in range(1, rounds + 1):
        take_turn(way, ROOT, number)
    return way.runs


def main() -> None:
    """Run the benchmark and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", metavar="COMMIT", help="compare with this earlier version of Greenroom, too")
    parser.add_argument("--profile", action="store_true", help="only measure where site.yml's time goes")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    began = time.monotonic()
    if options.profile:
        profile.write(measure_site(options.rounds), PAGE)
        return
    with tempfile.TemporaryDirectory(prefix="greenroom-") as name:
        root = Path(name)
        say("installing pyinfra")
        program = install_pyinfra(root / "venv")
        before = check_out(options.before, root / "before") if options.before else None
        ways = {"site": Way("`site.yml`", lambda _: playbook("site.yml"))}
        if before:
            ways["before"] = Way(f"`site.yml` before ({before.commit})", lambda _: site_before(before))
        ways |= {
            "configure": Way("`configure.yml`", lambda _: playbook("bench/site/configure.yml")),
            "tree": Way("`tree.yml`", tree),
            "usual": Way("the usual way", lambda folder: usual("usual", folder)),
            "tuned": Way("the usual way, tuned", lambda folder: usual("tuned", folder)),
            "pyinfra": Way("pyinfra", lambda folder: pyinfra(program, folder), pyinfra_errors),
        }
        lists = measure(ways, options.rounds, root)
    if not report(ways, lists, before, time.monotonic() - began):
        sys.exit("A goal was missed: see the table.")


if __name__ == "__main__":
    main()
