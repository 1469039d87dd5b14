"""Setup for all tests: makes the project's module_utils importable under Ansible's names."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Ansible finds the project's module_utils through its configuration. Plain Python needs this path.
ansible.module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))

# A slow example only means that the machine is busy.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the project's options, such as `--proof` for the long proof."""
    parser.addoption("--as-is", action="store_true", help="use staging as it is, without site.yml before real tests")
    parser.addoption("--proof", action="store_true", help="run the long proof: more faults, more repetitions")
    parser.addoption("--part", type=part, default=(1, 1), help="run one part of divisible tests, such as 1/3")
    parser.addoption("--kept", help="folder in which parts save their results for one table")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the order of tests within a file when files are shuffled (--random-order)."""
    for item in items:
        item.add_marker(pytest.mark.random_order(disabled=True))


def part(text: str) -> tuple[int, int]:
    """Parse a part, such as `1/3`. Raises ValueError."""
    number, _, parts = text.partition("/")
    if not 0 < int(number) <= int(parts):
        raise ValueError(text)
    return int(number), int(parts)
