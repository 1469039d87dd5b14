"""What all tests share: the project's own modules under the names by which Ansible imports them."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Ansible finds the project's module_utils by its configuration; plain Python finds them on the package's path.
ansible.module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))

# An example that takes long says something of the machine, which has other work, and nothing of what is tried.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch between what every change has to pass and the long evidence."""
    parser.addoption("--as-is", action="store_true", help="take staging as it is: no site.yml before the real tests")
    parser.addoption("--proof", action="store_true", help="the long evidence: more faults, more repetitions")
    parser.addoption("--part", type=part, default=(1, 1), help="1/3: of what can be divided only the first third")
    parser.addoption("--kept", help="the folder in which parts keep what they found, for one table")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where files are shuffled (--random-order), each keeps its own order: a file tells a story."""
    for item in items:
        item.add_marker(pytest.mark.random_order(disabled=True))


def part(text: str) -> tuple[int, int]:
    """Read `1/3`: the first of three parts; raises ValueError."""
    number, _, parts = text.partition("/")
    if not 0 < int(number) <= int(parts):
        raise ValueError(text)
    return int(number), int(parts)
