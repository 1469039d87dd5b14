# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the log of an edge host doesn't have, and HAProxy's workers know: open requests, and lines that were dropped.

HAProxy logs a request when it ends. So the log has nothing about a request that hangs.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping

OPEN = "show sess older 1s"
"""The command that shows open requests: those that wait for a response, and uploads, downloads and WebSockets."""
INFO = "show info"
"""The command that shows how many log lines a worker has dropped, because journald did not keep up."""
PAUSE = 0.5

_RECORD = re.compile(r"^(?=0x[0-9a-f]+: )", re.M)
_WAITING = re.compile(
    r"0x[0-9a-f]+: \[.*?\] id=(?P<id>\d+) .*?"
    r" backend=\S+_(?P<slot>blue|green) .*?"
    r" txn=\S+ flags=\S+ meth=\d+ status=-1 req\.st=(?P<request>\S+) ",
    re.S,
)
_DROPPED = re.compile(r"^DroppedLogs: (\d+)", re.M)
_UPLOADING = "MSG_DATA"


def waiting(shown: str) -> dict[str, str]:
    """Return {id: slot} of the requests that wait for a service's response, from the output of `OPEN`."""
    found = filter(None, map(_WAITING.match, _RECORD.split(shown)))
    return {each["id"]: each["slot"] for each in found if each["request"] != _UPLOADING}


def dropped(shown: str) -> int:
    """Return how many log lines a worker has dropped since it started, from the output of `INFO`."""
    found = _DROPPED.search(shown)
    return int(found[1]) if found else 0


def settle(ask: Callable[[], Mapping[str, str]], seconds: float) -> dict[str, int]:
    """Wait until the requests that wait now have ended, `seconds` at most; returns {slot: how many have not}.

    `ask` returns {id: slot} of all requests that wait. Requests that come later don't count.
    """
    give_up = time.monotonic() + seconds
    left = dict(ask())
    while left and time.monotonic() < give_up:
        time.sleep(PAUSE)
        now = ask()
        left = {name: slot for name, slot in left.items() if name in now}
    return dict(Counter(left.values()))
