# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Send a notification: a JSON object to a webhook, the same as text by mail. Standard library only."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Any

from ..common import web


class NotifyError(Exception):
    """A notification was not sent; the text says why, without the webhook's address."""


def post(url: str, event: Mapping[str, Any], network: web.Network, seconds: float) -> None:
    """Send an event to a webhook, which must respond with a status below 300. Raises NotifyError."""
    body = json.dumps(event).encode()
    request = web.Request("POST", url, {"Content-Type": "application/json", "User-Agent": "greenroom"}, body)
    try:
        answer = web.request(request, network, web.Deadline(seconds))
    except (web.WebError, TimeoutError) as error:
        raise NotifyError(f"the webhook did not respond: {error or 'too late'}") from error
    if not 200 <= answer.status < 300:
        raise NotifyError(f"the webhook responded with status {answer.status}")


def mail(
    server: tuple[str, int], sender: str, recipients: Sequence[str], event: Mapping[str, Any], seconds: float
) -> None:
    """Send an event by mail through `server`, (host, port), by SMTP without login. Raises NotifyError."""
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(recipients)
    # A header is one line.
    message["Subject"] = " ".join(f"[{event['environment']}] {event['event']}: {event['text']}".split())[:200]
    details = "\n".join(f"{name}: {value}" for name, value in event.items() if name != "text")
    message.set_content(f"{event['text']}\n\n{details}\n")
    try:
        with smtplib.SMTP(*server, timeout=seconds) as smtp:
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotifyError(f"the mail server {server[0]} port {server[1]} did not accept the mail: {error}") from error
