# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Calls a target with a budget many times at once: calls.py NUMBER. Each call has a token of the proof."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading


def call(number: int) -> None:
    """Begin a TLS handshake, which the recipient doesn't finish."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([f"GR{number}xbudgetz"])
    with contextlib.suppress(OSError), socket.create_connection(("few.proof.test", 443), 30) as made:
        context.wrap_socket(made, server_hostname="few.proof.test")


threads = [threading.Thread(target=call, args=(number,)) for number in range(int(sys.argv[1]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
