"""The command line of ``openloop``, and the bounds that no load goes beyond."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import run as runner
from .door import Door
from .kinds import rates

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SECONDS_LIMIT = 7200
RATE_LIMIT = 2000
RUN = re.compile(r"[A-Za-z0-9._-]{1,40}")


def add(commands: Commands) -> None:
    """Add the command and its options."""
    command = commands.add_parser("openloop", help="send requests at their time, retry nothing, account for every one")
    command.add_argument("--url", required=True, help="the public address: https://<name>")
    command.add_argument("--connect", default="", help="connect to this address instead of the name's")
    command.add_argument("--ca-file", type=Path, help="who signs the certificate")
    command.add_argument(
        "--user", default="", help="user whom the edge asks for; VISITORS_EDGE_PASSWORD is the password"
    )
    command.add_argument("--slot", default="", help="ask for this slot, as a tester")
    command.add_argument("--path", default="", help="ask this instead of the test endpoints")
    command.add_argument(
        "--kind", action="append", default=[], metavar="NAME=RATE", help="h1-keep-get-0=20; repeatable"
    )
    command.add_argument("--seconds", type=float, required=True, help=f"how long, at most {SECONDS_LIMIT}")
    command.add_argument("--count", type=int, default=0, help="no more requests than this")
    command.add_argument("--timeout", type=float, default=30.0, help="seconds that an answer may take")
    command.add_argument("--finish", type=float, default=25.0, help="seconds that the last ones may take after the end")
    command.add_argument(
        "--visitors", type=int, default=0, help="so many people keep the edge's cookie, on kept connections; 0: nobody"
    )
    command.add_argument("--run", required=True, help="start of every request's id")
    command.add_argument("--reports", type=Path, default=Path("/reports"), help="folder for the account")


def run(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Make the load and return the exit code: 2 for what is wrong or too much."""
    try:
        plan, door = read(given, environment)
    except (ValueError, OSError) as error:
        print(f"visitors: {error}", file=sys.stderr)
        return 2
    return runner.run(plan, door)


def read(given: Any, environment: Mapping[str, str]) -> tuple[runner.Plan, Door]:
    """Return what to send and where to. Raises ValueError and OSError."""
    wanted = rates(given.kind)
    if not 0 < given.seconds <= SECONDS_LIMIT:
        raise ValueError(f"--seconds must be more than 0 and no more than {SECONDS_LIMIT}")
    if sum(wanted.values()) > RATE_LIMIT:
        raise ValueError(f"--kind: {sum(wanted.values()):g} requests a second; no more than {RATE_LIMIT} are allowed")
    if given.count < 0 or given.timeout <= 0 or given.finish < 0 or given.visitors < 0:
        raise ValueError("--count, --timeout, --finish and --visitors must not be less than 0")
    if not RUN.fullmatch(given.run):
        raise ValueError("--run: expected up to 40 letters, digits, dots, dashes and underscores")
    if not given.reports.is_dir():
        raise ValueError(f"{given.reports}: no such folder")
    if given.path and any(kind.protocol == "ws" or kind.ms or kind.method != "GET" for kind in wanted):
        raise ValueError("--path: kinds must be of GET and 0 ms then")
    password = environment.get("VISITORS_EDGE_PASSWORD", "")
    door = Door.of(
        given.url,
        connect=given.connect,
        ca_file=given.ca_file,
        login=(given.user, password) if given.user else None,
        slot=given.slot,
        path=given.path,
    )
    if door.ca_file:
        door.context("http/1.1")
    bounds = (given.count, given.timeout, given.finish, given.visitors)
    plan = runner.Plan(wanted, given.seconds, given.run, given.reports, *bounds)
    return plan, door
