"""The virtual environment: finds Python, installs pinned packages, and writes a stamp when it is complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import cache, paths
from .console import LabError, run, step

MINIMUM = (3, 12)
REQUIREMENTS = paths.ROOT / "requirements.txt"
STAMP = paths.VENV / "greenroom-stamp"
PYTHON = paths.VENV / "bin" / "python"

UV = {"UV_NATIVE_TLS": "1", "UV_HTTP_TIMEOUT": "180"}
"""Makes uv trust the machine's certificates and wait for slow mirrors."""

INDEX = "Check that the Python package index is reachable, then run the same command again to continue."

COMPILE: tuple[str | Path, ...] = (PYTHON, "-m", "compileall", "-q", "-j", "0")
"""Without compiled files, each of Ansible's workers would compile every import again if Python can't write them."""

PROBE = "import sys; print(*sys.version_info[:2]); import ensurepip, venv"


def ready() -> bool:
    """Whether the virtual environment has exactly the packages of requirements.txt."""
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == _wanted()


def _wanted() -> str:
    return f"{cache.content_hash(REQUIREMENTS)} compiled"


def ensure() -> None:
    """Create the virtual environment, or update it if requirements.txt changed. Raises LabError."""
    if ready():
        return
    python = find_python()
    with step(f"installing the controller's Python packages into {paths.VENV.name}/ (with {python})"):
        STAMP.unlink(missing_ok=True)
        uv = _uv(python)
        run(
            [uv, "pip", "sync", "--python", PYTHON, "--require-hashes", REQUIREMENTS],
            log="packages",
            env=UV,
            hint=INDEX,
        )
        # The controller imports only a few modules of the collections.
        packages = paths.VENV.glob("lib/*/site-packages")
        run([*COMPILE, "-x", "/ansible_collections/", *packages], log="packages")
        paths.write(STAMP, _wanted())


def compile_plugins() -> None:
    """Compile this checkout's plugins, as far as they changed. Raises LabError."""
    run([*COMPILE, paths.ROOT / "plugins"])


def go_on(arguments: Sequence[str]) -> NoReturn:
    """Continue this command with the virtual environment's Python."""
    os.environ["PYTHONPATH"] = str(paths.LAB)
    os.execv(PYTHON, [str(PYTHON), "-B", "-m", "greenroom_lab.inside", *arguments])


def find_python() -> str:
    """Return the newest suitable Python on PATH, from pyenv or from uv. Raises LabError if there is none."""
    names = [f"python3.{minor}" for minor in range(19, MINIMUM[1] - 1, -1)] + ["python3"]
    candidates = [path for name in names for path in [shutil.which(name)] if path]
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "uv" / "python"
    for folder in (pyenv, uv):
        found = sorted(folder.glob("*/bin/python3"), key=_version_in, reverse=True)
        candidates += [str(path) for path in found]
    for candidate in candidates:
        if paths.VENV not in Path(candidate).parents and _works(Path(candidate)):
            return candidate
    if candidates and Path("/usr/bin/apt-get").exists() and _system_python_is_new():
        raise LabError("Python lacks its venv module. Run `apt-get install python3-venv`, then this command again.")
    raise LabError("No Python 3.12 or newer found (PATH, pyenv, uv). Install one: `uv python install 3.13`.")


def _version_in(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parent.parent.name)[:3]]


def _system_python_is_new() -> bool:
    probe = subprocess.run(["/usr/bin/python3", "-c", PROBE], capture_output=True, text=True, check=False)
    return _new_enough(probe.stdout)


def _new_enough(output: str) -> bool:
    return tuple(int(word) for word in output.split()[:2]) >= MINIMUM


def _works(python: Path) -> bool:
    """Whether `python` starts (pyenv's shims may not), is new enough, and can create virtual environments."""
    if not python.exists():
        return False
    probe = subprocess.run([str(python), "-c", PROBE], capture_output=True, text=True, check=False)
    return probe.returncode == 0 and _new_enough(probe.stdout)


def _uv(python: str) -> Path:
    """Return the pinned uv, which pip installs into a new environment: pip would take minutes for all packages."""
    uv = paths.VENV / "bin" / "uv"
    block = re.search(r"^uv==(\S+)(?: \\\n +--hash=\S+)+", REQUIREMENTS.read_text(), re.MULTILINE)
    if block is None:
        raise LabError("requirements.txt does not pin uv. Compile it again: `make requirements`.")
    if _works(PYTHON) and uv.exists() and run([uv, "--version"], check=False).stdout.split()[1:2] == [block[1]]:
        return uv
    shutil.rmtree(paths.VENV, ignore_errors=True)
    run([python, "-m", "venv", paths.VENV], log="venv")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(block[0] + "\n")
        file.flush()
        run([PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", file.name], log="uv", hint=INDEX)
    return uv
