"""Where the lab keeps its files. `make clean` deletes all of them."""

from __future__ import annotations

import os
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
"""The folder lab/ of this checkout."""

ROOT = LAB.parent
"""The checkout."""

STATE = ROOT / ".lab"
"""Keys and logs of the lab that this checkout started; `make down` deletes it."""

ACCESS = ROOT / ".access"
"""Keys and credentials for the environments, one folder for each."""

VENV = ROOT / ".venv"
"""The virtual environment of the controller."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenroom"
"""Build results, shared by all checkouts, each keyed by a hash of its inputs."""

RUN = Path("/run/greenroom-lab")
"""State that a reboot of the machine deletes: podman's run state and the mount namespace."""


def inventories() -> list[Path]:
    """List the folders with inventories: this checkout's, and the one in GREENROOM_LAB_INVENTORIES, if that is set."""
    more = os.environ.get("GREENROOM_LAB_INVENTORIES")
    return [ROOT / "inventories", *([Path(more)] if more else [])]


def inventory(environment: str) -> Path:
    """Return the folder of an environment's inventory, which may not exist. One in the named folder comes first."""
    folders = [folder / environment for folder in inventories()]
    return next((folder for folder in reversed(folders) if folder.is_dir()), folders[0])


def private_folder(path: Path) -> Path:
    """Create `path` for its owner only, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replace `path` with `content` in one step, so that an interruption leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    temporary.chmod(mode)
    temporary.replace(path)
