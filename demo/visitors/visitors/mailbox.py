"""The mail sandbox: reads a user's mail with MailDev's REST API."""

from __future__ import annotations

import re
import time
from typing import Any

import requests

CODE = re.compile(r"^\s*(\d{6})\s*$", re.MULTILINE)
TIMEOUT_SECONDS = 10


class MailError(Exception):
    """The mail didn't arrive, or the sandbox can't be reached."""


class Mailbox:
    """One user's mail."""

    def __init__(self, url: str, address: str) -> None:
        self.url = url
        self.address = address
        self.http = requests.Session()
        self.http.trust_env = False
        self.seen = {message["id"] for message in self._messages()}

    def code(self, seconds: float = 30) -> str:
        """Return the code in a mail that arrived after this mailbox was opened, and delete that mail."""
        end = time.monotonic() + seconds
        while True:
            for message in self._messages():
                found = CODE.search(message.get("text") or "") if message["id"] not in self.seen else None
                if found:
                    self._ask("DELETE", f"/email/{message['id']}")
                    return found[1]
            if time.monotonic() > end:
                raise MailError(f"no mail with a code arrived within {seconds:.0f} s")
            time.sleep(0.5)

    def _messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", f"/email?headers.to={self.address}").json()
        return found

    def _ask(self, method: str, path: str) -> requests.Response:
        try:
            answer = self.http.request(method, f"{self.url}{path}", timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise MailError(f"can't reach the mail sandbox: {type(error).__name__}") from None
        return answer
