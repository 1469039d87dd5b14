# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Atomic file writes: after a crash or a power failure, a file is either complete or unchanged."""

from __future__ import annotations

import os


def write(
    path: str, content: bytes, mode: int = 0o644, forced: bool = True, owner: tuple[int, int] | None = None
) -> None:
    """Write `content` to `path`: temporary file, fsync, rename, fsync of the folder. Creates folders; raises OSError.

    Without `forced`, nothing is synced. Readers still see a complete file, but a power failure may undo the write. Use
    it for files that can be made again from durable ones. `owner` is (user ID, group ID), if not this process's own.

    The temporary file's name is always the same, so killed writers leave at most one file behind. Callers that may run
    in parallel must hold a lock.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        if owner:
            os.fchown(file.fileno(), *owner)
        # Set the mode explicitly: the umask, a leftover file or another owner may have another one.
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        if forced:
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if forced:
        sync_folder(folder)


def remove(path: str) -> bool:
    """Remove `path` durably; returns whether it existed. Raises OSError."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_folder(os.path.dirname(os.path.abspath(path)))
    return True


def sync_folder(folder: str) -> None:
    """Make a folder's entries durable; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
