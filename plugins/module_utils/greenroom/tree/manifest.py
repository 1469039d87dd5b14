# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The manifest of a `template_tree` call: what an earlier call applied on this host."""

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
    """What an earlier call applied. `pending` names files of a call that did not come to its end."""

    hash: str | None = None
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    directories: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    secret: list[str] = dataclasses.field(default_factory=list)
    created: list[str] = dataclasses.field(default_factory=list)
    pending: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, path: str) -> Manifest:
        """Read a manifest; one that is not there is empty."""
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
                "(files that are no longer wanted then stay where they are)"
            ) from error

    def save(self, path: str) -> None:
        """Write the manifest atomically, readable by its owner only (it holds checksums of secret files)."""
        stored = dataclasses.asdict(self)
        if not self.pending:
            del stored["pending"]
        try:
            write_json(path, stored)
        except OSError as error:
            raise TreeError(f"{path} can't be written: {error.strerror}") from error


def write_json(path: str, value: object) -> None:
    """Write JSON durably, 0600, into a directory that is made 0700 if it is missing."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    durable.write(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), mode=0o600)
