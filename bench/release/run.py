# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Measures a new portal release on staging: from the command until public traffic gets it.

    make bench-release [ROUNDS=6]

Each round runs `site.yml -e release_name=...` with a release that no host has seen. Its name is new, so every service
of the idle slot gets a new bundle. The portal's image (1.1.0 and 1.0.0 in turn) is removed from the hosts first, so
they pull it from the registry. Meanwhile, a client requests /version ten times per second. At the end, the release
files are removed, and site.yml deploys the inventory's own release. Writes bench/release/README.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml

from bench.common import ROOT, machine, say, table, verdict
from tests.real.environment import Environment

HERE = Path(__file__).resolve().parent
AIM = 25
README = """\
# A new portal release: from the command until it serves

Goal: {aim} s or less on two cores, with the image in the registry, and no failed request meanwhile.

{result}

Median until public traffic got it: **{median:.1f} s** ({verdict}). A client sent {asked} requests meanwhile; {failures}
responses were not 200.

Measured on {machine}, with the lab's hosts on the same machine.
To repeat this, with staging converged (about {minutes:.0f} minutes):

    make bench-release

Each round is `ansible-playbook -i inventories/staging site.yml -e release_name=<new>`, complete with all checks.
Public traffic got the release when the first response of /version, requested ten times per second, named it. After
that, the command continues with public checks. No host had seen the release: its name was new, which changes every
service of the idle slot, and the portal's image was removed from the hosts (its base layers stayed, because another
release shares them).
"""


@dataclass
class Release:
    """One deployed release: its portal image, seconds until it served and until the command ended, client figures."""

    portal: str
    served: float
    ended: float
    asked: int
    failures: list[str]


def image(name: str) -> dict[str, str]:
    """Return the images of one of the project's releases."""
    images: dict[str, str] = yaml.safe_load((ROOT / f"releases/{name}.yml").read_text())["images"]
    return images


def forget_image(staging: Environment, live_image: str) -> None:
    """Remove every portal image except the live one from the app hosts, and stop the idle portal for that."""
    idle = staging.idle()
    script = f"""\
systemctl stop portal-{idle}.service
podman images --digests --format '{{{{.Repository}}}}@{{{{.Digest}}}}' |
  grep /greenroom/portal@ | grep -vF '{live_image}' |
  while read -r name; do podman rmi --ignore "$name" || exit 1; done
"""
    for host in staging.groups["app"]:
        staging.ssh(host, script)


def visit(staging: Environment) -> tuple[str, str]:
    """Request /version as a client; returns (release, error)."""
    try:
        status, _, body = staging.get("/version")
    except (OSError, HTTPException) as error:
        return "", repr(error)
    found: dict[str, Any] = yaml.safe_load(body) if status == 200 else {}
    return str(found.get("release", "")), "" if status == 200 else f"status {status}"


def roll_out(staging: Environment, name: str, portal: str) -> Release:
    """Run site.yml with a release while a client sends requests. Exits if it fails."""
    live = staging.bundle(next(iter(staging.groups["app"])), staging.live())
    forget_image(staging, live["metadata"]["images"]["portal"])
    result = Release(portal, 0.0, 0.0, 0, [])
    output = ROOT / ".lab/bench-release.log"
    started = time.monotonic()
    with output.open("w") as file:
        command = staging.command("site.yml", "-e", f"release_name={name}")
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                release, wrong = visit(staging)
                result.asked += 1
                result.failures += [wrong] if wrong else []
                if release == name and not result.served:
                    result.served = time.monotonic() - started
                time.sleep(0.1)
        finally:
            process.terminate()
            process.wait()
    result.ended = time.monotonic() - started
    if process.returncode or not result.served:
        sys.exit(f"The release {name} was not served:\n{output.read_text()}")
    output.unlink()
    return result


def write(rounds: list[Release]) -> bool:
    """Write README.md, print its table, and return whether the goal was met."""
    median = statistics.median(release.served for release in rounds)
    failures = sum(len(release.failures) for release in rounds)
    met = median <= AIM and not failures
    result = table(
        ["round", "portal", "until public traffic got it", "until the command ended"],
        (
            [str(number), release.portal.rpartition(":")[2], f"{release.served:.1f} s", f"{release.ended:.1f} s"]
            for number, release in enumerate(rounds, 1)
        ),
    )
    print(f"{result}\n\nmedian {median:.1f} s, {failures} failures")
    (HERE / "README.md").write_text(
        README.format(
            aim=AIM,
            result=result,
            median=median,
            verdict=verdict(met),
            asked=sum(release.asked for release in rounds),
            failures=failures,
            machine=machine(),
            minutes=sum(release.ended for release in rounds) / 60 + 2,
        )
    )
    return met


def main() -> None:
    """Run the benchmark and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    staging = Environment(say=say)
    staging.converge()
    rounds, files = [], []
    try:
        for number in range(1, options.rounds + 1):
            version = "1.1" if number % 2 else "1.0"
            images = image(version)
            # A new name. Personas need a release number, and the process ID keeps it from meeting a real release.
            name = f"{version}.{os.getpid()}.{number}"
            files.append(ROOT / f"releases/{name}.yml")
            files[-1].write_text(yaml.safe_dump({"images": images}))
            rounds.append(roll_out(staging, name, images["portal"]))
            say(f"round {number}, {images['portal']}: served after {rounds[-1].served:.1f} s")
    finally:
        for file in files:
            file.unlink()
        staging.converge()
    if not write(rounds):
        sys.exit("The goal was missed: see the table.")


if __name__ == "__main__":
    main()
