# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The network cards' addresses of containers: the firewall tells containers apart by them.

A container's program can't change its address: it has no capabilities. Standard library only: this runs on hosts.
"""

from __future__ import annotations

import hashlib

# Of locally administered addresses. roles/firewall/templates/etc/nftables.conf.j2 has the range.
_PREFIX = b"\x0a\x67"


def mac_address(container: str) -> str:
    """Return the address of the network card of the container with this name."""
    return (_PREFIX + hashlib.sha256(container.encode()).digest()[:4]).hex(":")
