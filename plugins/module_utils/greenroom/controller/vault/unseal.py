# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Initializes and unseals an OpenBao of the environment's own. Its keys are files on the controller.

Runs on the controller only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEY = "vault-unseal-key-"
TOKEN = "vault-root-token"  # the name of a file


class UnsealError(Exception):
    """OpenBao can't be opened; the text is the end of a line that says what to do."""


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step, so that it is never half written, nor readable for others before it has its mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def trust(ca_file: Path, certificate: str) -> bool:
    """Add a certificate to a file of trusted ones, unless it is there; return whether the file was changed."""
    present = ca_file.read_text(encoding="utf-8") if ca_file.exists() else ""
    if certificate.strip() in present:
        return False
    write(ca_file, "\n".join(filter(None, [present.strip(), certificate.strip()])) + "\n", 0o644)
    return True


def initialize(client: Any, folder: Path, keys: int, needed: int) -> list[str]:
    """Initialize OpenBao if it is empty, and write its keys and root token; return what to do with them.

    Raises UnsealError, and what `client` (hvac) raises.
    """
    if client.sys.is_initialized():
        return []
    if there := key_files(folder):
        raise UnsealError(
            f" is empty, but {there[0]} is the key of another one. Move the files {KEY}* elsewhere, then run this again"
        )
    # Before OpenBao has data that nothing else can open, the folder must be there and writable.
    probe = folder / f".{KEY}probe"
    write(probe, "")
    probe.unlink()
    made = client.sys.initialize(keys, needed)
    for number, key in enumerate(made["keys_base64"], 1):
        write(folder / f"{KEY}{number}", f"{key}\n")
    write(folder / TOKEN, f"{made['root_token']}\n")
    return [
        f"{needed} of the {keys} unseal keys in {folder}/{KEY}* open OpenBao after each start. Without them, all "
        "secrets are lost. Move each one to a place of its own that isn't the controller, such as a password manager.",
        f"{folder / TOKEN} may do everything. Use it for playbooks/vault-setup.yml: "
        f"export VAULT_TOKEN=$(cat {folder / TOKEN}). Then move it, too.",
    ]


def key_files(folder: Path) -> list[Path]:
    """Return the files with unseal keys in a folder."""
    return sorted(folder.glob(f"{KEY}*"))


def unseal(client: Any, folder: Path) -> bool:
    """Unseal OpenBao with the keys in a folder; return whether it was sealed. Raises UnsealError."""
    if not client.sys.is_initialized():
        raise UnsealError(" was never initialized; run playbooks/vault-local.yml, which does that")
    if not client.sys.is_sealed():
        return False
    status: dict[str, Any] = {}
    files = key_files(folder)
    for file in files:
        status = client.sys.submit_unseal_key(file.read_text(encoding="utf-8").strip())
        if not status["sealed"]:
            return True
    needed = status.get("t") or client.sys.read_seal_status()["t"]
    if status.get("progress"):
        client.sys.submit_unseal_key(reset=True)
    raise UnsealError(
        f" is sealed and needs {needed} unseal keys; {folder} has {len(files)} files {KEY}*. Copy them there, or name "
        "another folder with -e openbao_keys_folder=<folder>, then run this again"
    )


def retried(ask: Callable[[], Any], again: tuple[type[Exception], ...], wait: Callable[[], bool]) -> Any:
    """Return the answer to `ask`, which may fail with an error in `again` while a server starts.

    `wait` waits before the next try, and tells whether there is one.
    """
    while True:
        try:
            return ask()
        except again:
            if not wait():
                raise
