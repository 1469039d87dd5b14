"""Cache keys of what the lab builds: a hash of all inputs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

from . import paths

IGNORED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv"}


def content_hash(*inputs: str | Path) -> str:
    """Hash strings, files, and folders (with names and modes) to 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for item in inputs:
        if isinstance(item, str):
            _add(digest, "text", item.encode())
            continue
        files = sorted(item.rglob("*")) if item.is_dir() else [item]
        for file in files:
            relative = file.relative_to(item) if item.is_dir() else Path(file.name)
            if not file.is_file() or IGNORED.intersection(relative.parts):
                continue
            _add(digest, f"{relative}:{file.stat().st_mode & 0o111:o}", file.read_bytes())
    return digest.hexdigest()[:16]


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    digest.update(f"{name}\0{len(content)}\0".encode())
    digest.update(content)


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one lab command at a time change the machine; a second one waits until the first has ended."""
    paths.CACHE.mkdir(parents=True, exist_ok=True)
    with (paths.CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
