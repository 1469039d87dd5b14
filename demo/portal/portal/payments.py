"""Orders are paid at Stripe, or at a program that behaves like it.

A payment intent moves no money until it is confirmed. So an intent is created, written down, and only then confirmed.
Whatever is lost in between, the next attempt finds the intent, and no order is paid twice.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from sqlalchemy import Connection, Engine, func, insert, select, update

from .orders import OPEN
from .settings import Settings
from .tables import orders, payments

logger = logging.getLogger("portal.payments")

TIMEOUT_SECONDS = (2.0, 5.0)
"""To connect, and to wait for a response."""
STARTING = timedelta(seconds=30)
"""For this long, another request may be about to create the intent of a payment that has none."""
CARDS = {
    "4242424242424242": ("pm_card_visa", "is accepted"),
    "4000000000000002": ("pm_card_visa_chargeDeclined", "is declined"),
    "4000000000000341": ("pm_card_chargeCustomerFail", "is declined when charged"),
    "4000002760003184": ("pm_card_authenticationRequired", "needs 3-D Secure"),
}
"""Stripe's test cards: number, name there, what it does. No card data of people ever gets here."""
# A payment only moves forward, so a webhook that comes twice or late changes nothing.
RANKS = ("pending", "failed", "captured", "refunded")
EVENTS = {
    "payment_intent.succeeded": "captured",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "failed",
    "charge.refunded": "refunded",
}


class PaymentError(Exception):
    """The order isn't paid; the message tells the visitor what to do. `outcome` is for metrics and the log."""

    outcome = "unavailable"
    message = "The payment provider doesn't respond. Your order is kept and not paid. Try again in a few minutes."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)


class UnsureError(PaymentError):
    """The provider didn't say whether it moved the money."""

    outcome = "unsure"
    message = (
        "The payment provider didn't confirm your payment yet. Look at your orders in a minute. If this one isn't paid "
        "then, pay again: you are never charged twice."
    )


class BusyError(PaymentError):
    """The provider, or the guard before it, refuses more requests."""

    outcome = "limited"
    message = "Too many payments at the moment. Your order is kept and not paid. Try again in a minute."


class NotPayableError(PaymentError):
    """The order doesn't exist, or isn't open."""

    outcome = "not payable"
    message = "This order doesn't exist, or it is paid or canceled already. Look at your orders."


class DeclinedError(PaymentError):
    """The card was declined."""

    outcome = "declined"
    message = "Your card was declined. Your order is kept and not paid. Pay with another card."


class ActionError(PaymentError):
    """The bank wants to confirm the payment with its customer."""

    outcome = "action"
    message = (
        "Your bank wants you to confirm this payment (3-D Secure), which this demo can't show. Your order is kept and "
        "not paid. Pay with another card."
    )


