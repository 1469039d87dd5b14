# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The linters and type checkers, with no rule skipped for a file or a line; each failure shows what the tool said."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
# Each is checked by itself: the same names mean different modules in them.
TYPED = {
    "controller and modules": (["plugins", "library"], []),
    "bench, docs and tools": (["bench", "docs", "tools"], []),
    "lab": (["lab"], ["lab"]),
    "demo": (["demo/portal"], ["demo/portal"]),
    "visitors": (["demo/visitors"], ["demo/visitors"]),
    "unit tests": (["tests/unit"], ["tests/unit", "lab", "demo/portal", "demo/visitors"]),
    "tests on loopback and on hosts": (
        ["tests/loopback", "tests/real"],
        ["tests/loopback", "tests/real", "tests/unit", "lab", "demo/portal"],
    ),
    "adoption": (["tests/adoption"], ["lab"]),
    "other tests": (
        [
            "tests/conftest.py",
            "tests/minutes.py",
            "tests/side_by_side.py",
            "tests/contract",
            "tests/style",
            "tests/templates",
        ],
        ["lab", "tests/templates", "tests/real", "tests/unit"],
    ),
}


def files(*patterns: str) -> list[str]:
    """The files of the checkout, the new ones included and the ignored ones not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def passes(*command: str, **variables: str) -> None:
    """Run a tool in the checkout; what it says is the reason of a failure."""
    done = subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "NO_COLOR": "1", **variables},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.fail(f"{command[0]} found:\n{done.stdout}\n{done.stderr}", pytrace=False)


def test_ruff_finds_nothing() -> None:
    passes("ruff", "check", ".")


def test_python_is_formatted() -> None:
    passes("ruff", "format", "--check", "--diff", ".")


@pytest.mark.parametrize("name", TYPED)
def test_types_are_right(name: str) -> None:
    folders, paths = TYPED[name]
    passes("mypy", "--strict", *folders, MYPYPATH=":".join(paths))


def test_yamllint_finds_nothing() -> None:
    passes("yamllint", "--strict", *files("*.yml", "*.yaml", ".yamllint", ".ansible-lint"))


@pytest.mark.timeout(3600)
def test_ansible_lint_finds_nothing() -> None:
    # It starts Ansible for each playbook and role, with this variable.
    with contextlib.closing(warm_start.Server(PYTHONWARNINGS="ignore")) as server:
        path = f"{server.program()}:{PROGRAMS}:{os.environ['PATH']}"
        options = ("--offline", "--profile", "production", "--strict", "--format", "pep8", "--nocolor")
        passes("ansible-lint", *options, PATH=path)


def lines_with(words: Iterable[str], *patterns: str) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name in files(*patterns)
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if any(word in line for word in words)
    ]


def test_no_line_of_yaml_asks_a_linter_to_look_away() -> None:
    found = lines_with(["no" + "qa", "yamllint dis" + "able", "skip_ansible" + "_lint"], "*.yml", "*.yaml", "*.j2")
    assert found == []


def test_no_list_of_rules_is_skipped() -> None:
    config = yaml.safe_load((ROOT / ".ansible-lint").read_text())
    assert config["profile"] == "production"
    assert not {"skip_list", "warn_list", "exclude_paths", "mock_modules", "mock_roles"} & set(config)
    assert not (ROOT / ".ansible-lint-ignore").exists()


def test_exceptions_for_python_say_which_rule_they_mean() -> None:
    """Ansible's base classes have no types, and its plugins' documentation stands above their imports: no way round."""
    bare = [
        line
        for line in lines_with(["# no" + "qa", "# type: ig" + "nore"], "*.py")
        if "# no" + "qa: " not in line and "# type: ig" + "nore[" not in line
    ]
    assert bare == []


def test_molecules_scenarios_and_the_playbooks_of_them_can_be_read() -> None:
    passes("molecule", "syntax", "--all")
