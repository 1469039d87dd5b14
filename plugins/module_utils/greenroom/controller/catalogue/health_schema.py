# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of `health` in service.yml."""

from __future__ import annotations

from collections.abc import Mapping

from .schema_terms import HEADER_VALUE, NAME, PATH, WORDS, mapping, named, text

HEALTH = mapping(
    {
        "port": NAME,
        "path": PATH,
        "method": {"enum": ["GET", "HEAD", "OPTIONS"]},
        "status": {"type": "integer", "minimum": 200, "maximum": 599},
        "headers": named(HEADER_VALUE, r"^[A-Za-z0-9-]{1,64}\Z", "a name of letters, digits and -"),
        "tcp": {"const": True},
        "grpc": {"const": True},
        "service": text(r"^[A-Za-z0-9_.-]{1,100}\Z", "a name of letters, digits, _, . and -"),
        "command": WORDS | {"minItems": 1},
        "start_period": {"type": "integer", "minimum": 1, "maximum": 3600},
    }
)
# What a health check is made of: one of these keys, and the keys that go with it.
HEALTH_KINDS: dict[str, tuple[str, ...]] = {
    "path": ("port", "method", "status", "headers"),
    "tcp": ("port",),
    "grpc": ("port", "service"),
    "command": (),
}


def health_errors(health: object) -> list[str]:
    """Return the problems between the keys of `health`, as `<key>: <problem>`."""
    if not isinstance(health, Mapping):
        return []
    found = [kind for kind in HEALTH_KINDS if kind in health]
    if len(found) != 1:
        return [f"health: needs exactly one of {', '.join(HEALTH_KINDS)}"]
    [kind] = found
    own = HEALTH_KINDS[kind]
    lines = ["health.port: missing"] if "port" in own and "port" not in health else []
    for key in (key for keys in HEALTH_KINDS.values() for key in keys):
        if key in health and key not in own:
            lines.append(f"health.{key}: has no meaning with `{kind}`; remove it")
    return list(dict.fromkeys(lines))
