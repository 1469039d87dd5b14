# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Files that are there as a whole or not at all, also after a crash or a loss of power."""

from __future__ import annotations

import os


def write(path: str, content: bytes, mode: int = 0o644, forced: bool = True) -> None:
    """Put `content` at `path`: temporary file, fsync, rename, fsync of the folder. Folders are made; raises OSError.

    Without `forced` nothing is synced: the file is there as a whole for whoever reads it, and a loss of power may take
    it back. That is for what is made again from something durable.

    The temporary file's name is always the same, so that killed writers leave one behind at most; callers that may
    run side by side hold a lock.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        # Set on the open file: the umask, or a file left behind, may have given it another mode.
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        if forced:
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if forced:
        sync_folder(folder)


def remove(path: str) -> bool:
    """Remove `path` for good; returns whether it was there. Raises OSError."""
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
