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
    name: object,
    folder: Path,
    load: Callable[[Path], Any],
    overrides: object,
    catalogue: Mapping[str, Mapping[str, Any]],
    *,
    registry: object = "",
    others: object = None,
) -> Iterator[str]:
    """Yield what is wrong with the release `name`, one line each.

    `folder` has the files of all releases, `load` returns the content of a YAML file, `overrides` is {image: what
    replaces it}, `registry` and `others` are `registry_address` and `registry_others`, where images may come from.
    """
    yield from registries.problems(others)
    allowed = [str(registry), *(map(str, others) if isinstance(others, Mapping) else ())]
    path = folder / f"{name}.yml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yml"))
        yield f"release_name: there is no {folder.name}/{name}.yml{suggestion(str(name), known)}"
        return
    yield from read_release(load(path), f"{folder.name}/{name}.yml", overrides, catalogue, allowed)[1]
