"""The job: send an order's receipt, once as far as the database can tell."""

from __future__ import annotations

import json
import smtplib
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from .settings import Settings
from .tables import orders, receipts

SMTP_SECONDS = 10
REFUSED = 500
"""From here on a mail server's answers are final."""


class ImpossibleError(Exception):
    """The job can't be done, however often it is tried."""


class Receipts:
    """Sends receipts by SMTP."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings

    def handle(self, body: bytes) -> str:
        """Do a job and say what it was: `sent`; `known`, done before; `gone`, its order is no more.

        The row and the mail are one: the row is written first, and stays only when the mail server took the mail.
        Killed between the two, the job is done again, and a mail goes out twice: mail can't do better. Whoever else has
        the same job waits for the row.

        Raises ImpossibleError, or what the database and the mail server say for the moment.
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
            raise ImpossibleError("it is not an order's receipt") from None
        return dict(job)

    def _send(self, job: dict[str, Any]) -> None:
        try:
            message = self._mail(job)
            # What can't be written is known before anybody is asked to take it.
            message.as_bytes()
        except (ValueError, LookupError, AttributeError):
            # The library has several ways to say that an address is none.
            raise ImpossibleError("no mail can be made of it") from None
        with smtplib.SMTP(self.settings.smtp_host, self.settings.smtp_port, timeout=SMTP_SECONDS) as server:
            try:
                server.send_message(message)
            except smtplib.SMTPNotSupportedError:
                raise ImpossibleError("the mail server does not know such addresses") from None
            except smtplib.SMTPRecipientsRefused as error:
                if all(code >= REFUSED for code, _words in error.recipients.values()):
                    raise ImpossibleError("the mail server refuses the address") from None
                raise

    def _mail(self, job: dict[str, Any]) -> EmailMessage:
        sender = self.settings.mail_from
        message = EmailMessage()
        message["Subject"] = f"Your order: {job['item']}"
        message["From"], message["To"] = sender, job["to"]
        # The same for each try, so that a reader's mail program may know a second one.
        message["Message-ID"] = f"<receipt-{job['order']}@{sender.rpartition('@')[2]}>"
        total = f"{job['total_cents'] / 100:.2f}"
        message.set_content(f"Thank you.\n\n{job['quantity']} x {job['item']}, {total} in all.\nOrder {job['order']}\n")
        return message
