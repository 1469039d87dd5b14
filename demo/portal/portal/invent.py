"""Generates the history of users: addresses, orders and payments that look like a real shop's.

The same set, seed and key give the same rows with the same IDs, on any host and in any run. The result depends neither
on the time nor on other users. A larger volume adds orders to the same ones.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from .orders import ITEMS, OPEN, PRICES

NAMESPACE = uuid.UUID("6f0f2d0a-7a3c-5c52-9d0c-0f8b1d3e4a57")
DAYS = 730
"""Length of the history in days."""
MOST = 80
"""Maximum number of orders of one user, at volume 1."""

# Load of a shop for stage supplies: quiet summers, premieres in the fall, free weekends, more customers each year.
MONTHS = (0.8, 0.9, 1.0, 1.05, 1.0, 0.8, 0.55, 0.7, 1.25, 1.35, 1.5, 1.3)
WEEKDAYS = (1.15, 1.2, 1.15, 1.1, 1.0, 0.6, 0.5)
HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 12, 15, 16, 15, 13, 14, 15, 15, 14, 13, 12, 13, 14, 12, 8, 4)
# States of an order by its age: (at most this many days old, {state: weight}).
STATES = (
    (1, {OPEN: 50, "paid": 45, "cancelled": 5}),
    (4, {"paid": 30, "packed": 35, "shipped": 30, "cancelled": 5}),
    (10, {"shipped": 50, "delivered": 42, "cancelled": 8}),
    (30, {"delivered": 88, "cancelled": 7, "returned": 5}),
    (DAYS + 1, {"delivered": 90, "cancelled": 6, "returned": 4}),
)
METHODS = {"card": 55, "wallet": 25, "transfer": 15, "invoice": 5}
ITEM_WEIGHTS = (45, 20, 15, 20)
QUANTITIES = {1: 62, 2: 20, 3: 8, 5: 6, 10: 3, 24: 1}
NOTES = ("Stage left, please", "Before the dress rehearsal", "Ring twice", "For the tour", "Leave it with the porter")
# Country, city, postal code (# is a digit, ? a letter), format of the street line, streets.
PLACES = (
    ("DE", "Leipzig", "04###", "{street} {number}", ("Lindenstraße", "Theatergasse", "Am Ring", "Goethestraße")),
    ("DE", "Köln", "50###", "{street} {number}", ("Bühnenweg", "Am Rheinufer", "Severinstraße", "Kirchweg")),
    ("AT", "Graz", "80##", "{street} {number}", ("Opernring", "Herrengasse", "Mühlgasse")),
    ("FR", "Lyon", "6900#", "{number} {street}", ("rue du Théâtre", "quai de Saône", "rue des Lumières")),
    ("GB", "Leeds", "LS# #??", "{number} {street}", ("Mill Lane", "Playhouse Street", "Station Road")),
    ("IE", "Galway", "H91 ?#??", "{number} {street}", ("Shop Street", "Quay Lane", "Abbey Row")),
    ("PL", "Wrocław", "5#-###", "ul. {street} {number}", ("Teatralna", "Ogrodowa", "Świdnicka")),
    ("ES", "Bilbao", "480##", "Calle {street}, {number}", ("del Teatro", "de la Ribera", "Mayor")),
    ("NL", "Utrecht", "35## ??", "{street} {number}", ("Lange Nieuwstraat", "Oudegracht", "Schouwburglaan")),
)
PLACE_WEIGHTS = (20, 16, 8, 14, 14, 6, 9, 7, 6)


class Person(NamedTuple):
    """A user: the key within the set, and the identity that owns the rows."""

    key: str
    owner: str


class Rows(NamedTuple):
    """The rows of a user, by table; each row has its values in the order of `COLUMNS`."""

    addresses: list[tuple[object, ...]]
    orders: list[tuple[object, ...]]
    payments: list[tuple[object, ...]]


COLUMNS = {
    "addresses": ("id", "owner", "street", "postal_code", "city", "country", "since", "seed_set"),
    "orders": (
        *("id", "owner", "address_id", "item", "quantity", "total_cents", "state", "created_at", "seed_set"),
        "note",  # Last, because the first version doesn't have it.
    ),
    "payments": ("id", "order_id", "method", "state", "amount_cents", "created_at", "seed_set"),
}


@dataclass(frozen=True)
class History:
    """Parameters: `volume` is a factor on the number of orders, `until` the first day without orders."""

    set: str
    seed: str
    volume: float
    until: date

    @cached_property
    def _end(self) -> datetime:
        return datetime.combine(self.until, time(), UTC)

    @cached_property
    def _days(self) -> list[float]:
        """Cumulative weights of the days before `until`, latest first."""

        def weight(age: int) -> float:
            day = self.until - timedelta(days=age)
            return MONTHS[day.month - 1] * WEEKDAYS[day.weekday()] * (1 - 0.4 * age / DAYS)

        return list(accumulate(weight(age) for age in range(1, DAYS + 1)))

    def _id(self, person: Person, kind: str, number: int | str) -> uuid.UUID:
        return uuid.uuid5(NAMESPACE, "\0".join((self.set, self.seed, person.key, kind, str(number))))

    def of(self, person: Person) -> Rows:
        """Return the rows of a user."""
        chance = random.Random("\0".join((self.set, self.seed, person.key)))
        rows = Rows([], [], [])
        # A third of the users never order, most order a few times, and very few order very often.
        eager = 0.0 if chance.random() < 0.3 else min((1 - chance.random()) ** -0.8, MOST)
        many = int(eager * self.volume + chance.random())
        places = [self._place(chance) for _ in range(pick(chance, {1: 80, 2: 17, 3: 3}))]
        known = chance.randrange(1, DAYS)
        identifiers = [self._id(person, "address", number) for number in range(len(places))]
        for number in range(many):
            address = identifiers[int(len(places) * chance.random() ** 2)]
            known = max(known, self._order(person, number, address, chance, rows))
        since = self.until - timedelta(days=known)
        for identifier, place in zip(identifiers, places, strict=True):
            rows.addresses.append((identifier, person.owner, *place, since, self.set))
        return rows

    @staticmethod
    def _place(chance: random.Random) -> tuple[str, str, str, str]:
        """Return street, postal code, city, country."""
        country, city, code, form, streets = chance.choices(PLACES, PLACE_WEIGHTS)[0]
        street = form.format(street=chance.choice(streets), number=chance.randrange(1, 140))
        letters = {"#": "0123456789", "?": "ABDEFHJKLNPRTW"}
        return street, "".join(chance.choice(letters.get(sign, sign)) for sign in code), city, country

    def _order(self, person: Person, number: int, address: uuid.UUID, chance: random.Random, rows: Rows) -> int:
        """Add an order and its payments to `rows`; return the order's age in days."""
        age = chance.choices(range(1, DAYS + 1), cum_weights=self._days)[0]
        second = chance.choices(range(24), HOURS)[0] * 3600 + chance.randrange(3600)
        when = self._end - timedelta(days=age) + timedelta(seconds=second)
        item = chance.choices(ITEMS, ITEM_WEIGHTS)[0]
        quantity = pick(chance, QUANTITIES)
        total = PRICES[item] * quantity
        state = pick(chance, next(states for limit, states in STATES if age <= limit))
        note = chance.choice(NOTES) if chance.random() < 0.12 else None
        identifier = self._id(person, "order", number)
        rows.orders.append((identifier, person.owner, address, item, quantity, total, state, when, self.set, note))
        for attempt, (method, outcome, later) in enumerate(attempts(state, chance)):
            paid = min(when + later, self._end)
            payment = self._id(person, "payment", f"{number}.{attempt}")
            rows.payments.append((payment, identifier, method, outcome, total, paid, self.set))
        return age


def pick[Value](chance: random.Random, weights: dict[Value, int]) -> Value:
    """Return a random key; the values are weights."""
    return chance.choices(list(weights), list(weights.values()))[0]


def attempts(state: str, chance: random.Random) -> Sequence[tuple[str, str, timedelta]]:
    """Return the payments that fit an order's state, as (method, state, time after the order).

    Shipped and delivered orders are paid once and in full. Returned and canceled orders may be refunded.
    """
    method = pick(chance, METHODS)
    slow = method in ("transfer", "invoice")
    later = timedelta(seconds=chance.randrange(3600, 172_800) if slow else chance.randrange(5, 180))
    luck = chance.random()
    match state:
        case "placed":
            outcome = "pending" if luck < 0.6 else ""
        case "cancelled":
            outcome = "refunded" if luck < 0.4 else "failed" if luck < 0.6 else ""
        case "returned":
            outcome = "refunded"
        case _:
            outcome = "captured"
    tried = [("card", "failed", timedelta(seconds=4))] if outcome == "captured" and luck < 0.06 else []
    return [*tried, (method, outcome, later)] if outcome else []
