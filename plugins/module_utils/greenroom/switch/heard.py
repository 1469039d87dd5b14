# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What an edge host has heard from its peers since HAProxy started: for status, the journal and a metric.

An edge host serves although its peers are silent, and then it may serve an old slot. So it must say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from ..common import durable
from .bluegreen import SLOTS, State

UNCONFIRMED = (
    "no other edge host has confirmed the state since HAProxy started here, so it may be old: "
    "check that the edge hosts reach each other (edge_peers_port, certificate, clock)"
)
STALE_SECONDS = 60
"""After this time without a check, nothing is known about the peers any more: the watchdog doesn't run."""


@dataclass(frozen=True)
class Heard:
    """The problem of each peer by its address, None if it answers; whether one has `confirmed` the state here.

    A peer confirms a state if it has the same epoch and position.
    """

    peers: Mapping[str, str | None] = field(default_factory=dict)
    confirmed: bool = False

    @property
    def unconfirmed(self) -> bool:
        """Whether no peer has confirmed the state since HAProxy started here; False without peers."""
        return bool(self.peers) and not self.confirmed

    @classmethod
    def from_file(cls, path: str) -> Heard:
        """Read what the watchdog has noted; nothing without a usable file. An old file is each peer's problem."""
        try:
            with open(path, encoding="utf-8") as file:
                found = cls(**json.load(file))
                age = time.time() - os.fstat(file.fileno()).st_mtime
        except (OSError, ValueError, TypeError):
            return cls()
        if age > STALE_SECONDS:
            silent = f"not asked for {age:.0f} s: greenroom-edge.service doesn't run, or can't write {path}"
            return cls(dict.fromkeys(found.peers, silent), found.confirmed)
        return found

    def after(
        self, addresses: Iterable[str], own: State | None, states: Mapping[str, State], problems: Mapping[str, str]
    ) -> Heard:
        """Return this with the peers' latest answers: the `states` in effect there, or `problems`, by address.

        Without an `own` state, there is nothing to confirm.
        """
        same = own is None or any(state.precedence == own.precedence for state in states.values())
        return Heard({address: problems.get(address) for address in addresses}, self.confirmed or same)

    def news(self, before: Heard) -> Iterator[str]:
        """Yield a line for each peer that stopped or began to answer, and for each change of `unconfirmed`.

        Not for another problem of the same peer: a dead host's may change with every check.
        """
        for address, problem in self.peers.items():
            if problem and not before.peers.get(address):
                yield f"edge host {address}: {problem}"
            if not problem and before.peers.get(address):
                yield f"edge host {address}: answers again"
        if self.unconfirmed and not before.unconfirmed:
            yield UNCONFIRMED
        if before.unconfirmed and not self.unconfirmed:
            yield "another edge host confirms the state"

    def write(self, path: str) -> None:
        """Note it for `from_file`; raises OSError."""
        _write(path, json.dumps(asdict(self)))

    def write_metrics(self, path: str, own: State | None = None) -> None:
        """Write it for Prometheus' node exporter, which also tells when the file was written; raises OSError.

        `own` is the state on this host.
        """
        silent = self.peers.items()
        live = own.live if own else None
        # Roles render this file as a template, so it must not have double braces.
        lines = [
            "# HELP greenroom_edge_peer_silent Whether another edge host does not say what it has in effect.",
            "# TYPE greenroom_edge_peer_silent gauge",
            *("greenroom_edge_peer_silent{peer=" + f'"{peer}"' + "} " + str(int(bool(why))) for peer, why in silent),
            "# HELP greenroom_edge_unconfirmed Whether no other edge host has confirmed the state here yet.",
            "# TYPE greenroom_edge_unconfirmed gauge",
            f"greenroom_edge_unconfirmed {int(self.unconfirmed)}",
            "# HELP greenroom_edge_live Whether the slot is live, by this host's state.",
            "# TYPE greenroom_edge_live gauge",
            *("greenroom_edge_live{slot=" + f'"{slot}"' + "} " + str(int(slot == live)) for slot in SLOTS),
            "# HELP greenroom_edge_epoch The number of the last switch, by this host's state.",
            "# TYPE greenroom_edge_epoch gauge",
            f"greenroom_edge_epoch {own.epoch if own else 0}",
        ]
        _write(path, "\n".join(lines))


def _write(path: str, text: str) -> None:
    """Write a file, or only its time if it has this text; raises OSError. After a power failure it may be missing."""
    content = f"{text}\n".encode()
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        if file.read() == content:
            os.utime(path)
            return
    durable.write(path, content, forced=False)
