# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures a run that changes nothing against the usual way: Ansible loops, the same tuned, and pyinfra.

    make bench-site [ROUNDS=3] [OPTIONS="--before COMMIT"]
    make bench-site OPTIONS=--profile

Takes what Greenroom put on staging's hosts, writes it down as an ordinary project's templates and lists, lets all ways
take turns on the same hosts, and checks after each that nothing was changed there: same files by content and rights,
same units, none restarted. What was taken contains secrets: it lies in a private folder outside the checkout that is
removed at the end. With `--before`, an earlier version of Greenroom takes turns, too: it may want the hosts otherwise,
so that it puts them right first, and this version afterwards, and neither is measured. Writes bench/site/README.md.

`--profile` measures nothing but where site.yml's own time goes, and writes that part of the page anew. Needs staging's
hosts.
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
# A run that changes nothing, against the usual way

Wanted: `site.yml` on a converged environment changes nothing, takes 10 s or less on two cores, with at most 60 tasks
and 5 ssh processes a host on average, none more than 20; it takes half the time of before, or less; it is 5 times
faster than the usual way, and faster than pyinfra. `tree.yml`, the like for like, takes at most 0.4 times as long as
pyinfra.

{result}

| wanted | found | |
| --- | --- | --- |
{aims}

Measured on {machine}, with the lab's {hosts} hosts on the same
machine; medians of {rounds} rounds in which the ways took turns, each with fresh connections. Again, with staging
converged (about {minutes:.0f} minutes):

    make bench-site{again}

## What is compared

All ways hold the same end state: {packages} packages, {folders} folders, {files} files and {units} units, counted over
all hosts. It was compared before and after each run: content, owner and mode of each file and folder, state and
invocation of each unit. Tasks are those that began, the skipped ones included.

- `site.yml` does more than the others: it validates, reads Vault and the registry, holds the run lock, keeps databases,
  logins and people, and checks the live slot as the public.
{before}- [configure.yml](configure.yml) leaves out people and the checks as the public, and nothing else.
- [tree.yml](tree.yml) is the like for like: the same lists of packages, files and units as the ways below get, by
  `apt` and one call of `template_tree`.
- [usual.yml](usual/usual.yml): `template`, `apt` and `systemd_service` in loops, with Ansible's defaults (facts, no
  pipelining, 5 forks). One short play, which is kinder to this way than roles in a row would be.
- [tuned.yml](usual/tuned.yml): pipelining, no facts, 50 forks, packages in one call, a pinned interpreter.
- [pyinfra](pyinfra_deploy/deploy.py), with hosts that need not wait for each other (`--no-wait`). It keeps one
  connection of its own to each host, so no ssh processes are counted.

The files of the other ways are written from those on the hosts: they need no variables and cost less to render than
real templates. None of the other ways reads a secret or looks at a database.

{profile}"""
BEFORE = """\
- "before" is `site.yml` of Greenroom at {commit}, from a checkout of its own. It may want the hosts otherwise: it
  converges them first, and this version afterwards, which is not counted.
"""


@dataclass
class Way:
    """One way to hold the end state, and what its runs took.

    `start` gets the folder with the other ways' files; what `changed` counts in a run has to be 0.
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
    """An earlier version of Greenroom: its commit's short name, and where it is checked out."""

    commit: str
    project: Path


def capture() -> dict[str, Any]:
    """Return what lies on each host, as read_host.py tells it, with the host's packages."""
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
    """Install pyinfra into a virtual environment of its own, and return its program."""
    run([sys.executable, "-m", "venv", str(folder)])
    run([str(folder / "bin/pip"), "install", "--quiet", "--require-hashes", "-r", str(HERE / "requirements.txt")])
    return folder / "bin/pyinfra"


def pyinfra(program: Path, folder: Path, *options: str) -> Run:
    """Run the pyinfra deploy."""
    command = [str(program), "--yes", "--no-wait", *options, "inventory.py", "deploy.py"]
    return run(command, {"BENCH_PYINFRA": str(folder / "pyinfra.json")}, cwd=HERE / "pyinfra_deploy")


def pyinfra_errors(done: Run) -> int:
    """Count the operations that failed, by the last row of its last table: hosts, success, error, no change.

    Its successes are no changes: it sets the owner anew where that is a number without a name, as for what containers
    read. What lies on the hosts is compared after each run anyway.
    """
    found = re.findall(r"Grand total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", done.output)
    if not found:
        sys.exit(f"No total in pyinfra's output:\n{done.output}")
    error = found[-1][2]
    return 0 if error == "-" else int(error)


