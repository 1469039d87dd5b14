# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The descriptions of bundles that app hosts report, checked before a run uses them for other hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import description_schema, signature
from .description import Description, facts, is_description

Keys = Mapping[str, str]


def descriptions(texts: Mapping[str, str], keys: Keys) -> dict[str, Any]:
    """Return {slot: description} from the local facts of hosts, {host: text}; the first valid one counts.

    `keys` = {who keeps it: public key}. Descriptions with a problem are left out: see `refused`.
    """
    found: dict[str, Any] = {}
    for _, description, problem in _reported(texts, keys):
        if not problem:
            own = {key: value for key, value in description.items() if key != signature.SIGNATURE}
            found.setdefault(description["slot"], own)
    return found


def refused(texts: Mapping[str, str], keys: Keys) -> list[str]:
    """Return what is wrong with descriptions that hosts report, one line each: `<host>: <file> <problem>`."""
    return [
        f"{host}: /etc/greenroom/slots/{description['slot']}.fact {problem}"
        for host, description, problem in _reported(texts, keys)
        if problem
    ]


def _reported(texts: Mapping[str, str], keys: Keys) -> Iterator[tuple[str, Description, str]]:
    for host, text in texts.items():
        for fact in filter(is_description, facts(text)):
            yield host, fact, description_schema.problem(fact) or signature.problem(host, fact, keys)
