#!/usr/bin/env python3
# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Make a release: an archive, an SBOM and checksums in dist/, and an annotated tag.

    make release VERSION=1.2.0

The version must have a section in CHANGELOG.md and stand in pyproject.toml, and the checkout must be clean. The SBOM
(CycloneDX, JSON) lists every Python package that requirements.txt pins, with its hashes. Nothing is pushed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(__file__).resolve().parent / "requirements.txt"
VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")


class ReleaseError(Exception):
    """Why there is no release, and what to do about it."""


def git(folder: Path, *words: str) -> str:
    """Return what git prints. Raises subprocess.CalledProcessError."""
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def changes(changelog: str, version: str) -> str:
    """Return the section of `version` in the changelog, without its heading. Raises ReleaseError."""
    found = re.search(rf"^## {re.escape(version)}(?: [^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no section '## {version}'. Describe the release there, and commit it.")
    return found[1].strip()


def check(folder: Path, version: str) -> str:
    """Return the changes of `version` if `folder` is ready to be released as it. Raises ReleaseError."""
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"'{version}' isn't a version such as 1.2.0. Run: make release VERSION=1.2.0")
    if git(folder, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"The tag v{version} exists. Choose a higher version.")
    if changed := git(folder, "status", "--porcelain"):
        raise ReleaseError(f"The checkout has changes that aren't committed:\n{changed}\nCommit or remove them.")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if project != version:
        raise ReleaseError(f"pyproject.toml says version {project}. Set it to {version}, and commit it.")
    return changes((folder / "CHANGELOG.md").read_text(encoding="utf-8"), version)


def write_sbom(folder: Path, path: Path) -> None:
    """Write the SBOM of what `folder`'s requirements.txt pins to `path`. Raises subprocess.CalledProcessError."""
    # uv stands in the virtual environment, which `make` has on its path.
    command = ["uv", "run", "--quiet", "--no-project", "--with-requirements", str(TOOLS), "cyclonedx-py"]
    options = ["--output-reproducible", "--pyproject", str(folder / "pyproject.toml"), "--output-file", str(path)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": git(folder, "log", "-1", "--format=%ct")}
    words = [*command, "requirements", *options, str(folder / "requirements.txt")]
    subprocess.run(words, cwd=folder, check=True, env=environment)


def release(folder: Path, version: str, dist: Path) -> list[Path]:
    """Write the files of a release to `dist`, tag the commit, and return the files. Raises ReleaseError."""
    notes = check(folder, version)
    dist.mkdir(exist_ok=True)
    name = f"greenroom-{version}"
    archive, sbom, sums = (dist / f"{name}{suffix}" for suffix in (".tar.gz", ".cdx.json", ".sha256"))
    git(folder, "archive", "--format=tar.gz", f"--prefix={name}/", f"--output={archive}", "HEAD")
    write_sbom(folder, sbom)
    digests = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in (archive, sbom)]
    sums.write_text("".join(digests), encoding="utf-8")
    # A tag that stands says that all files were written.
    git(folder, "tag", "--annotate", f"v{version}", "--cleanup=whitespace", f"--message=Greenroom {version}\n\n{notes}")
    return [archive, sbom, sums]


def main() -> int:
    """Make the release that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    version = parser.parse_args().version
    try:
        files = release(ROOT, version, ROOT / "dist")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(*(f"wrote  {file.relative_to(ROOT)}" for file in files), sep="\n")
    print(f"tagged v{version}. Publish it with: git push origin v{version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
