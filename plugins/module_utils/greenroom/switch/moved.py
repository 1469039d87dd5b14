# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether traffic was moved since a run's own switch: by `greenroom-edge back`, playbooks/abort.yml, or a deadline.

A run that watches a slot asks while it sends probes, so that it need not wait for the end of the interval.
"""

from __future__ import annotations

import threading
from types import TracebackType

from . import peers as switch_peers
from .peers import Peers

PAUSE = 1.0
"""Seconds between two questions."""
SECONDS = 1.5
"""The timeout for all edge hosts together."""


class Moved:
    """Asks the edge hosts in the background for the time of a with block."""

    def __init__(self, edges: Peers, site: str, epoch: int) -> None:
        self._edges, self._site, self._epoch = edges, site, epoch
        self._seen, self._end = threading.Event(), threading.Event()

    def seen(self) -> bool:
        """Whether the edge hosts that answer have a higher epoch. One that is behind must catch up first."""
        return self._seen.is_set()

    def __enter__(self) -> Moved:
        """Begin to ask."""
        threading.Thread(target=self._ask, daemon=True).start()
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End asking."""
        self._end.set()

    def _ask(self) -> None:
        while not self._end.wait(PAUSE):
            states, _problems = switch_peers.states(self._edges, self._site, SECONDS)
            if states and all(state.epoch > self._epoch for state in states.values()):
                self._seen.set()
                return
