# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Builds the two configurations: an edge host's own on another port, and a plain one with the same backend."""

from __future__ import annotations

import re
from collections.abc import Iterator

SECTION = re.compile(r"^(?=[a-z])", re.MULTILINE)
LIMIT = re.compile(r"(sc_http_req_rate\(0,\w+\) gt) \d+")
NEVER = 10**9
"""Requests per minute: the limits count, but never apply."""


def sections(text: str) -> dict[str, str]:
    """Return a configuration's sections by their first lines, without comments before the first section."""
    found = [part for part in SECTION.split(text) if not part.startswith("#")]
    return {part.split("\n", 1)[0].strip(): part for part in found if part.strip()}


def full(text: str, folder: str, port: int) -> str:
    """Return the edge's configuration for a loopback port, with its own map and limits that never apply."""
    kept = {
        name: part
        for name, part in sections(text).items()
        if not name.startswith("frontend") or name == "frontend public"
    }
    kept["global"] = _global(kept["global"], folder, "full")
    public = kept["frontend public"]
    public = re.sub(r"\bbind \S+", f"bind 127.0.0.1:{port}", public)
    public = public.replace("/etc/haproxy/maps/live.map", f"{folder}/live.map")
    kept["frontend public"] = LIMIT.sub(rf"\1 {NEVER}", public)
    return "\n".join(kept.values())


def plain(text: str, slots: dict[str, tuple[str, int]], service: str, folder: str, port: int) -> str:
    """Return a minimal configuration with the same TLS and servers.

    `slots` has each slot's configuration and weight: {slot: (text, percent)}.
    """
    found = sections(text)
    bind = re.search(r"\bbind \S+(.*)", found["frontend public"])
    assert bind
    lines = [line for slot, (part, percent) in slots.items() for line in _servers(part, service, slot, percent)]
    return "\n".join(
        [
            _global(found["global"], folder, "plain"),
            found["defaults"],
            "frontend public",
            f"    bind 127.0.0.1:{port}{bind[1]}",
            "    option httplog",
            "    default_backend everything",
            "backend everything",
            # Both slots have the same health check options; only the servers differ.
            *dict.fromkeys(lines),
            "",
        ]
    )


def _servers(text: str, service: str, slot: str, percent: int) -> Iterator[str]:
    """Yield a slot's backend line by line, each server with its weight and a unique name."""
    for line in sections(text)[f"backend {service}_{slot}"].split("\n")[1:]:
        word, _, rest = line.strip().partition(" ")
        if word == "server":
            yield f"    server {slot}_{rest} weight {percent}"
        elif word and "X-Greenroom-Slot" not in rest:
            yield line


def _global(text: str, folder: str, name: str) -> str:
    return re.sub(r"stats socket \S+", f"stats socket {folder}/{name}.sock", text)
