# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The pinned generator: Faker and a validator, as one archive that hosts get from the controller."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("faker", "fastjsonschema")


def generator_version() -> str:
    """Return what invents people here, by name and version; loads none of it. Controller only."""
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


def generator_archive(folder: str | Path, locales: Iterable[str] = ()) -> Path:
    """Write the archive for `locales` into `folder`, unless it is there, and return its path. Controller only."""
    raise NotImplementedError


def use_generator(path: str | Path) -> None:
    """Let this process import the generator from the archive at `path`."""
    sys.path.insert(0, str(path))
