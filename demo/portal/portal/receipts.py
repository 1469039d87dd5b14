"""The job: send an order's receipt once."""

from __future__ import annotations

import json
import smtplib
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from . import mail
from .settings import Settings
from .tables import orders, receipts

REFUSED = 500
"""SMTP codes from here on are permanent errors."""


class ImpossibleError(Exception):
    """The job can never be done, so it goes to the dead-letter queue."""


class Receipts:
    """Sends receipts by SMTP."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings

    def handle(self, body: bytes) -> str:
        """Do a job and return the outcome: `sent`; `known` if it was done before; `gone` if its order was deleted.

        The row is written first, and committed only after the mail server has accepted the mail. After a kill between
        the two, the job is done again and the mail is sent twice, which SMTP can't prevent. Another worker with the
        same job waits for the row.

        Raises ImpossibleError, or temporary errors of the database and the mail server.
        """
        job = self._read(body)
        done = {"order_id": job["order"], "slot": self.settings.slot, "sent_at": datetime.now(UTC)}
        try:
            with self.engine.begin() as connection:
                if connection.scalar(select(orders.c.id).where(orders.c.id == job["order"])) is None:
                    return "gone"
                connection.execute(insert(receipts).values(done))
                self._send(job)
        except IntegrityError:
            return "known"
        return "sent"

    @staticmethod
    def _read(body: bytes) -> dict[str, Any]:
        try:
            job = json.loads(body)
            job["order"] = uuid.UUID(job["order"])
            if not all(isinstance(job[key], int) for key in ("quantity", "total_cents")):
                raise TypeError
            if not all(isinstance(job[key], str) and job[key].isprintable() for key in ("to", "item")):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ImpossibleError("the message is not a receipt job") from None
        return dict(job)

    def _send(self, job: dict[str, Any]) -> None:
        try:
            message = self._mail(job)
            # Find invalid mail before connecting to the mail server.
            message.as_bytes()
        except (ValueError, LookupError, AttributeError):
            # The library raises different errors for invalid addresses.
            raise ImpossibleError("can't create a mail from this job") from None
        with mail.connect(self.settings) as server:
            try:
                server.send_message(message)
            except smtplib.SMTPNotSupportedError:
                raise ImpossibleError("the mail server doesn't support this address") from None
            except smtplib.SMTPRecipientsRefused as error:
                if all(code >= REFUSED for code, _words in error.recipients.values()):
                    raise ImpossibleError("the mail server refuses the address") from None
                raise

    def _mail(self, job: dict[str, Any]) -> EmailMessage:
        sender = self.settings.mail_from
        message = EmailMessage()
        message["Subject"] = f"Your order: {job['item']}"
        message["From"], message["To"] = sender, job["to"]
        # The same for each attempt, so that mail clients can detect a duplicate.
        message["Message-ID"] = f"<receipt-{job['order']}@{sender.rpartition('@')[2]}>"
        total = f"{job['total_cents'] / 100:.2f}"
        message.set_content(f"Thank you.\n\n{job['quantity']} x {job['item']}, {total} total.\nOrder {job['order']}\n")
        return message
