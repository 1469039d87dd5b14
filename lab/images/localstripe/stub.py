"""Runs localstripe on one address, with Stripe's test cards and with webhooks that are sent again like Stripe's.

Settings are environment variables: STUB_HOST, STUB_PORT, and for webhooks STUB_WEBHOOK_URL, STUB_WEBHOOK_SECRET and
STUB_WEBHOOK_LOGIN (`user:password` of the site, or empty).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import time
from typing import Any

import aiohttp
from aiohttp import web
from localstripe import resources, server, webhooks

logger = logging.getLogger("stub")

PAUSES = (0.5, 2, 10, 60, 300)
"""Seconds before each attempt to send a webhook."""
SLOT = "X-Greenroom-Slot"
CARDS = {"pm_card_authenticationRequired": "4000002760003184"}
"""Stripe's names of test cards that localstripe lacks."""


_find = resources.PaymentMethod._try_get_canonical_test_article
_declines = resources.PaymentMethod._charging_is_declined


def find(name: str) -> Any:
    """Return a new payment method for the name of a test card, or None."""
    if name in CARDS:
        card = {"number": CARDS[name], "exp_month": "12", "exp_year": "2030", "cvc": "123"}
        return resources.PaymentMethod(type="card", card=card)
    return _find(name)


def declines(card: Any) -> bool:
    """Return whether a charge fails: localstripe would let some declined cards pay."""
    return bool(_declines(card) or card._attaching_is_declined())


async def deliver(event: Any) -> None:
    """Send a webhook until the site takes it. The first attempt goes to the slot that started the payment."""
    body = json.dumps(event._export()).encode()
    slot = (event.data["object"].get("metadata") or {}).get("slot")
    headers = {"Content-Type": "application/json", **({SLOT: slot} if slot else {})}
    secret, (user, _, password) = os.environ["STUB_WEBHOOK_SECRET"], os.environ["STUB_WEBHOOK_LOGIN"].partition(":")
    login = aiohttp.BasicAuth(user, password) if user else None
    for pause in PAUSES:
        await asyncio.sleep(pause)
        now = str(int(time.time()))
        signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        signed = {**headers, "Stripe-Signature": f"t={now},v1={signature}"}
        try:
            async with (
                aiohttp.ClientSession(auth=login, timeout=aiohttp.ClientTimeout(10)) as session,
                session.post(os.environ["STUB_WEBHOOK_URL"], data=body, headers=signed) as answer,
            ):
                logger.info("%s %s: status %s", event.type, event.id, answer.status)
                if answer.status < 300:
                    return
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("%s %s: %s", event.type, event.id, type(error).__name__)
        headers.pop(SLOT, None)


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # localstripe would write all that it has into a file with each request.
    resources.Store.dump_to_disk = lambda _store: None
    resources.PaymentMethod._try_get_canonical_test_article = staticmethod(find)
    resources.PaymentMethod._charging_is_declined = declines
    tasks: set[asyncio.Task[None]] = set()

    def schedule(event: Any) -> None:
        if os.environ.get("STUB_WEBHOOK_URL"):
            task = asyncio.ensure_future(deliver(event))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    webhooks.schedule_webhook = resources.schedule_webhook = schedule
    web.run_app(server.app, host=os.environ["STUB_HOST"], port=int(os.environ["STUB_PORT"]), print=None)


if __name__ == "__main__":
    main()
