# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""greenroom-edge back: moves public traffic back to the previous slot on an edge host, without a controller."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from . import apply, steps, takeover
from . import peers as switch_peers
from .apply import Places
from .bluegreen import State, SwitchError
from .clock import Clock
from .host import Host
from .report import unhealthy

PEERS_SECONDS = 0.3
"""The timeout for all peers together. One that is slower learns of the move by itself."""
FORCE = "To go back all the same: greenroom-edge back --force"


def back(host: Host) -> int:
    """Move public traffic back to the previous slot, or end a canary; the other edge hosts follow."""
    return _back(host, forced=False)


def back_by_force(host: Host) -> int:
    """Go back even if no server of that slot is healthy."""
    return _back(host, forced=True)


def _back(host: Host, forced: bool) -> int:
    states, problems = switch_peers.states(host.peers, host.places.site, PEERS_SECONDS)
    clock = Clock.now()
    with apply.locked(host.places):
        seen = apply.look(host.places)
        now = apply.caught_up(seen, takeover.together(states.values()), clock)
        if now is None:
            raise SwitchError(f"refused: no slot is live here. {seen.damage or 'There is no state file'}")
        try:
            wanted = steps.go_back(now, f"greenroom-edge back on {socket.gethostname()}", clock)
        except SwitchError:
            # An earlier call may have died after it wrote the disk.
            apply.apply(host.places, seen, now)
            raise
        if not forced:
            _check(host.places, wanted.live)
        apply.apply(host.places, seen, wanted)
    for line in _told(host, now, wanted, problems):
        print(line)
    return 0


def _check(places: Places, slot: str) -> None:
    """Raise SwitchError unless each of the slot's backends has a healthy server."""
    try:
        ill = unhealthy(places, slot)
    except SwitchError as error:
        raise SwitchError(f"refused: {error}. {FORCE}") from error
    if ill:
        what = ", ".join(f"{name} ({', '.join(servers)})" for name, servers in ill.items())
        why = f"There, sudo systemctl status '*-{slot}.service' says why"
        raise SwitchError(f"refused: no server of {what} is healthy. {why}. {FORCE}")


def _told(host: Host, now: State, wanted: State, problems: Mapping[str, str]) -> Iterator[str]:
    """Yield what happened, what did not, and what to do next."""
    left = now.candidate if now.weight else now.live
    yield f"{wanted.live} has all public traffic on this host, at epoch {wanted.epoch}. {left} has none."
    if now.operation:
        yield f"Operation {now.operation.id} ({now.phase}) is over. If its run still exists, it fails."
    for address in host.peers.addresses:
        if problem := problems.get(address):
            yield (
                f"Edge host {address} did not answer ({problem}). It follows when it reaches this host, "
                "unless it has a higher epoch."
            )
        else:
            yield f"Edge host {address} follows within {host.watchdog_seconds:g} s."
    yield "Not rolled back: database migrations, data written since, mail already sent, rotated keys."
    if now.weight:
        return
    yield f"Background services still run for {left}."
    yield (
        f"Next, from the controller: playbooks/cutover.yml without `to` moves background services to {wanted.live}, "
        f"and no traffic. Then set release_name in the inventory to the release of {wanted.live}; otherwise, site.yml "
        f"deploys the one of {left} again."
    )
