"""Renders all templates once for each environment."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from rendering import ENVIRONMENTS, ROOT, Rendered, read, render


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """All environments. With several test processes, one of them renders an environment for all."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return {name: once(name, shared / f"rendered-{name}") for name in ENVIRONMENTS}


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Hosts of staging with an egress guard."""
    more = [ROOT / "bench/egress/guard"]
    roles = ("base", "egress", "firewall", "monitoring")
    return render("staging", tmp_path_factory.mktemp("guarded"), roles=roles, hosts="app1:ops1", inventories=more)


def once(environment: str, folder: Path) -> Rendered:
    """Render an environment, or read the result of another process."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_suffix(".done")
        if done.exists():
            return read(folder)
        shutil.rmtree(folder, ignore_errors=True)
        found = render(environment, folder)
        done.touch()
        return found
