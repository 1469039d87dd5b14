"""One converged environment for all real tests; at the end it is converged again, if a test has touched it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environment import ROOT, Environment
from jobs import throw_away

HERE = Path(__file__).resolve().parent
# Each file brings about the state that it needs, in any order; in this one it has the least to do. Those that are named
# nowhere come where the dots are.
ORDER = (
    "test_converged.py",  # right after the run of site.yml with which all begins
    "test_hand_changes.py",
    "test_slots.py",
    "...",
    "test_candidates.py",
    "test_refusals.py",
    "test_release.py",  # leaves both slots as those need them that follow
    "test_canary.py",
    "test_cutover.py",
    "test_drill.py",
    "test_edges.py",
    "test_people.py",
    "test_worker.py",
    "test_zeroloss.py",
    "test_drift.py",  # ends with a run of site.yml, as all has to, and with the same release in both slots
)
# What the bundle of a release is made from, beside secrets.
SOURCES = ("services", "releases", "inventories/staging", "playbooks", "roles", "plugins", "library")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files, which whoever asks for it shuffles after that, and limit the tests' time.

    What hangs is noticed after 30 minutes, where a test does not say otherwise: a machine may be four times as slow as
    usual, and a test's time has that of what it is the first to need.
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
    """Print a line of progress, whatever pytest does with output."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {text}", end="", flush=True)

    return line


@pytest.fixture(scope="session")
def staging(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Environment]:
    """Staging, brought by site.yml from whatever state it was in to the one that its inventory describes."""
    # Asked to end, as `make proof` does when a section's time is over, tests put right what they broke.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = Environment(say=say)
    as_is = request.config.getoption("--as-is")
    if not as_is:
        run = environment.play("site.yml")
        if "create=missing" in run.errors:
            assert environment.play("playbooks/secrets.yml", "-e", "create=missing").code == 0
            run = environment.play("site.yml")
        if run.code != 0:
            # Once in full; each test that needs staging tells why it could not run.
            say(run.output)
            pytest.fail(f"site.yml has failed before any test: {run.errors}", pytrace=False)
    yield environment
    if not as_is:
        environment.rest()


@pytest.fixture(scope="session")
def offered(request: pytest.FixtureRequest, staging: Environment) -> Iterator[None]:
    """Know from earlier sessions what a deploy of the release that tests offer makes of these sources."""
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
    """Staging with release 1.1 in the idle slot, ready to serve; the live slot stays as it was."""
    staging.offer()
    return staging


@pytest.fixture(scope="module")
def settled(staging: Environment) -> None:
    """People and data are those of the inventory's release, whatever an earlier test deployed."""
    if staging.touched:
        run = staging.play("playbooks/seed.yml")
        assert run.code == 0, run.output


@pytest.fixture(scope="module")
def nothing_put_aside(staging: Environment) -> None:
    """Jobs that earlier faults have put aside are thrown away, once an operator has looked at them."""
    throw_away(staging)


@pytest.fixture(scope="module")
def nobody_comes(staging: Environment) -> Iterator[None]:
    """Keep the simulated people away while a test counts."""
    staging.ssh("ops1", "systemctl stop greenroom-simulation.timer greenroom-simulation.service")
    yield
    staging.ssh("ops1", "systemctl start greenroom-simulation.timer")
