"""The container's first process."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """Exit, in the middle of a visit if necessary."""
    sys.exit(0)


if __name__ == "__main__":
    # Process 1 has no default action for SIGTERM.
    signal.signal(signal.SIGTERM, leave)
    sys.exit(importlib.import_module("visitors.commands").main(sys.argv[1:]))
