"""The key of a built thing changes with what goes in, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from greenroom_lab import cache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "file").write_text("content")
    return tmp_path / "in"


def test_same_inputs_same_key(folder: Path) -> None:
    before = cache.content_hash("text", folder)
    os.utime(folder / "sub" / "file", (1, 1))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("made by running it")
    assert cache.content_hash("text", folder) == before
    assert len(before) == 16


def test_each_input_counts(folder: Path) -> None:
    keys = {cache.content_hash("text", folder), cache.content_hash("other", folder), cache.content_hash(folder)}
    (folder / "sub" / "file").write_text("changed")
    keys.add(cache.content_hash("text", folder))
    (folder / "sub" / "file").chmod(0o755)
    keys.add(cache.content_hash("text", folder))
    (folder / "sub" / "file").rename(folder / "sub" / "renamed")
    keys.add(cache.content_hash("text", folder))
    assert len(keys) == 6


def test_boundaries_between_inputs_count() -> None:
    assert cache.content_hash("ab", "c") != cache.content_hash("a", "bc")
