"""What came back, and what it is called when nothing did."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

LOST = ("refused", "reset", "eof", "truncated", "timeout", "5xx", "ws_closed", "wrong")
UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED}


SHARE = "greenroom_share"
"""The edge's cookie."""


def share_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the value of the edge's cookie that an answer sets, or nothing."""
    cookies = (value.decode("latin-1") for name, value in headers if name == b"set-cookie")
    named = (cookie.split(";")[0].partition("=") for cookie in cookies)
    return next((value for name, _, value in named if name == SHARE), "")


@dataclass(frozen=True)
class Answer:
    """A complete answer."""

    status: int
    slot: str
    body: bytes
    share: str = ""
    """What the edge gave to a newcomer: where he is while a candidate has a share of the people follows from it."""


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
