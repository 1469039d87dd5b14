"""What came back, and what it is called when nothing did."""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass

LOST = ("refused", "reset", "eof", "truncated", "timeout", "5xx", "ws_closed", "wrong")
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED}


@dataclass(frozen=True)
class Answer:
    """A complete answer."""

    status: int
    slot: str
    body: bytes


class LostError(Exception):
    """There was no complete answer; `outcome` is one of LOST."""

    def __init__(self, outcome: str, why: str, status: int = 0, slot: str = "") -> None:
        super().__init__(why)
        self.outcome = outcome
        self.status = status
        self.slot = slot


def lost(error: BaseException) -> LostError:
    """Say what an error that a connection raised is, as one who counts losses calls it."""
    if isinstance(error, LostError):
        return error
    why = repr(error)
    if isinstance(error, TimeoutError):
        return LostError("timeout", why)
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return LostError("refused", why)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return LostError("eof", why)
    if isinstance(error, ConnectionError):
        return LostError("reset", why)
    return LostError("wrong", why)
