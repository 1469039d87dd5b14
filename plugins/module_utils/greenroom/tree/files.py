# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The wanted files and directories of `template_tree`, and how the controller sends them to the host.

Plain Python without Ansible, because it runs on the host and in tests. Content is bytes. Modes are integers in memory
and four octal digits ("0644") in stored data. Errors that an operator can fix are `TreeError`.
"""

from __future__ import annotations

import base64
import dataclasses
import fnmatch
import functools
import grp
import gzip
import hashlib
import json
import os
import pwd
import stat
from collections.abc import Iterable, Sequence
from typing import Any


class TreeError(Exception):
    """An error that the caller must fix. If it comes from `plan` or `validate`, nothing was written."""


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Mode and owner of a path; `owner` and `group` of None mean the user that runs the module."""

    mode: int
    owner: str | None = None
    group: str | None = None

    def record(self) -> dict[str, Any]:
        """Return the attributes in the form that is stored and hashed."""
        stored: dict[str, Any] = {"mode": f"{self.mode:04o}"}
        if self.owner is not None:
            stored["owner"] = self.owner
        if self.group is not None:
            stored["group"] = self.group
        return stored

    def ids(self) -> tuple[int | None, int | None]:
        """Return numeric user and group; None for a name that doesn't exist (yet)."""
        return _user_id(self.owner), _group_id(self.group)

    def equal(self, found: os.stat_result) -> bool:
        """Whether a path has this mode, owner and group."""
        return stat.S_IMODE(found.st_mode) == self.mode and (found.st_uid, found.st_gid) == self.ids()

    def check(self, path: str) -> tuple[int, int]:
        """Return numeric user and group; raises TreeError if one doesn't exist."""
        user, group = self.ids()
        if user is None:
            raise TreeError(f"{path}: this host has no user {self.owner!r}")
        if group is None:
            raise TreeError(f"{path}: this host has no group {self.group!r}")
        return user, group

    def apply(self, target: int | str, path: str) -> None:
        """Set owner and group, then the mode, because a change of owner clears setuid bits."""
        os.chown(target, *self.check(path))
        os.chmod(target, self.mode)


@dataclasses.dataclass(frozen=True)
class File:
    """One wanted file."""

    dest: str
    content: bytes = dataclasses.field(repr=False)
    attributes: Attributes
    validate: str | None = None
    secret: bool = False
    force: bool = True
    """False: an initial version, written only if the file doesn't exist, and left alone after that."""

    @functools.cached_property
    def sha256(self) -> str:
        """Return the checksum of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def record(self) -> dict[str, Any]:
        """Return checksum and attributes in the form that is stored and hashed."""
        return {"sha256": self.sha256, **self.attributes.record()}


@dataclasses.dataclass(frozen=True)
class Directory:
    """One wanted directory with its exact attributes."""

    path: str
    attributes: Attributes

    def record(self) -> dict[str, Any]:
        """Return the directory's entry in the manifest."""
        return self.attributes.record()


def parse_mode(mode: object, path: str) -> int:
    """Parse an octal string such as "0640". Numbers are refused, because YAML reads 0640 and 640 differently."""
    if isinstance(mode, str) and 3 <= len(mode) <= 4 and set(mode) <= set("01234567"):
        return int(mode, 8)
    raise TreeError(f"{path}: mode must be quoted octal digits such as '0640', not {mode!r}")


def clean_path(path: str) -> str:
    """Return an absolute path without `//` and trailing slash; raise TreeError for relative paths and for `..`."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise TreeError(f"{path!r} must be an absolute path without '..'")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def pack(files: Iterable[File]) -> str:
    """Return files as one compressed, printable string."""
    entries = []
    for file in files:
        entry = {
            "dest": file.dest,
            "mode": file.attributes.mode,
            "owner": file.attributes.owner,
            "group": file.attributes.group,
            "validate": file.validate,
            "secret": file.secret,
            "force": file.force,
        }
        try:
            entry["text"] = file.content.decode()
        except UnicodeDecodeError:
            entry["base64"] = base64.b64encode(file.content).decode()
        entries.append(entry)
    return compress(entries)


def unpack(packed: str) -> list[File]:
    """Return the files of a packed string."""
    files = []
    for entry in decompress(packed):
        content = entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
        attributes = Attributes(entry["mode"], entry["owner"], entry["group"])
        files.append(File(entry["dest"], content, attributes, entry["validate"], entry["secret"], entry["force"]))
    return files


def compress(entries: Sequence[dict[str, Any]]) -> str:
    """Return plain data as one compressed, printable string."""
    return base64.b64encode(gzip.compress(json.dumps(entries).encode(), mtime=0)).decode()


def decompress(packed: str) -> list[dict[str, Any]]:
    """Return the data of a compressed string; an empty list for an empty string."""
    return json.loads(gzip.decompress(base64.b64decode(packed))) if packed else []


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path matches one of the patterns (`*` also matches `/`)."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _user_id(name: str | None) -> int | None:
    if name is None or name.isdigit():
        return os.geteuid() if name is None else int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _group_id(name: str | None) -> int | None:
    if name is None or name.isdigit():
        return os.getegid() if name is None else int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def user_name(user: int | None) -> str:
    """Return the name of a user, the number if there is none, "?" if there is no number."""
    try:
        return pwd.getpwuid(user).pw_name if user is not None else "?"
    except KeyError:
        return str(user)


def group_name(group: int | None) -> str:
    """Return the name of a group, like `user_name`."""
    try:
        return grp.getgrgid(group).gr_name if group is not None else "?"
    except KeyError:
        return str(group)
