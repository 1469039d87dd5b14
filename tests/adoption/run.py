# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Does what docs/adopt.md says, on six blank hosts of the lab, and measures how long it takes.

    make proof-adopt       or, with the lab up (make lab):       python -m tests.adoption.run [--keep]

It works in a copy of this checkout, as a reader works in a clone of the repository, and takes all files and commands
from the page. Meanwhile, it uses both programs as their users do. The hosts are removed at the end, unless `--keep` is
given. Writes tests/adoption/README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

from greenroom_lab import cache, podman

from bench.common import ROOT, machine, say, table, verdict
from tests.adoption import page, programs, users

ENVIRONMENT = "acme"
HOSTS = Path(__file__).resolve().parent / "inventories"
AIM_SECONDS, AIM_LINES = 480, 25
FIRST = ("The environment", "Miniflux")
"""The sections after which the first program serves."""
README = """\
# Two programs adopted

Goals: from six blank hosts until a program that others wrote serves over TLS, blue-green, the runs take {aim} s or
less, and the operator writes {most} lines or fewer.

{result}

Until Miniflux served: **{seconds:.0f} s** ({met}), {lines} lines ({short}). After that, a client requested Miniflux's
page all the time: {failures} of {asked} requests failed.

Measured on {machine}, with the hosts on the same
machine. The time starts when the hosts are up and the images are in the registry. To repeat this (about
{minutes:.0f} minutes):

    make proof-adopt

The script does what [the page](../../docs/adopt.md) says: it takes the files and the commands from it.
"""


def lab(*words: str) -> None:
    """Run a command of the lab. Exits if it fails."""
    subprocess.run(
        [sys.executable, "lab/lab", *words],
        cwd=ROOT,
        env={**os.environ, "GREENROOM_LAB_INVENTORIES": str(HOSTS)},
        check=True,
    )


def remove() -> None:
    """Remove the environment's hosts and what they keep, so that the next ones are blank."""
    with cache.only_one():
        podman.setup()
        prefix = f"greenroom-{ENVIRONMENT}-"
        for name in sorted(name for name in podman.containers() if name.startswith(prefix)):
            podman.call("container", "rm", "--force", "--time=0", name)
        kept = [name for name in podman.call("volume", "ls", "--format={{.Name}}").split() if name.startswith(prefix)]
        if kept:
            podman.call("volume", "rm", "--force", *kept)


def clone(folder: Path) -> None:
    """Copy this checkout's files into a folder, with links to its access folder and virtual environment."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if os.path.lexists(ROOT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for name in (".access", ".venv"):
        (folder / name).symlink_to((ROOT / name).resolve())


class Reader:
    """Somebody who follows the page in a clone of the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exports: list[str] = []
        self.took: list[tuple[page.Step, float]] = []

    def does(self, step: page.Step) -> None:
        """Write a file or run a command. Exits if it fails."""
        start = time.monotonic()
        if step.content:
            path = self.folder / step.words
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.content)
        elif step.words.startswith("export "):
            self.exports.append(step.words)
        else:
            say(f"$ {step.words}")
            script = "\n".join(["set -e", *self.exports, step.words])
            env = {**os.environ, "PATH": f"{self.folder}/.venv/bin:{os.environ['PATH']}"}
            done = subprocess.run(["bash", "-c", script], cwd=self.folder, env=env, check=False)
            if done.returncode:
                sys.exit(f'"{step.section}" failed: {step.words}')
        self.took.append((step, time.monotonic() - start))
        if not step.content:
            say(f"  {self.took[-1][1]:.0f} s")

    def seconds(self, *sections: str) -> float:
        """How long these sections took."""
        return sum(seconds for step, seconds in self.took if step.section in sections)

    def lines(self, *sections: str) -> int:
        """How many lines the operator writes for these sections."""
        return sum(step.lines for step, _seconds in self.took if step.section in sections)


def follow(reader: Reader) -> users.Visitor:
    """Do what the page says, and check after each section what it promises; return who visited meanwhile."""
    everything = page.steps()
    sections = list(dict.fromkeys(step.section for step in everything))
    visitor = users.Visitor(reader.folder, ENVIRONMENT)
    after: dict[str, Callable[[], None]] = {
        "Miniflux": visitor.reads,
        "A change, and back": visitor.still_reads,
        "Radicale": visitor.still_has_her_calendar,
    }
    for section in sections:
        with visitor.visiting(section != "The environment" and section not in FIRST):
            for step in everything:
                if step.section == section:
                    reader.does(step)
                    if section == "Radicale" and step.words.endswith("site.yml"):
                        visitor.writes_her_calendar()
        after.get(section, lambda: None)()
    return visitor


def main() -> None:
    """Follow the page and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="keep the hosts at the end")
    options = parser.parse_args()
    began = time.monotonic()
    programs.push()
    remove()
    try:
        lab("up", ENVIRONMENT)
        with tempfile.TemporaryDirectory(prefix="greenroom-adopt-") as name:
            clone(Path(name))
            reader = Reader(Path(name))
            visitor = follow(reader)
    finally:
        if not options.keep:
            remove()
    seconds, lines = reader.seconds(*FIRST), reader.lines(*FIRST)
    sections = list(dict.fromkeys(step.section for step, _seconds in reader.took))
    rows = [[name, f"{reader.lines(name)}", f"{reader.seconds(name):.0f} s"] for name in sections]
    result = table(["section of the page", "lines", "machine time"], rows)
    Path(__file__).with_name("README.md").write_text(
        README.format(
            aim=AIM_SECONDS,
            most=AIM_LINES,
            result=result,
            seconds=seconds,
            met=verdict(seconds <= AIM_SECONDS),
            lines=lines,
            short=verdict(lines <= AIM_LINES),
            asked=visitor.asked,
            failures=len(visitor.failures),
            machine=machine(),
            minutes=(time.monotonic() - began) / 60,
        )
    )
    print(result)
    if visitor.failures:
        sys.exit(f"{len(visitor.failures)} requests failed: {visitor.failures[:5]}")
    if seconds > AIM_SECONDS or lines > AIM_LINES:
        sys.exit("A goal was missed: see tests/adoption/README.md.")


if __name__ == "__main__":
    main()
