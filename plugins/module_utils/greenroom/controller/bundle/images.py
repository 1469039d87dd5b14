# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The images on a host that no slot needs any more."""

from __future__ import annotations

import json
import types
from collections.abc import Collection, Mapping

from .description import Description


def unused(
    listing: str,
    bundles: Mapping[str, Description],
    release: Mapping[str, str],
    registries: Collection[str],
    before: Mapping[str, Description] = types.MappingProxyType({}),
) -> list[str]:
    """Return the IDs of images that neither a slot nor the release uses.

    `listing` is the output of `podman images --format json`, `bundles` is {slot: description}, `release` is {image:
    reference by digest}. Images from others than `registries` don't count. A stopped background service has no
    container that keeps its image, so what podman takes for unused may be needed for a rollback.
    """
    gone = {image.partition("/")[0] for bundle in before.values() for image in bundle["images"].values()}
    ours = tuple(f"{registry}/" for registry in {*registries, *gone})
    needed = {*release.values(), *(image for bundle in bundles.values() for image in bundle["images"].values())}
    found = []
    for image in json.loads(listing or "[]"):
        names = {*(image.get("Names") or []), *(image.get("RepoDigests") or [])}
        if names and all(name.startswith(ours) for name in names) and not names & needed:
            found.append(str(image["Id"]))
    return sorted(set(found))
