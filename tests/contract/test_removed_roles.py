# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A playbook that names a removed role fails with the new name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml

from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
LINKS = sorted(path for path in (ROOT / "removed_roles").iterdir() if path.is_symlink())
NEW = yaml.safe_load((ROOT / "removed_roles/removed/vars/main.yml").read_text())["__removed_roles"]


def test_each_removed_role_has_a_link_and_a_new_name_that_exists() -> None:
    assert [path.name for path in LINKS] == sorted(NEW)
    assert {path.readlink() for path in LINKS} == {Path("removed")}
    for name, new in NEW.items():
        assert not (ROOT / "roles" / name).exists(), name
        assert (ROOT / "roles" / new["role"] / "tasks" / f"{new['entry_point']}.yml").is_file(), name


def test_a_playbook_is_told_the_new_name(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": ["start"]}]))
    words = ["-i", "localhost,", "-c", "local", str(tmp_path / "play.yml")]
    done = warm_start.run(words, ROOT, {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")})
    assert done.returncode != 0
    assert "role `start` is now `slots`, entry point `start` (CHANGELOG.md)" in done.stdout + done.stderr
