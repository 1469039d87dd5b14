"""Commands of the container: ``simulate``, ``load`` and ``openloop``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import load, simulate
from .openloop import command as openloop
from .settings import Settings, SettingsError

SPAN = re.compile(r"(\d+)([hm])")
CONFIG = Path("/etc/visitors/config.json")
REPORTS = Path("/reports")


def moment(text: str) -> datetime:
    """Parse a time; the default time zone is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def span(text: str) -> timedelta:
    """Parse a duration, such as 90m or 24h."""
    match = SPAN.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text}: expected a duration such as 90m or 24h")
    return timedelta(**{"hours" if match[2] == "h" else "minutes": int(match[1])})


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m visitors", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    few = commands.add_parser("simulate", help="make the visits of this interval on schedule")
    few.add_argument("--at", type=moment, help="make the visits of another time, without waiting: 2026-01-31T09:00")
    few.add_argument("--for", type=span, dest="length", help="make the visits of this duration, without waiting: 24h")
    few.add_argument("--plan", action="store_true", help="only print the scheduled visits")
    many = commands.add_parser("load", help="run many users at once, and write a report and a verdict")
    many.add_argument("--reports", type=Path, default=REPORTS, help="folder for the report")
    for command in (few, many):
        command.add_argument("--config", type=Path, default=CONFIG, help="settings file")
    openloop.add(commands)
    return top


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 2 for a wrong command or setting."""
    given = parser().parse_args(arguments)
    if given.command == "openloop":
        return openloop.run(given, os.environ)
    try:
        settings = Settings.read(given.config, os.environ)
    except SettingsError as error:
        print(f"visitors: {error}", file=sys.stderr)
        return 2
    if given.command == "load":
        return load.run(settings, given.config, given.reports)
    start, end = simulate.span(given.at or datetime.now(UTC), settings.interval, given.length)
    if given.plan:
        return simulate.plan(settings, start, end)
    return simulate.run(settings, start, end, wait=given.at is None and given.length is None)
