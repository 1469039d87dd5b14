# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Mask secrets in output."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Shorter values aren't masked: they occur in any text, and aren't secrets."""

# Secrets in servers' responses, which can only be recognized by their names.
_NAMED = re.compile(
    r"""((?:password|passwd|secret|token|cookie|authorization|api_?key|session_id)[\w-]*["']?\s*[:=]\s*)"""
    r"""("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s&;,<>"']+)""",
    re.IGNORECASE,
)


class Mask:
    """A set of secrets to mask in texts, in all encodings in which they may occur."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Mask `secret` from now on; very short ones are ignored."""
        if len(secret) >= SHORTEST:
            self._forms |= {
                secret,
                quote(secret, safe=""),
                quote_plus(secret),
                html.escape(secret),
                json.dumps(secret)[1:-1],
            }

    def hide(self, text: str) -> str:
        """Return `text` with all secrets masked."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text

    def clean(self, text: str) -> str:
        """Return `text` with all secrets masked, and with the values of names such as password, token or cookie."""
        return _NAMED.sub(r"\1***", self.hide(text))
