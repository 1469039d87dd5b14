"""Commands of the container: ``serve`` (default) and ``migrate``."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """End: nothing is being served, not yet or (uvicorn raises the signal once more when it is done) no longer."""
    sys.exit(0)


def main(arguments: list[str]) -> int:
    """Run one command; the exit code is 2 for a wrong command or setting."""
    # The kernel gives a container's first process no default action for SIGTERM, so a stop that arrives while
    # the heavy imports below run would be ignored until it is killed.
    signal.signal(signal.SIGTERM, leave)
    command = arguments[0] if arguments else "serve"
    if len(arguments) > 1 or command not in {"serve", "migrate"}:
        print("usage: python -m portal [serve|migrate]", file=sys.stderr)
        return 2

    from . import logs, migrate, server
    from .settings import Settings, SettingsError

    logs.configure()
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"portal: {error}", file=sys.stderr)
        return 2
    return migrate.run(settings) if command == "migrate" else server.run(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
