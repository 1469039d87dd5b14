# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The pinned generator: Faker and a JSON Schema validator, in one archive that the controller sends to hosts.

A Faker that is installed on the host is never used: another version generates other users from the same seed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from .recipe.personas import UsersError

PACKAGES = ("faker", "fastjsonschema")
_PROVIDERS = ("faker", "providers")
_IMPORTED = re.compile(r"^from (?:\.\.|faker\.providers\.\w+\.)(\w+)\b", re.MULTILINE)
_LOCALE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?\Z")
_ALWAYS = "en_US"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DEFAULT = re.compile(r"^default_locale\s*=\s*\"(\w+)\"", re.MULTILINE)


def generator_version() -> str:
    """Return names and versions of the generator's packages. Imports none; controller only; raises UsersError."""
    try:
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    except importlib.metadata.PackageNotFoundError as error:
        raise UsersError(f"{error.name} is missing on the controller; install requirements.txt there") from None


def generator_digest() -> str:
    """Return a hash of the packages' files. Imports none; controller only; raises UsersError."""
    return _digest(_sources())


def archive_name(digest: str, locales: Iterable[str]) -> str:
    """Return the name of the archive for `locales` of the packages with this digest."""
    wanted = sorted({_ALWAYS, *locales})
    return f"generator-{hashlib.sha256(' '.join((digest, *wanted)).encode()).hexdigest()[:16]}.zip"


def generator_archive(folder: str | Path, locales: Iterable[str] = ()) -> Path:
    """Write the archive for `locales` to `folder` unless it exists, and return its path.

    The same packages and locales result in the same bytes and the same name. Controller only. Raises UsersError, or
    OSError if the folder can't be written.
    """
    sources = _sources()
    path = Path(folder) / archive_name(_digest(sources), locales)
    if not path.exists():
        wanted = _with_imported(sources, {*_fallbacks(sources), *locales})
        kept = {name: content for name, content in sources.items() if _locale_of(name) in (None, *wanted)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file,
            zipfile.ZipFile(file, "w") as archive,
        ):
            for name, content in sorted(kept.items()):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        os.replace(file.name, path)
    return path


def use_generator(path: str | Path) -> None:
    """Make this process import the generator only from the archive at `path`. Raises UsersError.

    The archive is unpacked once next to itself, because Python caches bytecode only for files.
    """
    archive = Path(path)
    folder = archive.with_suffix("")
    try:
        if not folder.is_dir():
            _unpack(archive, folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise UsersError(f"{archive}: the generator can't be read: {error}") from None
    sys.path.insert(0, str(folder))


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack completely or not at all. Another process may do the same concurrently."""
    temporary = tempfile.mkdtemp(dir=archive.parent)
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(temporary)
        os.chmod(temporary, 0o755)
        os.rename(temporary, folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sources() -> dict[str, bytes]:
    """Return {name: content} of the packages' Python files."""
    generator_version()
    found: dict[str, bytes] = {}
    for package in PACKAGES:
        root = str(importlib.metadata.distribution(package).locate_file(""))
        for folder, _folders, files in os.walk(os.path.join(root, package)):
            for name in files:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, root)] = file.read()
    return found


def _digest(sources: dict[str, bytes]) -> str:
    """Return a hash of names and contents."""
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _locale_of(name: str) -> str | None:
    """Return the locale of one of Faker's files, or None for a file that all locales use."""
    parts = PurePosixPath(name).parts
    if parts[:2] == _PROVIDERS and len(parts) == 5 and _LOCALE.match(parts[3]):
        return parts[3]
    return None


def _fallbacks(sources: dict[str, bytes]) -> set[str]:
    """Return the locales that Faker falls back to if another one lacks something."""
    return {_ALWAYS} | {
        locale
        for name, content in sources.items()
        if PurePosixPath(name).parts[:2] == _PROVIDERS and name.count("/") == 3
        for locale in _DEFAULT.findall(content.decode())
    }


def _with_imported(sources: dict[str, bytes], wanted: set[str]) -> set[str]:
    """Return the locales and those that their files import. Raises UsersError for a locale that Faker lacks."""
    files: dict[str, list[str]] = {}
    for name, content in sources.items():
        if locale := _locale_of(name):
            files.setdefault(locale, []).append(content.decode())
    found: set[str] = set()
    while wanted:
        locale = wanted.pop()
        if locale not in files:
            raise UsersError(f"the generator has no locale '{locale}'")
        found.add(locale)
        wanted |= {each for text in files[locale] for each in _IMPORTED.findall(text) if each in files} - found
    return found
