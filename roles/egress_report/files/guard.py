"""Print as JSON what the egress guard of this host logged and counted: guard.py SINCE."""

import json
import socket
import subprocess
import sys
import time

SOCKET = "/run/greenroom-egress/admin.sock"


def lines(unit: str) -> str:
    """Return a unit's lines in the journal."""
    words = ["journalctl", "--quiet", "--output=cat", f"--since={sys.argv[1]}", f"--unit={unit}"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def counts() -> str:
    """Return the counts of calls, nothing if the guard is down."""
    found = b""
    for name in ("minute", "day"):
        with socket.socket(socket.AF_UNIX) as own:
            own.settimeout(10)
            try:
                own.connect(SOCKET)
                own.sendall(f"show table {name}\n".encode())
                while part := own.recv(65536):
                    found += part
            except OSError:
                continue
    return found.decode()


now = int(time.time())
known = {"journal": lines("greenroom-egress"), "names": lines("greenroom-egress-dns"), "counts": counts()}
print(json.dumps(known | {"now": {"minute": now // 60, "day": now // 86400}}))
