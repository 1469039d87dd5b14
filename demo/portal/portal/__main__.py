"""The container's first process."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """End: nothing is being served, not yet or (uvicorn raises the signal once more when it is done) no longer."""
    sys.exit(0)


if __name__ == "__main__":
    # The kernel gives a first process no default action for SIGTERM: a stop that arrives while the rest of the program
    # is still being imported would be ignored until the process is killed.
    signal.signal(signal.SIGTERM, leave)
    sys.exit(importlib.import_module("portal.commands").main(sys.argv[1:]))
