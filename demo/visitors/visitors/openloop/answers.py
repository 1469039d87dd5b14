"""Responses, and the names of losses."""

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
    """Return the value of the edge's cookie that a response sets, or an empty string."""
    cookies = (value.decode("latin-1") for name, value in headers if name == b"set-cookie")
    named = (cookie.split(";")[0].partition("=") for cookie in cookies)
    return next((value for name, _, value in named if name == SHARE), "")


@dataclass(frozen=True)
class Answer:
    """A complete response."""

    status: int
    slot: str
    body: bytes
    share: str = ""
    """The edge's cookie for a new client. It decides the client's slot while a canary runs."""


class LostError(Exception):
    """There was no complete response; `outcome` is one of LOST."""

    def __init__(self, outcome: str, why: str, status: int = 0, slot: str = "") -> None:
        super().__init__(why)
        self.outcome = outcome
        self.status = status
        self.slot = slot


def lost(error: BaseException) -> LostError:
    """Convert an exception of a connection to a LostError with the matching outcome."""
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
