# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The roles of a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def roles_of_host(
    roles: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]], host: str, only: Sequence[str] = ()
) -> list[str]:
    """Return the roles of a host from `roles`, {group: [role]}, each once, in that order.

    `ops[0]` is the first host of the group `ops`. With `only`, other roles are left out.
    """
    found: dict[str, None] = {}
    for place, names in roles.items():
        group, first, _rest = place.partition("[0]")
        members = groups.get(group, [])
        if host in (members[:1] if first else members):
            found.update(dict.fromkeys(names))
    return [role for role in found if not only or role in only]
