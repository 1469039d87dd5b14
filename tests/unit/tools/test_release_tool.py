# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""`make release`: what it refuses, and what it writes, with real git and the real SBOM program."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tools import release
from tools.release import ReleaseError

ROOT = Path(__file__).resolve().parents[3]
CHANGELOG = "# Changelog\n\n## 1.2.0 - 2026-01-02\n\n- Faster.\n\n## 1.1.0\n\n- First.\n"
PINS = set(re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.test")


def commit(folder: Path) -> None:
    for words in (["add", "--all"], [*IDENTITY, "commit", "--quiet", "--message=All"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is ready to be released as 1.2.0."""
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(name, "T")
    for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "t@example.test")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / "pyproject.toml").write_text('[project]\nname = "greenroom"\nversion = "1.2.0"\n')
    (folder / "requirements.txt").write_text((ROOT / "requirements.txt").read_text())
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    commit(folder)
    return folder


def test_a_release_is_an_archive_an_sbom_checksums_and_a_tag(checkout: Path, tmp_path: Path) -> None:
    archive, sbom, sums = release.release(checkout, "1.2.0", tmp_path / "dist")
    with tarfile.open(archive) as found:
        assert "greenroom-1.2.0/CHANGELOG.md" in found.getnames()
    components = json.loads(sbom.read_text())["components"]
    assert {(part["name"], part["version"]) for part in components} == PINS
    assert all(part["externalReferences"] or part["hashes"] for part in components)
    for line, file in zip(sums.read_text().splitlines(), (archive, sbom), strict=True):
        assert line == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"
    assert release.git(checkout, "tag", "--list", "--format=%(contents)", "v1.2.0") == "Greenroom 1.2.0\n\n- Faster."
    with pytest.raises(ReleaseError, match=r"The tag v1\.2\.0 exists"):
        release.check(checkout, "1.2.0")


def test_a_version_has_three_numbers(checkout: Path) -> None:
    with pytest.raises(ReleaseError, match="'next' isn't a version such as"):
        release.check(checkout, "next")


def test_what_is_not_committed_is_not_released(checkout: Path) -> None:
    (checkout / "new").touch()
    with pytest.raises(ReleaseError, match=r"aren't committed:\n\?\? new\n"):
        release.check(checkout, "1.2.0")


def test_project_and_changelog_have_to_name_the_version(checkout: Path) -> None:
    with pytest.raises(ReleaseError, match=r"pyproject\.toml says version 1\.2\.0"):
        release.check(checkout, "1.3.0")
    (checkout / "pyproject.toml").write_text('[project]\nversion = "1.3.0"\n')
    commit(checkout)
    with pytest.raises(ReleaseError, match=r"no section '## 1\.3\.0'"):
        release.check(checkout, "1.3.0")
