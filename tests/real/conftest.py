"""One converged environment for all real tests; at the end it is converged again, with its own release."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environment import Environment

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests, and limit their time.

    Files that need both slots follow each other: any other may take the idle one, and a deploy takes a minute. What
    hangs is noticed after 15 minutes, where a test does not say otherwise.
    """
    need = {item.path for item in items if "both_slots" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in need)
    for item in items:
        if HERE in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


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
    if not request.config.getoption("--as-is"):
        assert environment.play("playbooks/secrets.yml", "-e", "create=missing").code == 0
        environment.converge()
    yield environment
    if not request.config.getoption("--as-is"):
        environment.converge()


@pytest.fixture(scope="module")
def both_slots(staging: Environment) -> Environment:
    """Staging with release 1.1 in the idle slot, ready to serve; the live slot stays as it was."""
    live = staging.live()
    ready = "systemctl is-active portal-{0} kratos-{0}".format(staging.idle())
    wanted = [staging.bundle(host, staging.idle()).get("metadata", {}).get("release") for host in staging.groups["app"]]
    up = [staging.ssh(host, ready, check=False).returncode == 0 for host in staging.groups["app"]]
    if set(wanted) != {"1.1"} or not all(up):
        staging.converge("-e", "release_name=1.1")
        staging.go_back(live)
    return staging


@pytest.fixture(scope="module")
def settled(staging: Environment) -> None:
    """People and data are those of the inventory's release, whatever an earlier test deployed."""
    run = staging.play("playbooks/seed.yml")
    assert run.code == 0, run.output


@pytest.fixture(scope="module")
def nobody_comes(staging: Environment) -> Iterator[None]:
    """Keep the simulated people away while a test counts."""
    staging.ssh("ops1", "systemctl stop greenroom-simulation.timer greenroom-simulation.service")
    yield
    staging.ssh("ops1", "systemctl start greenroom-simulation.timer")
