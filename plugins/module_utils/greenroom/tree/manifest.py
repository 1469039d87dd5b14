# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The manifest of `template_tree`: what the last call with this name applied on the host."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from ..common import durable
from .files import TreeError

STATE_DIRECTORY = "/var/lib/greenroom"


@dataclasses.dataclass
class Manifest:
    """What the last call applied. `pending` lists files of a call that was interrupted."""

    hash: str | None = None
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    directories: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    secret: list[str] = dataclasses.field(default_factory=list)
    created: list[str] = dataclasses.field(default_factory=list)
    pending: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def applied(self) -> bool:
        """Whether something was applied, or began to be."""
        return self.hash is not None or bool(self.pending)

    @classmethod
    def load(cls, path: str) -> Manifest:
        """Read a manifest; a missing one is empty."""
        try:
            with open(path, encoding="utf-8") as stream:
                stored = json.load(stream)
            names = {field.name for field in dataclasses.fields(cls)}
            return cls(**{key: value for key, value in stored.items() if key in names})
        except FileNotFoundError:
            return cls()
        except (ValueError, AttributeError) as error:
            raise TreeError(
                f"{path} is not a manifest of template_tree ({error}); move it away and run again "
                "(files of earlier calls that are no longer listed then stay on the host)"
            ) from error

    def save(self, path: str) -> None:
        """Write the manifest atomically, readable by root only: it has checksums of secret files."""
        stored = dataclasses.asdict(self)
        if not self.pending:
            del stored["pending"]
        try:
            write_json(path, stored)
        except OSError as error:
            raise TreeError(f"{path} can't be written: {error.strerror}") from error


def write_json(path: str, value: object) -> None:
    """Write JSON durably with mode 0600; make a missing directory with mode 0700."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    durable.write(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), mode=0o600)
