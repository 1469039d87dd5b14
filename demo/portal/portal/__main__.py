"""The container's first process."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """Exit. No request is open: uvicorn has not started yet, or it has finished and raised the signal again."""
    sys.exit(0)


if __name__ == "__main__":
    # Process 1 has no default action for SIGTERM. Without a handler, it would ignore a stop during imports, and run
    # until it is killed.
    signal.signal(signal.SIGTERM, leave)
    sys.exit(importlib.import_module("portal.commands").main(sys.argv[1:]))
