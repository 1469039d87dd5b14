"""Python's files are compiled for those whose environment keeps Python from doing so by itself."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from greenroom_lab import paths, venv


def test_plugins_are_compiled_also_where_python_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    module = tmp_path / "plugins/module_utils/greenroom/common/module.py"
    module.parent.mkdir(parents=True)
    kept = Path(importlib.util.cache_from_source(str(module)))
    for number, content in enumerate((b"FIRST = 1", b"SECOND = 22")):
        module.write_bytes(content)
        # Python compares whole seconds.
        os.utime(module, (1_000_000_000 + number, 1_000_000_000 + number))
        venv.compile_plugins()
        name, _, _ = content.partition(b" ")
        assert name in kept.read_bytes()


def test_what_ansible_and_its_plugins_import_is_compiled() -> None:
    (packages,) = paths.VENV.glob("lib/*/site-packages")
    for name in ("ansible/cli/playbook.py", "jsonschema/__init__.py", "packaging/version.py", "hvac/__init__.py"):
        assert Path(importlib.util.cache_from_source(str(packages / name))).exists(), name
