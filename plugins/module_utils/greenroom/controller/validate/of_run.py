# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the check of a run's input reads and returns: values with all that they contain, and the id of the run."""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import EncryptedString


def rendered(value: Any) -> Any:
    """Return a value with all that it contains: Ansible renders an item of a list or mapping when it is read."""
    if isinstance(value, Mapping):
        return {key: rendered(item) for key, item in value.items()}
    return [rendered(item) for item in value] if isinstance(value, list) else value


def encrypted(value: Any) -> Iterator[EncryptedString]:
    """Yield the values with the tag !vault, at any depth."""
    if isinstance(value, EncryptedString):
        yield value
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from encrypted(item)


def load_plain(path: Path) -> Any:
    """Return the content of one of the project's own YAML files: Ansible's loader takes ten times as long."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def run() -> dict[str, str]:
    """Return the id of this run (sorts by time), its start, and who runs it on which machine."""
    now = datetime.now(UTC)
    return {
        "id": f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        "started": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "controller": f"{getpass.getuser()}@{socket.gethostname()}",
    }
