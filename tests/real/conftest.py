"""One converged environment for all real tests; at the end, it is converged again if a test has changed it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environment import ROOT, Environment
from jobs import delete_dead_letters

HERE = Path(__file__).resolve().parent
# Each file creates the state that it needs, so every order works. This one is the fastest. Files that are not in the
# list run at "...".
ORDER = (
    "test_converged.py",  # right after the first run of site.yml
    "test_hand_changes.py",
    "test_slots.py",
    "...",
    "test_candidates.py",
    "test_refusals.py",
    "test_release.py",  # leaves both slots as the next files need them
    "test_canary.py",
    "test_cutover.py",
    "test_drill.py",
    "test_edges.py",
    "test_people.py",
    "test_worker.py",
    "test_zeroloss.py",
    "test_drift.py",  # ends with a run of site.yml, and with the same release in both slots
)
# The sources of a release's bundle, apart from secrets.
SOURCES = ("services", "releases", "providers", "inventories/staging", "playbooks", "roles", "plugins", "library")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files (--random-order shuffles them afterwards), and set the tests' timeout.

    The default is 30 minutes, because a machine can be four times as slow as usual, and because the time of a fixture
    counts for the first test that uses it.
    """
    places = {name: place for place, name in enumerate(ORDER)}
    ours = [item for item in items if HERE in item.path.parents]
    ours.sort(key=lambda item: places.get(item.path.name, places["..."]))
    rest = iter(ours)
    items[:] = [next(rest) if HERE in item.path.parents else item for item in items]
    for item in ours:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a progress line even if pytest captures output."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {text}", end="", flush=True)

    return line


@pytest.fixture(scope="session")
def staging(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Environment]:
    """Staging, converged by site.yml from any state."""
    # After SIGTERM, as from `make proof` at a section's timeout, tests undo their faults.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = Environment(say=say)
    as_is = request.config.getoption("--as-is")
    if not as_is:
        run = environment.play("site.yml")
        if "create=missing" in run.errors:
            assert environment.play("playbooks/secrets.yml", "-e", "create=missing").code == 0
            run = environment.play("site.yml")
        if run.code != 0:
            # The complete output, once. Each test that needs staging prints only the error.
            say(run.output)
            pytest.fail(f"site.yml failed before the first test: {run.errors}", pytrace=False)
    yield environment
    if not as_is:
        environment.rest()


@pytest.fixture(scope="session")
def offered(request: pytest.FixtureRequest, staging: Environment) -> Iterator[None]:
    """Load from pytest's cache which bundles a deploy of the tests' release creates from these sources."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    content = hashlib.sha256()
    for path in (ROOT / name for name in sorted(listed)):
        content.update(f"{path} ".encode() + (path.read_bytes() if path.is_file() else b""))
    cache, sources = request.config.cache, content.hexdigest()
    assert cache is not None
    staging.offers |= set(cache.get("greenroom/offers", {}).get(sources, []))
    yield
    cache.set("greenroom/offers", {sources: sorted(staging.offers)})


@pytest.fixture(scope="module")
def both_slots(staging: Environment, offered: None) -> Environment:
    """Staging with release 1.1 in the idle slot, ready to serve, and an unchanged live slot."""
    staging.offer()
    return staging


@pytest.fixture(scope="module")
def settled(staging: Environment) -> None:
    """Seed the users and data of the inventory's release, whatever an earlier test deployed."""
    if staging.touched:
        run = staging.play("playbooks/seed.yml")
        assert run.code == 0, run.output


@pytest.fixture(scope="module")
def no_dead_letters(staging: Environment) -> None:
    """Delete the dead letters of earlier faults."""
    delete_dead_letters(staging)


@pytest.fixture(scope="module")
def no_simulation(staging: Environment) -> Iterator[None]:
    """Stop the simulation while a test counts."""
    staging.ssh("ops1", "systemctl stop greenroom-simulation.timer greenroom-simulation.service")
    yield
    staging.ssh("ops1", "systemctl start greenroom-simulation.timer")
