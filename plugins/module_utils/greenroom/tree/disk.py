# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Reads files and directories of a host, compares them with wanted ones, and makes directories."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

from .files import Directory, File

PARENT_MODE = 0o755


def difference(file: File) -> str | None:
    """Return None, "attributes" or "content" (also for what is missing or no regular file)."""
    try:
        found = os.lstat(file.dest)
    except (FileNotFoundError, NotADirectoryError):
        return "content"
    if not stat.S_ISREG(found.st_mode) or found.st_size != len(file.content) or read(file.dest) != file.content:
        return "content"
    return None if file.attributes.equal(found) else "attributes"


def directory_differs(directory: Directory) -> bool:
    """Tell whether a directory is missing, or has other attributes than wanted."""
    try:
        found = os.stat(directory.path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not stat.S_ISDIR(found.st_mode) or not directory.attributes.equal(found)


def is_file(path: str) -> bool:
    """Tell whether there is something that is no directory (which somebody made in the place of our file)."""
    return os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path))


def read(path: str) -> bytes | None:
    """Return the content of a regular file, or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    with open(descriptor, "rb") as stream:
        return stream.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def sha256(path: str) -> str | None:
    """Return the SHA-256 of a regular file's content, or None."""
    content = read(path)
    return None if content is None else hashlib.sha256(content).hexdigest()


def temporary_name(path: str) -> str:
    """Return the name under which a file is prepared: the same each time, so that a killed call leaves no litter."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.greenroom")


def make_directories(paths: Iterable[str]) -> None:
    """Make the directories that are missing, each with PARENT_MODE."""
    for path in paths:
        if not os.path.isdir(path):
            os.mkdir(path, PARENT_MODE)
            os.chmod(path, PARENT_MODE)  # whatever the umask is


def parents(path: str) -> Iterator[str]:
    """Yield the directories above a path, highest first, without the root."""
    parts = path.split("/")[1:-1]
    for count in range(1, len(parts) + 1):
        yield "/" + "/".join(parts[:count])


def sync(path: str) -> None:
    """Write a file through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
