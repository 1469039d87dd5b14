# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The lock file beside a release: the digest that each image had when it was locked, `releases/<name>.lock.yml`.

It is {images: {name: {image: as in the release file, digest, platforms: {linux/amd64: digest}}}}. Runs only on the
controller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from .release import DIGEST, Image

SUFFIX = ".lock"


def lock_path(folder: Path, name: str) -> Path:
    """Return the path of a release's lock file."""
    return folder / f"{name}{SUFFIX}.yml"


def is_release(path: Path) -> bool:
    """Return whether a file in the folder of releases is a release, and not the lock of one."""
    return path.suffix == ".yml" and not path.stem.endswith(SUFFIX)


def how_again(name: str) -> str:
    """Return how to lock a release again."""
    return f"lock the release again (playbooks/lock.yml -e release_name={name})"


def full_name(image: Image) -> str:
    """Return an image as release files write it, with a registry unless it is the environment's own."""
    return f"{image.registry}/{image}" if image.registry else str(image)


def text_of(name: str, images: Mapping[str, Image], found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the content of a lock file; `found` = {image name: {digest, platforms}}."""
    content = {key: {"image": full_name(image), **found[key]} for key, image in images.items()}
    return (
        f"# The digests of release {name}, which runs deploy. Written by playbooks/lock.yml: don't edit it.\n"
        + yaml.safe_dump({"images": content}, sort_keys=False, width=1000)
    )


def parsed(text: str) -> object:
    """Return the content of a lock file that may be damaged or empty."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def problems(content: object, file: str, images: Mapping[str, Image], name: str) -> Iterator[str]:
    """Yield why a lock file is none of this release, one line each; `images` are those of the release file."""
    listed = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(listed, Mapping):
        yield f"{file}: is not a lock file; {how_again(name)}"
        return
    for key, image in images.items():
        entry = listed.get(key)
        if entry is None:
            yield f"{file}: images.{key}: missing, because the release has changed; {how_again(name)}"
        elif not isinstance(entry, Mapping) or not DIGEST.match(str(entry.get("digest"))):
            yield f"{file}: images.{key}: has no digest; {how_again(name)}"
        elif entry.get("image") != full_name(image):
            yield (
                f"{file}: images.{key}: is locked for {entry.get('image')}, and {image.source} says "
                f"{full_name(image)}; {how_again(name)}"
            )


def locked(images: Mapping[str, Image], content: Mapping[str, Any]) -> dict[str, Image]:
    """Return the images with the digests of the lock file."""
    return {key: replace(image, locked=content["images"][key]["digest"]) for key, image in images.items()}


def moved(name: str, file: str, images: Mapping[str, Image], now: Mapping[str, str]) -> list[str]:
    """Return a line for each image whose tag isn't the locked one any more; `now` = {image name: digest, or none}."""
    lines = []
    for key, digest in now.items():
        state = f"is {digest} in the registry now" if digest else "is not in the registry any more"
        advice = f" To use the new one, {how_again(name)}." if digest else ""
        used = f"This run uses {images[key].locked}, as locked."
        lines.append(f"{file}: {key}: {full_name(images[key])} {state}. {used}{advice}")
    return lines


def changes(old: object, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each image whose digest differs from that in the old content of a lock file."""
    before = old.get("images") if isinstance(old, Mapping) else None
    before = before if isinstance(before, Mapping) else {}
    lines = []
    for key, item in found.items():
        entry = before.get(key)
        was = entry.get("digest") if isinstance(entry, Mapping) else None
        if was != item["digest"]:
            lines.append(f"{key}: {item['digest']}" + (f", was {was}" if was else ""))
    return lines + [f"{key}: is not in the release any more" for key in before if key not in found]
