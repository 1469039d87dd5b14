"""The command line of ``openloop``, and the limits of every load."""

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
    command = commands.add_parser("openloop", help="send requests on schedule, without retries, and record each result")
    command.add_argument("--url", required=True, help="the public address: https://<name>")
    command.add_argument("--connect", default="", help="connect to this address instead of resolving the name")
    command.add_argument("--ca-file", type=Path, help="CA of the certificate")
    command.add_argument("--user", default="", help="user name for the edge's password, VISITORS_EDGE_PASSWORD")
    command.add_argument("--slot", default="", help="choose this slot, as a tester")
    command.add_argument("--path", default="", help="request this path instead of the test endpoints")
    command.add_argument(
        "--kind", action="append", default=[], metavar="NAME=RATE", help="such as h1-keep-get-0=20; repeatable"
    )
    command.add_argument("--seconds", type=float, required=True, help=f"duration, at most {SECONDS_LIMIT}")
    command.add_argument("--count", type=int, default=0, help="maximum number of requests")
    command.add_argument("--timeout", type=float, default=30.0, help="timeout of a response in seconds")
    command.add_argument("--finish", type=float, default=25.0, help="seconds to wait for the last responses")
    command.add_argument(
        "--visitors", type=int, default=0, help="clients that keep the edge's cookie, on kept-alive connections"
    )
    command.add_argument("--run", required=True, help="prefix of the request IDs")
    command.add_argument("--reports", type=Path, default=Path("/reports"), help="folder for the results")


def run(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the load and return the exit code: 2 for invalid options."""
    try:
        plan, door = read(given, environment)
    except (ValueError, OSError) as error:
        print(f"visitors: {error}", file=sys.stderr)
        return 2
    return runner.run(plan, door)


def read(given: Any, environment: Mapping[str, str]) -> tuple[runner.Plan, Door]:
    """Return the plan and the destination. Raises ValueError and OSError."""
    wanted = rates(given.kind)
    if not 0 < given.seconds <= SECONDS_LIMIT:
        raise ValueError(f"--seconds must be more than 0 and no more than {SECONDS_LIMIT}")
    if sum(wanted.values()) > RATE_LIMIT:
        raise ValueError(f"--kind: {sum(wanted.values()):g} requests a second; at most {RATE_LIMIT} are allowed")
    if given.count < 0 or given.timeout <= 0 or given.finish < 0 or given.visitors < 0:
        raise ValueError("--count, --timeout, --finish and --visitors must not be less than 0")
    if not RUN.fullmatch(given.run):
        raise ValueError("--run: expected up to 40 letters, digits, dots, dashes and underscores")
    if not given.reports.is_dir():
        raise ValueError(f"{given.reports}: no such folder")
    if given.path and any(kind.protocol == "ws" or kind.ms or kind.method != "GET" for kind in wanted):
        raise ValueError("--path: all kinds must have GET and 0 ms")
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
