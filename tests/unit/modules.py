# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Run a module of library/ within a test, as Ansible would on a host."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils.testing import patch_module_args

LIBRARY = Path(__file__).resolve().parent.parent.parent / "library"


def load(name: str) -> ModuleType:
    """Import the module `name` from library/."""
    spec = importlib.util.spec_from_file_location(f"library_{name}", LIBRARY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_module(name: str, /, check: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run a module; returns its result, with `text`: all that it printed."""
    printed = io.StringIO()
    # With its arguments in the result: no secret may stand there either.
    special = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_inject_invocation": True}
    given = {**arguments, **special}
    with (
        patch_module_args(given),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        load(name).main()
    text = printed.getvalue()
    result: dict[str, Any] = json.loads(text)
    return {**result, "text": text}
