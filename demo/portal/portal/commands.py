"""Commands of the container: ``serve`` (default), ``work``, ``migrate`` and ``seed``."""

from __future__ import annotations

import sys

from . import logs, migrate, seed, server, work
from .settings import Settings, SettingsError

COMMANDS = {"serve": server.run, "work": work.run, "migrate": migrate.run, "seed": seed.run}


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 2 for a wrong command or setting."""
    name, *rest = arguments or ["serve"]
    if rest or name not in COMMANDS:
        print(f"usage: python -m portal [{'|'.join(COMMANDS)}]", file=sys.stderr)
        return 2
    logs.configure()
    try:
        settings = Settings.from_environment(worker=name == "work")
    except SettingsError as error:
        print(f"portal: {error}", file=sys.stderr)
        return 2
    return COMMANDS[name](settings)
