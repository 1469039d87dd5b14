# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the release that a run deploys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...common.names import suggestion
from ..catalogue import registries
from ..catalogue.release import read_release


def release_problems(
    value: Callable[[str], Any],
    folder: Path,
    load: Callable[[Path], Any],
    catalogue: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    """Yield what is wrong with the release that a run deploys and with where its images come from, one line each.

    `value` returns a variable by its name, None if there is none. `folder` has the files of all releases, `load`
    returns the content of a YAML file.
    """
    name, others = value("release_name"), value("registry_others")
    yield from registries.problems(others)
    allowed = [str(value("registry_address")), *(map(str, others) if isinstance(others, Mapping) else ())]
    path = folder / f"{name}.yml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yml"))
        yield f"release_name: there is no {folder.name}/{name}.yml{suggestion(str(name), known)}"
        return
    overrides = value("release_images") or {}
    yield from read_release(load(path), f"{folder.name}/{name}.yml", overrides, catalogue, allowed)[1]