class Payments:
    """Pays and refunds orders."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self.slot = settings.slot
        self.secret = settings.payment_webhook
        client = stripe.RequestsClient(timeout=TIMEOUT_SECONDS)
        # The visitor tries again, and sees why. A retry here could last longer than the edge waits.
        self.provider = stripe.StripeClient(
            settings.payment_key,
            base_addresses={"api": settings.payment_url},
            http_client=client,
            max_network_retries=0,
        ).v1

    def pay(self, owner: str, order: uuid.UUID, card: str) -> None:
        """Pay an owner's open order with a test card; returns when it is paid. Raises PaymentError."""
        if self.settle(owner, order):
            return
        payment, cents = self._begin(owner, order)
        wanted: Any = {
            "amount": cents,
            "currency": "eur",
            "payment_method": CARDS[card][0],
            "payment_method_types": ["card"],
            "metadata": {"order": str(order), "slot": self.slot},
        }
        try:
            intent = self._ask(self.provider.payment_intents.create, wanted)
        except (PaymentError, LookupError) as error:
            # Without an intent that was confirmed, nothing is paid.
            self._advance(payments.c.id == payment, "failed")
            raise error if isinstance(error, PaymentError) else PaymentError from None
        noted = update(payments).where(payments.c.id == payment, payments.c.state == "pending")
        with self.engine.begin() as connection:
            if not connection.execute(noted.values(intent=intent.id)).rowcount:
                raise NotPayableError
        self._confirm(intent.id)

    def _confirm(self, intent: str) -> None:
        try:
            answer = self._ask(self.provider.payment_intents.confirm, intent)
        except (DeclinedError, BusyError):
            self._advance(payments.c.intent == intent, "failed")
            raise
        except (PaymentError, LookupError):
            raise UnsureError from None
        if answer.status == "requires_action":
            raise ActionError
        self._conclude(intent, answer.status)

    def _conclude(self, intent: str, status: str) -> None:
        """Note the final status of an intent. Raises UnsureError if it isn't final."""
        if status == "succeeded":
            self._advance(payments.c.intent == intent, "captured")
        elif status in ("canceled", "requires_payment_method"):
            self._advance(payments.c.intent == intent, "failed")
            if status != "canceled":
                raise DeclinedError
        else:
            raise UnsureError

    def settle(self, owner: str, order: uuid.UUID) -> bool:
        """End an earlier attempt to pay an order, if its outcome isn't known; return whether it turns out to be paid.

        Raises PaymentError if the provider doesn't say.
        """
        status = ""
        mine = payments.join(orders, orders.c.id == payments.c.order_id)
        query = select(payments.c.intent).select_from(mine).where(orders.c.id == order, orders.c.owner == owner)
        with self.engine.connect() as connection:
            left = connection.scalars(query.where(payments.c.state == "pending", payments.c.intent.is_not(None))).all()
        for intent in left:
            try:
                status = self._ask(self.provider.payment_intents.retrieve, intent).status
                if status not in ("succeeded", "canceled", "processing"):
                    # From here on, nobody can confirm it.
                    status = self._ask(self.provider.payment_intents.cancel, intent).status
            except LookupError:
                status = "canceled"
            self._conclude(intent, status)
        return status == "succeeded"

    def _begin(self, owner: str, order: uuid.UUID) -> tuple[uuid.UUID, int]:
        """Write down that an order is about to be paid; return the payment's ID and the amount in cents."""
        mine = (orders.c.id == order) & (orders.c.owner == owner) & (orders.c.state == OPEN)
        now, payment = datetime.now(UTC), uuid.uuid4()
        open_ones = (payments.c.order_id == order) & (payments.c.state == "pending")
        with self.engine.begin() as connection:
            # A second click waits here, and then finds the first one's payment.
            cents = connection.scalar(select(orders.c.total_cents).where(mine).with_for_update())
            if cents is None:
                raise NotPayableError
            fresh = (payments.c.created_at > now - STARTING) & payments.c.seed_set.is_(None)
            going_on = open_ones & (fresh | payments.c.intent.is_not(None))
            if connection.scalar(select(func.count()).where(going_on)):
                raise UnsureError
            connection.execute(update(payments).where(open_ones).values(state="failed"))
            row = {"id": payment, "order_id": order, "method": "card", "state": "pending", "amount_cents": cents}
            connection.execute(insert(payments).values(row | {"created_at": now}))
        return payment, int(cents)

    def refund(self, owner: str, order: uuid.UUID) -> bool:
        """Refund and cancel an owner's paid order; return False if there is none. Raises PaymentError."""
        mine = payments.join(orders, orders.c.id == payments.c.order_id)
        paid = (orders.c.id == order) & (orders.c.owner == owner) & (orders.c.state == "paid")
        query = select(payments.c.id, payments.c.intent).select_from(mine).where(paid, payments.c.state == "captured")
        with self.engine.connect() as connection:
            found = connection.execute(query.where(payments.c.intent.is_not(None))).first()
        if found is None:
            return False
        # With the same key, the provider refunds once, however often it is asked.
        options: Any = {"idempotency_key": f"refund-{found.id}"}
        wanted: Any = {"payment_intent": found.intent}
        try:
            self._ask(self.provider.refunds.create, wanted, options)
        except LookupError:
            raise PaymentError from None
        self._advance(payments.c.intent == found.intent, "refunded")
        return True

    def of(self, owner: str) -> dict[uuid.UUID, Any]:
        """Return the newest payment of each of an owner's orders: its state, intent, and time of the first webhook."""
        mine = payments.join(orders, orders.c.id == payments.c.order_id)
        wanted = (payments.c.order_id, payments.c.state, payments.c.intent, payments.c.notified_at)
        query = select(*wanted).select_from(mine).where(orders.c.owner == owner).order_by(payments.c.created_at)
        with self.engine.connect() as connection:
            return {payment.order_id: payment for payment in connection.execute(query)}

    def verify(self, body: bytes, signature: str) -> None:
        """Raise ValueError unless the provider signed a webhook, within the last five minutes."""
        try:
            stripe.WebhookSignature.verify_header(body, signature, self.secret, stripe.Webhook.DEFAULT_TOLERANCE)
        except stripe.SignatureVerificationError as error:
            raise ValueError(error.user_message or "wrong signature") from None

    def notice(self, event: Mapping[str, Any]) -> str:
        """Take what a webhook says and return the outcome: `changed`, `unchanged`, or `ignored`."""
        kind, content = str(event["type"]), event["data"]["object"]
        state = EVENTS.get(kind)
        if state is None or (state == "refunded" and not content["refunded"]):
            return "ignored"
        intent = content["payment_intent"] if state == "refunded" else content["id"]
        which = payments.c.intent == intent
        with self.engine.begin() as connection:
            first = update(payments).where(which, payments.c.notified_at.is_(None))
            told = connection.execute(first.values(notified_at=datetime.now(UTC))).rowcount > 0
        return "changed" if self._advance(which, state) or told else "unchanged"

    def _advance(self, which: Any, state: str) -> bool:
        """Move a payment, and its order, forward to a state; return False if it is there already, or further."""
        earlier = RANKS[: RANKS.index(state)]
        with self.engine.begin() as connection:
            found = connection.execute(select(payments.c.id, payments.c.order_id).where(which)).first()
            if found is None:
                return False
            moved = update(payments).where(payments.c.id == found.id, payments.c.state.in_(earlier))
            if not connection.execute(moved.values(state=state)).rowcount:
                return False
            _move_order(connection, found.order_id, state)
        return True

    @staticmethod
    def _ask(call: Callable[..., Any], *arguments: Any) -> Any:
        """Return the provider's answer. Raises PaymentError, or LookupError for what the provider doesn't know."""
        try:
            return call(*arguments)
        except stripe.CardError as error:
            raise DeclinedError from error
        except stripe.RateLimitError as error:
            raise BusyError from error
        except stripe.StripeError as error:
            logger.error("payment provider: %s, status %s", type(error).__name__, error.http_status)
            if error.http_status == 404:
                raise LookupError from None
            raise PaymentError from error


def _move_order(connection: Connection, order: uuid.UUID, state: str) -> None:
    """Move an order to the state that fits its payment."""
    to, origins = {"captured": ("paid", [OPEN]), "refunded": ("cancelled", [OPEN, "paid"])}.get(state, ("", []))
    if to:
        own = update(orders).where(orders.c.id == order, orders.c.state.in_(origins))
        connection.execute(own.values(state=to))
