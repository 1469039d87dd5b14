# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Programs that others wrote, as images in the lab's registry: what docs/adopt.md takes as given."""

from __future__ import annotations

from pathlib import Path

from greenroom_lab import cache, control, images, podman

FOLDER = Path(__file__).resolve().parent / "images"
MINIFLUX = "2.3.5"
RADICALE = "3.7.6"


def push() -> None:
    """Build the images that are missing, and push those that the registry lacks. The lab must be up."""
    with cache.only_one():
        podman.setup()
        control.push(
            {
                f"adopt/miniflux:{MINIFLUX}": miniflux(),
                f"adopt/radicale:{RADICALE}": radicale(),
            }
        )


def miniflux() -> str:
    """Build the image of Miniflux, a feed reader, from its Go module. Returns its name, as the other one does."""
    folder = FOLDER / "miniflux"
    flags = f"-X miniflux.app/v2/internal/version.Version={MINIFLUX}"
    source = [folder / "go.mod", folder / "go.sum"]
    title = "Miniflux from its Go module (about 2 minutes on two cores)"
    program = images.go_program("miniflux", source, "miniflux.app/v2", flags, title)
    return images.build("miniflux", folder, images.base(), {"miniflux": program})


def radicale() -> str:
    """Build the image of Radicale, a calendar server, from its Python package."""
    return images.build("radicale", FOLDER / "radicale", images.python())


if __name__ == "__main__":
    push()
