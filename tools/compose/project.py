# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What a conversion collects: services, images, and what was not carried, with the line in the compose file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plugins.module_utils.greenroom.controller.catalogue.catalogue import BLUE_OFFSET
from plugins.module_utils.greenroom.controller.catalogue.derived_names import FOLDER

from .known import BROKERS, DATABASES, REPLACED, STORES, program
from .reading import Compose, ComposeError, Key

LAST_PORT = 45535
"""Highest port of blue: green's is 10000 higher, and blue's is 10000 above the container's."""


@dataclass(frozen=True, order=True)
class Note:
    """A line of the report."""

    line: int
    key: str
    text: str


@dataclass
class Draft:
    """A service that is being written. `name` is its folder, `source` its name in the compose file."""

    name: str
    source: str
    keys: dict[str, Any] = field(default_factory=dict)
    ports: dict[int, str] = field(default_factory=dict)
    """{port in the container: its name}"""
    public: int | None = None
    """The port that the edge serves."""
    paths: list[dict[str, Any]] = field(default_factory=list)
    volumes: dict[str, str] = field(default_factory=dict)

    def port(self, number: int) -> str:
        """Return the name of a port, which the service has from now on."""
        return self.ports.setdefault(number, f"port_{number}")


@dataclass
class Project:
    """A compose file on its way to services."""

    compose: Compose
    prefix: str = ""
    drafts: dict[str, Draft] = field(default_factory=dict)
    """{name in the compose file: draft}"""
    databases: dict[str, str] = field(default_factory=dict)
    """{database: folder of the service that has it}"""
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    """{(kind, name): folder of the service that owns it}"""
    images: dict[str, str] = field(default_factory=dict)
    not_carried: list[Note] = field(default_factory=list)
    done: list[Note] = field(default_factory=list)

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """The services of the compose file."""
        return dict(self.compose.data["services"])

    def drop(self, place: tuple[Key, ...], text: str) -> None:
        """Note that a key was not carried."""
        self.not_carried.append(Note(self.compose.line(*place), dotted(place), text))

    def note(self, place: tuple[Key, ...], text: str) -> None:
        """Note that a key needs nothing, or became something else."""
        self.done.append(Note(self.compose.line(*place), dotted(place), text))

    def image(self, name: str) -> str:
        """Return the image of a service in the compose file, "" if it is built."""
        return str(self.services[name].get("image") or "")

    def kind(self, name: str) -> str:
        """Return what a service of the compose file is: service, database, broker, store, replaced."""
        what = program(self.image(name))
        kinds = {"database": DATABASES, "broker": BROKERS, "store": STORES, "replaced": REPLACED}
        return next((kind for kind, names in kinds.items() if what in names), "service")

    def folder(self, name: str) -> str:
        """Return the folder of a service. Raises ComposeError."""
        found = re.sub(r"[^a-z0-9-]+", "-", f"{self.prefix}{name}".lower()).strip("-")
        if not FOLDER.fullmatch(found):
            raise ComposeError(f'service {name}: "{found}" can\'t be the name of a folder; set another --prefix')
        return found

    def by_host(self, host: str) -> str:
        """Return the service in the compose file that has this host name, "" if none has."""
        for name, service in self.services.items():
            if host in (name, service.get("container_name"), service.get("hostname")):
                return name
        return ""


def dotted(place: tuple[Key, ...]) -> str:
    """Return a place as operators write it, without the word `services`."""
    parts = place[1:] if place[:1] == ("services",) and len(place) > 1 else place
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def host_port(number: int, taken: set[int]) -> int | None:
    """Return the `host` that a port needs, None if the usual one is free; what it takes is in `taken` then."""
    usual = number + BLUE_OFFSET
    wanted = usual
    while wanted in taken or wanted > LAST_PORT + BLUE_OFFSET:
        wanted = wanted + 1 if wanted < LAST_PORT + BLUE_OFFSET else 15000
    taken.add(wanted)
    return None if wanted == usual else wanted
