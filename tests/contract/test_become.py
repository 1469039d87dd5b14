# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A task that becomes a system's user names a temporary folder, or Ansible makes one in its home and warns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


def tasks(content: Any) -> Iterator[dict[str, Any]]:
    for task in content or ():
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


def test_a_task_that_becomes_another_user_names_a_temporary_folder() -> None:
    without = [
        f"{path.relative_to(ROOT)}: {task['name']}"
        for path in sorted(ROOT.glob("roles/*/tasks/*.yml"))
        for task in tasks(yaml.safe_load(path.read_text()))
        if "become_user" in task and "ansible_remote_tmp" not in task.get("vars", {})
    ]
    assert without == []
