# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Compares files and directories on the host with desired ones, and makes directories."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

from .files import Directory, File

PARENT_MODE = 0o755


def difference(file: File) -> str | None:
    """Return None, "attributes" or "content" (also if the file is missing or not a regular file)."""
    try:
        found = os.lstat(file.dest)
    except (FileNotFoundError, NotADirectoryError):
        return "content"
    if not stat.S_ISREG(found.st_mode) or found.st_size != len(file.content) or read(file.dest) != file.content:
        return "content"
    return None if file.attributes.equal(found) else "attributes"


def directory_differs(directory: Directory) -> bool:
    """Tell whether a directory is missing or has other attributes."""
    try:
        found = os.stat(directory.path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not stat.S_ISDIR(found.st_mode) or not directory.attributes.equal(found)


def is_file(path: str) -> bool:
    """Tell whether the path exists and is not a directory: one in the place of a managed file is not removed."""
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
    """Return the temporary name of a file: always the same, so that the next call removes that of a killed one."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.greenroom")


def make_directories(paths: Iterable[str]) -> None:
    """Make the directories that are missing, each with PARENT_MODE."""
    for path in paths:
        if not os.path.isdir(path):
            os.mkdir(path, PARENT_MODE)
            os.chmod(path, PARENT_MODE)  # regardless of the umask


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
