# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible's own checks of plugins and modules, on a copy that is laid out as a collection, outside the checkout.

Within the checkout they would look at nothing, and be content.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_test
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
VALIDATOR = Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py"
# The checks that need no package index. `validate-modules` is run below, by itself; pep8, pylint and yamllint have
# their stricter like in the other file. Not `action-plugin-docs`: the actions environment_* are the roles' own.
CHECKS = (
    *("compile", "empty-init", "ignores", "line-endings", "no-assert", "no-get-exception", "no-illegal-filenames"),
    *("no-smart-quotes", "replace-urlopen", "shebang", "symlinks", "use-argspec-type-path", "use-compat-six"),
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugins and modules as the collection greenroom.greenroom."""
    root = tmp_path_factory.mktemp("sanity") / "ansible_collections" / "greenroom" / "greenroom"
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "plugins", root / "plugins", ignore=caches)
    shutil.copytree(ROOT / "library", root / "plugins" / "modules", ignore=caches)
    shutil.copy(ROOT / "LICENSE", root / "COPYING")
    (root / "galaxy.yml").write_text(
        "namespace: greenroom\nname: greenroom\nversion: 1.0.0\nreadme: README.md\nauthors: [Greenroom developers]\n"
    )
    (root / "README.md").write_text("A copy for the tests.\n")
    (root / "meta").mkdir()
    (root / "meta" / "runtime.yml").write_text('requires_ansible: ">=2.21"\n')
    ours = "ansible_collections.greenroom.greenroom.plugins.module_utils.greenroom"
    for file in root.glob("plugins/**/*.py"):
        text = re.sub(r"ansible\.module_utils\.greenroom\b", ours, file.read_text())
        # A doc fragment is the collection's, too.
        file.write_text(re.sub(r"^  - (greenroom\.\w+)$", r"  - greenroom.greenroom.\1", text, flags=re.M))
    assert len(list(root.glob("plugins/modules/*.py"))) == len(list((ROOT / "library").glob("*.py")))
    return root


def run(collection: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=collection,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PYTHONPATH": str(collection.parents[2]),
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=800,
    )


def sanity(collection: Path, *checks: str) -> subprocess.CompletedProcess[str]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    chosen = [word for check in checks for word in ("--test", check)]
    return run(collection, PROGRAMS / "ansible-test", "sanity", "--local", "--python", python, "--color", "no", *chosen)


def validate(collection: Path) -> str:
    """What the validator finds, one line for each mistake."""
    modules = sorted(str(path.relative_to(collection)) for path in collection.glob("plugins/modules/*.py"))
    name = str(collection.relative_to(collection.parents[2]))
    done = run(collection, sys.executable, VALIDATOR, "--collection", name, "--arg-spec", "-w", *modules)
    return done.stdout + done.stderr


def test_ansibles_sanity_checks_pass(collection: Path) -> None:
    done = sanity(collection, *CHECKS)
    if done.returncode != 0:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_modules_and_their_documentation_are_valid(collection: Path) -> None:
    if found := validate(collection):
        pytest.fail(found, pytrace=False)


def test_a_broken_module_would_be_noticed(collection: Path) -> None:
    """The control: both ways of checking do look at the modules."""
    broken = collection / "plugins" / "modules" / "broken.py"
    source = (collection / "plugins" / "modules" / "smoke_check.py").read_text()
    try:
        broken.write_text(source.replace("module: smoke_check", "module: other") + "\nassert True\n")
        done = sanity(collection, "no-assert")
        found = validate(collection)
    finally:
        broken.unlink()
    assert done.returncode != 0
    assert "plugins/modules/broken.py" in done.stdout + done.stderr
    assert "broken.py" in found
    assert "invalid-documentation" in found