def check_same(before: Mapping[str, Any], after: Mapping[str, Any], who: str) -> None:
    """End the program, naming paths and units, if a run changed anything on the hosts."""
    differences = []
    for host, found in before.items():
        for name, tree in found["trees"].items():
            now = after[host]["trees"].get(name, {"files": {}, "folders": {}})
            for kind in ("files", "folders"):
                differences += [f"{host}: {path}" for path in tree[kind] if tree[kind][path] != now[kind].get(path)]
        now = after[host]["units"]
        differences += [f"{host}: {unit}" for unit, shown in found["units"].items() if shown != now.get(unit)]
    if differences:
        sys.exit(f"{who} left another state:\n" + "\n".join(differences))


def check_out(commit: str, folder: Path) -> Before:
    """Check an earlier version out into `folder`, with this one's way into hosts; ends the program if there is none."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{commit} can't be checked out: {done.stderr.strip()}")
        return done.stdout.strip()

    git("clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    for shared in (".access", ".venv"):
        (folder / shared).symlink_to(ROOT / shared)
    return Before(git("-C", str(folder), "rev-parse", "--short", "HEAD"), folder)


def site_before(before: Before) -> Run:
    """Run the earlier version's site.yml when there is nothing left to do for it."""
    playbook("site.yml", project=before.project)
    return playbook("site.yml", project=before.project)


def clean() -> None:
    """Take away from the hosts what tree.yml notes there."""
    playbook(HERE / "clean.yml", "-e", f"tree_name={TREE}", "-e", f"tree_manifest={MANIFEST}")


@contextlib.contextmanager
def put_right() -> Iterator[None]:
    """Leave the hosts as they were: without this measurement's notes and, if it came to no good end, converged."""
    try:
        yield
    except BaseException:
        say("putting staging right")
        clean()
        playbook("site.yml")
        raise
    clean()


def take_turn(way: Way, folder: Path, number: int) -> None:
    """Let a way have its turn; ends the program if it changed anything, as it says itself."""
    done = way.start(folder)
    way.runs.append(done)
    say(f"round {number}, {way.title}: {done.seconds:.1f} s, {len(done.tasks)} tasks, {done.ssh.total()} ssh processes")
    if way.changed(done):
        sys.exit(f"{way.title} changed something, or failed:\n{done.output}")


def measure(ways: Mapping[str, Way], rounds: int, root: Path) -> dict[str, dict[str, Any]]:
    """Let the ways take turns; each has to leave everything as it was. Returns the lists of what was held, by host.

    Each round begins with the earlier version, if there is one, and with what this one makes of the hosts after it.
    """
    lists: dict[str, dict[str, Any]] = {}
    # Were notes of a measurement that was killed still there, tree.yml would remove what they name and it does not.
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
    """Write README.md, print its tables, and return whether all aims were met; `seconds` is what all of it took."""
    hosts = len(lists)
    rows = []
    ours = {name: ways[name] for name in ("tree", "configure", "site")}
    for key, way in ways.items():
        counts = [way.runs[-1].ssh.total() / hosts, max(way.runs[-1].ssh.values(), default=0)]
        ssh = "-" if key == "pyinfra" else f"{counts[0]:.1f} on average, {counts[1]:.0f} at most"
        tasks = "-" if key == "pyinfra" else str(len(way.runs[-1].tasks))
        cells = [f"{way.median:.1f} s", seconds_list(run.seconds for run in way.runs), tasks, ssh]
        rows.append([way.title, *cells, *(f"{way.median / our.median:.1f}" for our in ours.values())])
    head = ["way", "median", "rounds", "tasks", "ssh processes a host", *(f"to {our.title}" for our in ours.values())]
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
    """Return what was wanted, what was found, and whether that is enough."""
    site, tree, configure = ways["site"], ways["tree"], ways["configure"]
    tasks = max(len(run.tasks) for run in site.runs)
    average = max(run.ssh.total() / hosts for run in site.runs)
    most = max(max(run.ssh.values(), default=0) for run in site.runs)
    found = [
        ("`site.yml` takes 10 s or less", f"{site.median:.1f} s", site.median <= 10),
        # None at all would be a counter that does not count.
        ("60 tasks or fewer", str(tasks), 0 < tasks <= 60),
        ("5 ssh processes a host on average or fewer", f"{average:.1f}", 0 < average <= 5),
        ("20 ssh processes on any host or fewer", str(most), most <= 20),
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
    """Run site.yml so many times with nothing to do; ends the program if one changed something."""
    playbook("site.yml")
    way = Way("`site.yml`", lambda _: playbook("site.yml"))
    for number in range(1, rounds + 1):
        take_turn(way, ROOT, number)
    return way.runs


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", metavar="COMMIT", help="compare with this earlier version of Greenroom, too")
    parser.add_argument("--profile", action="store_true", help="measure only where site.yml's own time goes")
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
        sys.exit("An aim was missed: see the table.")


if __name__ == "__main__":
    main()
