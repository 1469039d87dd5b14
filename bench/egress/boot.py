# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Tries to reach a foreign recipient again and again from boot on; /run/proof-boot has how often."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path

tries = 0
end = time.monotonic() + 60
while time.monotonic() < end:
    # The route is there as soon as the network is.
    subprocess.run(["ip", "route", "replace", "198.19.200.0/24", "via", "198.18.10.41"], check=False)
    with contextlib.suppress(OSError), socket.create_connection(("198.19.200.66", 25), 1) as made:
        made.sendall(f"EHLO GR{tries}xbootz\r\n".encode())
    tries += 1
    Path("/run/proof-boot").write_text(str(tries), encoding="ascii")
    time.sleep(0.02)
