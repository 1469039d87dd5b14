# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the release that a run deploys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...common.names import suggestion
from ..catalogue import registries, release_lock, signatures
from ..catalogue.release import read_release


def release_problems(
    value: Callable[[str], Any],
    folder: Path,
    load: Callable[[Path], Any],
    catalogue: Mapping[str, Mapping[str, Any]],
    locks: bool = False,
) -> Iterator[str]:
    """Yield what is wrong with the release that a run deploys and with where its images come from, one line each.

    `value` returns a variable by its name, None if there is none. `folder` has the files of all releases, `load`
    returns the content of a YAML file. A run that `locks` the release doesn't need its old lock file.
    """
    name, others = value("release_name"), value("registry_others")
    yield from registries.problems(others)
    allowed = [str(value("registry_address")), *(map(str, others) if isinstance(others, Mapping) else ())]
    yield from signatures.problems(value("image_signatures"), allowed)
    path = folder / f"{name}.yml"
    if not path.is_file() or not release_lock.is_release(path):
        known = sorted(file.stem for file in folder.glob("*.yml") if release_lock.is_release(file))
        yield f"release_name: there is no {folder.name}/{name}.yml{suggestion(str(name), known)}"
        return
    overrides = value("release_images") or {}
    content, file = load(path), f"{folder.name}/{name}.yml"
    yield from read_release(content, file, overrides, catalogue, allowed)[1]
    lock = release_lock.lock_path(folder, str(name))
    if locks:
        if overrides:
            yield f"release_images: a lock file has the images of the release file; write them into {file}"
    elif lock.is_file():
        images = read_release(content, file, {}, {}, allowed)[0]
        images = {key: image for key, image in images.items() if key not in overrides}
        yield from release_lock.problems(load(lock), f"{folder.name}/{lock.name}", images, str(name))
