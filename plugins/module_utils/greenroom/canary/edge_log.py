# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The public requests in an edge host's log, counted by slot, route and client.

Routes are `all <method> <path>` for each route of the catalog, with everything below it, and `<method> <path>` for the
paths one segment below. Clients may request any path, so only those that most clients use have their own counts.

What counts as one client is a group of them, because the number of groups is limited: `c<number>` for clients that
keep their cookie (or are known by address), `n<number>` for new ones, and `a<number>` for addresses, where the edge's
line says nothing else. All clients of a group are on the same slot.
"""

from __future__ import annotations

import ipaddress
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .figures import Figures, Visits, add, counts_of, empty, note

ROUTES = 24
"""How many paths have their own counts, next to the catalog's routes; further ones count as `OTHER`."""
OTHER = "other"
MOST_ROUTES = 1000
"""How many paths are remembered while reading."""
GROUPS = 1000
"""The number of groups of clients, as in the edge's configuration."""
GROUP = re.compile(r"[cn]\d{1,3}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WHOLE = "all "
"""The beginning of the name of a catalog's route. A client can't send a method with a space."""
NO_SERVER = "<NOSRV>"
NOWHERE = "nowhere"
"""The edge's backend for paths without a route in the slot. A slot that lacks a route refuses its requests there."""
CHOSEN = ("live", "share", "instead")
"""How the slot of a public request was chosen. Testers choose their slot, and their requests don't count."""
INSTEAD = "instead"
"""The candidate had no healthy server, so the live slot served: counts as a failure of the candidate."""
OTHER_SLOT = {"blue": "green", "green": "blue"}


@dataclass(frozen=True)
class Request:
    """A request: its path, the catalog's route (empty if there is none), its client and the group of its address."""

    route: str
    catalogued: str
    client: str
    address: int | None


class EdgeLog:
    """Counts lines of a log. `routes` are the paths of the catalog's routes."""

    def __init__(self, routes: Iterable[str] = ()) -> None:
        # The longest match wins, as at the edge.
        self._catalog = sorted({route.rstrip("/") for route in routes}, key=len, reverse=True)
        self._slots: dict[str, Figures] = {slot: empty() for slot in OTHER_SLOT}
        self._visits = {slot: Visits() for slot in OTHER_SLOT}
        self._asked: dict[str, int] = {}
        self._served: dict[str, int] = {}
        """The addresses (one bit for each group) that requested a path, and those that got a regular response."""

    def take(self, line: str) -> str | None:
        """Add a line to the figures of the slot that served; returns the slot, None if the line is skipped.

        Skips responses of the edge itself (redirects, passwords, rate limits), testers' requests, and clients that
        closed the connection. A client that left before its response began counts, with the time that it waited.
        """
        try:
            entry = json.loads(line)
            slot, status = entry["slot"], int(entry["status"])
            end, server = entry["termination"], entry["server"]
            milliseconds = float(entry["ms"])
            request = self._request(entry)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None
        if slot not in self._slots or entry.get("chosen") not in CHOSEN or len(end) != 2:
            return None
        if entry["chosen"] == INSTEAD:
            self._note(OTHER_SLOT[slot], request, 0, None, True)
            return OTHER_SLOT[slot]
        # S and s: the server refused the connection, closed it or timed out. D: the server went down meanwhile.
        broken = end[0] in "SsD" and status != 101
        if server == NO_SERVER and not broken and entry.get("backend") != NOWHERE:
            return None
        left = end[0] in "Cc"
        if left and end[1] != "H":
            return None
        self._note(slot, request, max(0, status), milliseconds if milliseconds >= 0 else None, broken)
        return str(slot)

    def slots(self) -> dict[str, Figures]:
        """Return the figures of both slots, which have the same routes."""
        self._forget(ROUTES)
        return {slot: {**figures, "visits": self._visits[slot].text()} for slot, figures in self._slots.items()}

    def _request(self, entry: Mapping[str, Any]) -> Request:
        address, client = group_of(entry.get("client")), str(entry.get("group"))
        if not GROUP.fullmatch(client):
            client = "" if address is None else f"a{address}"
        return Request(*self._routes(entry["method"], entry["path"]), client, address)

    def _note(self, slot: str, request: Request, status: int, milliseconds: float | None, failed: bool) -> None:
        counts, bucket = note(self._slots[slot], request.route, status, milliseconds, failed, also=request.catalogued)
        if request.client:
            self._visits[slot].note(request.client, filter(None, (request.route, request.catalogued)), counts, bucket)
        address = 0 if request.address is None else 1 << request.address
        self._asked[request.route] = self._asked.get(request.route, 0) | address
        if 0 < status < 400 and not failed:
            self._served[request.route] = self._served.get(request.route, 0) | address
        if len(self._asked) > MOST_ROUTES:
            self._forget(MOST_ROUTES // 2)

    def _routes(self, method: str, path: str) -> tuple[str, str]:
        """Return the route of a path, and that of the catalog, empty if there is none."""
        catalogued = next((each for each in self._catalog if f"{path}/".startswith(f"{each}/")), None)
        start = catalogued or ""
        route = f"{method} {start}" if path == start else f"{method} {start}/{path[len(start) :].split('/', 2)[1]}"
        if catalogued is None:
            return route, ""
        return route, f"{WHOLE}{method if method in METHODS else OTHER} {start or '/'}"

    def _forget(self, number: int) -> None:
        """Keep this number of paths at most: those from which most addresses got a regular response.

        Paths that one address requests in vain are a scanner's. If several do, the path may be broken.
        """
        ranks = {
            route: (self._served.get(route, 0).bit_count(), addresses.bit_count())
            for route, addresses in self._asked.items()
        }
        useful = [route for route, (served, asked) in ranks.items() if served or asked > 1]
        requests = {route: sum(counts_of(each, route)[0] for each in self._slots.values()) for route in useful}
        kept = sorted(useful, key=lambda route: (ranks[route], requests[route], route), reverse=True)[:number]
        into = dict.fromkeys(ranks.keys() - set(kept), OTHER)
        for slot, figures in self._slots.items():
            routes: dict[str, list[int]] = {}
            for route, counts in figures["routes"].items():
                add(routes, into.get(route, route), counts)
            figures["routes"], visits = routes, Visits()
            visits.include(self._visits[slot], into)
            self._visits[slot] = visits
        self._asked = {route: self._asked[route] for route in kept}
        self._served = {route: addresses for route, addresses in self._served.items() if route in self._asked}


@lru_cache(4096)
def group_of(address: Any) -> int | None:
    """Return the group of a client's address, None if it isn't one; the addresses of an IPv6 network are one client."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return None
    return zlib.crc32(known.packed if known.version == 4 else known.packed[:8]) % GROUPS
