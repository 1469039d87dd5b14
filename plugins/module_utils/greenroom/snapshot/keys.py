# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What must differ between two environments: keys of hosts, accounts and certificates, by fingerprint."""

from __future__ import annotations

import base64
import glob
import hashlib
import re

from .reading import Items, text

_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ +([A-Za-z0-9+/=]{40,})")


def fingerprint(line: str) -> str:
    """Return OpenSSH's SHA256 fingerprint of a public key's line."""
    found = _KEY.search(line)
    return _sha256(base64.b64decode(found[1] + "==") if found else line.encode())


def digest(pem: str) -> str:
    """Return the SHA256 fingerprint of a PEM block."""
    return _sha256(base64.b64decode("".join(line for line in pem.split("\n-----END", maxsplit=1)[0].splitlines()[1:])))


def _sha256(content: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def host_keys() -> Items:
    """Yield the fingerprints of the host's SSH keys, and of its machine ID, which DHCP and the journal use."""
    for path in sorted(glob.glob("/etc/ssh/ssh_host_*_key.pub")):
        kind = path.rsplit("ssh_host_", 1)[1].partition("_key")[0]
        yield f"host key {kind}", fingerprint(text(path))
    if machine := text("/etc/machine-id").strip():
        # systemd asks programs not to tell it as it is.
        yield "machine ID", _sha256(b"greenroom snapshot " + machine.encode())
    if bundles := text("/etc/greenroom/bundle-key.fact"):
        yield "key that signs bundles", _sha256(bundles.encode())
