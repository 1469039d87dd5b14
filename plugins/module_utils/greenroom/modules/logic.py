# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The hash of the logic that modules run: equal on controller and host if both have the same."""

from __future__ import annotations

import hashlib
import os

PACKAGES = ("canary", "common", "modules", "smoke", "switch", "tree")
"""The packages that hosts have, for all modules together."""
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def digest(root: str = ROOT) -> str:
    """Return the hash of all files in the packages below `root`; raises OSError.

    It reads each file, so it is right after a change by hand as well, and after a power failure.
    """
    found = hashlib.sha256()
    for package in PACKAGES:
        folder = os.path.join(root, package)
        for name in sorted(name for name in os.listdir(folder) if name.endswith(".py")):
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            found.update(f"{package}/{name} {len(content)}\n".encode() + content)
    return found.hexdigest()
