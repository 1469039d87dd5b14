# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""CONTRIBUTING.md sends nobody to a place that isn't there, and the changelog fits the project's version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOGIC = "plugins/module_utils/greenroom"
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
ROWS = re.findall(r"^\| (?!You want|---)(.+) \| (.+) \|$", PAGE, re.MULTILINE)
# Files and folders in code marks: what ends with / or with a suffix and has no blank.
PLACES = sorted(
    {
        place
        for place in re.findall(r"`([\w./<>-]+(?:/|\.\w+))`", PAGE)
        if "<" not in place and not place.startswith("/")
    }
)


def test_the_table_says_where_thirty_things_go() -> None:
    assert len(ROWS) >= 30
    assert all("`" in where for _, where in ROWS)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_exists(place: str) -> None:
    # From the top, from the logic's folder, or as it is called in every role and service.
    places = [place, f"{LOGIC}/{place}", f"roles/*/{place}", f"services/*/{place}"]
    assert any(list(ROOT.glob(name)) for name in places), place


def test_commands_name_tests_that_exist() -> None:
    commands = re.findall(r"^    pytest (.+?)\s+#", PAGE, re.MULTILINE)
    assert commands
    for command in commands:
        words = command.split()
        paths = [ROOT / word for word in words if word.startswith("tests/")]
        assert all(path.exists() for path in paths), command
        if "-k" in words:
            [path] = paths
            assert re.search(rf"^def test_\w*{words[words.index('-k') + 1]}", path.read_text(), re.MULTILINE), command


def test_the_changelog_ends_at_the_projects_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert next(version for version in versions if version != "Unreleased") == project


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert links
    assert all(link.startswith("https://") or (ROOT / link).exists() for link in links)
