# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Renews the certificates of this host that expire soon, and says how long all of them last.

A timer calls it. A failure fails its unit, and the next time tries again.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..common.durable import write
from . import acme, reading
from .reading import CertificateError
from .vault import Vault

Settings = Mapping[str, Any]
"""The host's /etc/greenroom/certificates.json; `certificates` has one entry for each certificate."""
RENEWED = ("vault", "acme")
"""Sources from which a host renews. It only watches other certificates."""
LATE = 14
"""With fewer days left than this, a certificate that the host only watches is a failure."""


def main(path: str, arguments: Sequence[str]) -> int:
    """Carry out `renew`, `renew now` or `show`; return the exit code."""
    settings = json.loads(Path(path).read_text(encoding="utf-8"))
    if list(arguments) == ["show"]:
        print(json.dumps(show(settings)))
        return 0
    if list(arguments) not in (["renew"], ["renew", "now"]):
        print(f"usage: {Path(sys.argv[0]).name} renew [now] | show", file=sys.stderr)
        return 2
    return renew(settings, always="now" in arguments)


def renew(settings: Settings, always: bool = False) -> int:
    """Renew what is due, or everything; write metrics and failures; return 1 if something failed."""
    failures: dict[str, str] = {}
    with _alone(settings["folder"]):
        for entry in settings["certificates"]:
            try:
                _renew(settings, entry, always)
            except (CertificateError, OSError, KeyError, ValueError) as error:
                failures[entry["name"]] = str(error)
                print(f"{entry['name']}: {error}", file=sys.stderr)
        write(f"{settings['folder']}/failures.json", json.dumps(failures).encode())
        if os.path.isdir(os.path.dirname(settings["metrics_file"])):
            write(settings["metrics_file"], "".join(_metrics(settings, failures)).encode(), forced=False)
    return 1 if failures else 0


def show(settings: Settings) -> dict[str, str]:
    """Return a line for each certificate: how many days it is valid, who renews it, and what failed."""
    try:
        failures = json.loads(Path(settings["folder"], "failures.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        failures = {}
    found = {}
    for entry in settings["certificates"]:
        who = {"vault": "this host renews it", "acme": "this host renews it"}.get(entry["source"], entry["renewed_by"])
        try:
            days = (reading.read(_text(entry)).ends - time.time()) / reading.DAY
            left = f"{days:.0f} days left" if days > 0 else "expired"
        except (CertificateError, OSError) as error:
            left = f"can't be read: {error}"
        failed = f"; failed: {failures[entry['name']]}" if entry["name"] in failures else ""
        found[entry["name"]] = f"{left}, {who}{failed}"
    return found


def _renew(settings: Settings, entry: Settings, always: bool) -> None:
    """Renew one certificate if it is due."""
    try:
        present = reading.read(_text(entry))
        why = present.due(entry["names"], settings["days"], time.time())
    except CertificateError:
        if entry["source"] not in RENEWED:
            raise
        why = "can't be read"
    if entry["source"] == "acme" and not why and present.key != _public_key(settings["acme"]["key"]):
        why = "is not from the CA yet"
    if entry["source"] not in RENEWED:
        left = (present.ends - time.time()) / reading.DAY
        if left < min(LATE, settings["days"]):
            raise CertificateError(f"{max(0.0, left):.0f} days left; {entry['renewed_by']}")
        return
    if not why and not always:
        return
    print(f"{entry['name']}: renewing, because it {why or 'was asked for'}", flush=True)
    if entry["source"] == "vault":
        content = _from_vault(settings, entry, always)
    else:
        chain = acme.obtain(settings["acme"], entry["names"], 100000 if always else settings["days"])
        content = {"certificate": chain.strip(), "ca_chain": "", "private_key": _own_key(settings)}
    _install(entry, content)
    print(f"{entry['name']}: renewed", flush=True)


def _own_key(settings: Settings) -> str:
    return Path(settings["acme"]["key"]).read_text(encoding="utf-8").strip()


def _public_key(path: str) -> str:
    return reading.public_key(Path(path).read_text(encoding="utf-8"))


def _from_vault(settings: Settings, entry: Settings, always: bool) -> dict[str, str]:
    """Return the certificate in Vault, after renewing it there if nobody else has."""
    vault = Vault(settings["vault"])
    try:
        found, version = vault.certificate(entry["name"])
        if found and not always:
            due = reading.read(found["certificate"]).due(entry["names"], settings["days"], time.time())
            if not due:
                return found
        made = vault.issue(entry["names"])
        try:
            vault.write(entry["name"], made, version)
        except CertificateError:
            # Another host, or a run, was faster: all use the same certificate.
            found, newer = vault.certificate(entry["name"])
            if newer == version:
                raise
            return found
        return made
    finally:
        vault.leave()


def _text(entry: Settings) -> str:
    return Path(entry["files"][0]["path"]).read_text(encoding="utf-8")


def _install(entry: Settings, content: Mapping[str, str]) -> None:
    """Write the files with the modes and owners that they have, and let the server load them.

    If it refuses them, the previous files come back.
    """
    before = {file["path"]: Path(file["path"]).read_bytes() for file in entry["files"]}
    for file in entry["files"]:
        parts = [content[part] for part in file["parts"] if content[part]]
        _write(file["path"], ("\n".join(parts) + "\n").encode())
    try:
        for command in entry["reload"]:
            _load(command)
    except CertificateError:
        for path, text in before.items():
            _write(path, text)
        raise


def _write(path: str, content: bytes) -> None:
    kept = os.stat(path)
    write(path, content, kept.st_mode & 0o7777, owner=(kept.st_uid, kept.st_gid))


def _load(command: Mapping[str, Any]) -> None:
    """Run a command of the form {argv, password_file: for VALKEYCLI_AUTH}. Raises CertificateError."""
    environment = dict(os.environ)
    if command.get("password_file"):
        password = Path(command["password_file"]).read_text(encoding="utf-8").strip()
        environment |= {"VALKEYCLI_AUTH": password, "REDISCLI_AUTH": password}
    what = " ".join(command["argv"][:3])
    try:
        done = subprocess.run(
            command["argv"], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CertificateError(f"{what} failed: {error}; the previous certificate is back") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise CertificateError(f"{what} failed: {said}; the previous certificate is back")


def _metrics(settings: Settings, failures: Mapping[str, str]) -> Iterator[str]:
    expiry, failed = "greenroom_certificate_expiry_seconds", "greenroom_certificate_renewal_failed"
    yield f"# HELP {expiry} When the certificate expires, in seconds since 1970.\n# TYPE {expiry} gauge\n"
    for entry in settings["certificates"]:
        try:
            ends = reading.read(_text(entry)).ends
        except (CertificateError, OSError):
            ends = 0.0
        yield f"{expiry}{_labels(settings, entry)} {ends:.0f}\n"
    yield f"# HELP {failed} Whether the last renewal failed, or a certificate expires soon.\n# TYPE {failed} gauge\n"
    for entry in settings["certificates"]:
        yield f"{failed}{_labels(settings, entry)} {int(entry['name'] in failures)}\n"


def _labels(settings: Settings, entry: Settings) -> str:
    return f'{{host="{settings["host"]}",name="{entry["name"]}"}}'


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Keep a second renewal on this host waiting."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(f"{folder}/lock", "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
