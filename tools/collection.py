#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Build dist/greenroom-greenroom-<version>.tar.gz: the modules as a collection, without roles, playbooks and the demo.

    make collection

The checkout's plugins import each other as `ansible.module_utils.greenroom`, which a plugin of the checkout makes
possible. In the collection, they import each other as parts of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
NAME = "greenroom.greenroom"
IMPORTED = f"ansible_collections.{NAME}.plugins.module_utils.greenroom"
# What hosts may run is needed by modules; of what only the controller runs, this is needed by their actions.
OF_CONTROLLER = ("common", "modules", "people")
# The other filters and lookups know Greenroom's roles and catalog.
PLUGINS = ("filter/people.py", "lookup/named_people.py")
# Without files of tests or builds.
IGNORED = shutil.ignore_patterns("__pycache__")


def modules() -> list[str]:
    """Return the names of all modules."""
    return sorted(path.stem for path in (ROOT / "library").glob("*.py"))


def lay_out(folder: Path) -> Path:
    """Write the collection to `folder`/ansible_collections/greenroom/greenroom, and return that path."""
    root = folder.joinpath("ansible_collections", *NAME.split("."))
    plugins, source = root / "plugins", ROOT / "plugins"
    shutil.copytree(ROOT / "library", plugins / "modules", ignore=IGNORED)
    shutil.copytree(source / "doc_fragments", plugins / "doc_fragments", ignore=IGNORED)
    utilities = Path("module_utils", "greenroom")
    shutil.copytree(source / utilities, plugins / utilities, ignore=shutil.ignore_patterns("__pycache__", "controller"))
    shutil.copy(source / "module_utils/greenroom/__init__.py", plugins / "module_utils/__init__.py")
    controller = utilities / "controller"
    (plugins / controller).mkdir()
    shutil.copy(source / controller / "__init__.py", plugins / controller)
    for name in OF_CONTROLLER:
        shutil.copytree(source / controller / name, plugins / controller / name, ignore=IGNORED)
    actions = [f"action/{name}.py" for name in modules() if (source / "action" / f"{name}.py").is_file()]
    documents = [f"filter/{path.name}" for path in sorted((source / "filter").glob("*.yml"))]
    for name in (*actions, *documents, *PLUGINS):
        (plugins / name).parent.mkdir(exist_ok=True)
        shutil.copy(source / name, plugins / name)
    for file in root.glob("plugins/**/*.py"):
        file.write_text(_rewritten(file.read_text(encoding="utf-8")), encoding="utf-8")
    _describe(root)
    return root


def _rewritten(text: str) -> str:
    """Return a plugin's text with the names that it has in the collection."""
    text = re.sub(r"\bansible\.module_utils\.greenroom\b", IMPORTED, text)
    text = re.sub(r"^(  - )(greenroom\.\w+)$", rf"\1{NAME}.\2", text, flags=re.MULTILINE)
    # Tasks in examples.
    names = "|".join(modules())
    text = re.sub(rf"^( +)({names}):(?=$| )", rf"\1{NAME}.\2:", text, flags=re.MULTILINE)
    return re.sub(r"(query|lookup)\('named_people'", rf"\1('{NAME}.named_people'", text)


def _describe(root: Path) -> None:
    """Write what describes the collection: galaxy.yml, README, reference, changelog, license."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    galaxy = {
        "namespace": NAME.split(".", maxsplit=1)[0],
        "name": NAME.split(".")[1],
        "version": project["version"],
        "readme": "README.md",
        "authors": ["Greenroom developers"],
        "description": "Synthetic users in Ory Kratos, whole trees of files in one task, smoke checks, blue-green "
        "switches in HAProxy, PostgreSQL databases and RabbitMQ queues.",
        "license_file": "LICENSE",
        "tags": ["deployment", "testing", "haproxy", "kratos", "infrastructure"],
        "repository": "https://greenroom.invalid/",
        "build_ignore": [],
    }
    (root / "galaxy.yml").write_text(yaml.safe_dump(galaxy, sort_keys=False), encoding="utf-8")
    (root / "meta").mkdir()
    (root / "meta" / "runtime.yml").write_text('---\nrequires_ansible: ">=2.20"\n', encoding="utf-8")
    readme = (ROOT / "docs/collection.md").read_text(encoding="utf-8")
    (root / "README.md").write_text(readme.replace("](reference/", "](docs/"), encoding="utf-8")
    (root / "docs").mkdir()
    reference = (ROOT / "docs/reference/modules.md").read_text(encoding="utf-8")
    (root / "docs" / "modules.md").write_text(_rewritten(reference), encoding="utf-8")
    for name in ("CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, root / name)


def build(dist: Path) -> Path:
    """Build the collection's archive in `dist`, and return it. Raises subprocess.CalledProcessError."""
    dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = lay_out(Path(folder))
        command = ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(dist.resolve())]
        subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        version = yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    return dist / f"{NAME.replace('.', '-')}-{version}.tar.gz"


def main() -> int:
    """Build the collection; return the exit code."""
    try:
        file = build(ROOT / "dist")
    except subprocess.CalledProcessError as error:
        print(error.stderr, file=sys.stderr)
        return 1
    print(f"wrote {file.relative_to(ROOT)}; install it with: ansible-galaxy collection install {file.name} --offline")
    return 0


if __name__ == "__main__":
    sys.exit(main())
