"""The journeys of users. Each has exactly one login; a recovery creates an additional session."""

from __future__ import annotations

from collections.abc import Callable

from .pages import Page
from .visitor import Check, Visitor

CHANGES_MIND = 0.15
PAYS = 0.7
CARD = "4242424242424242"
"""The test card that is accepted."""


def at(path: str, field: str = "") -> Check:
    """Expect a path, and a form with a field on the page."""
    return lambda page: page.path == path and (not field or page.having(field) is not None)


def known(page: Page) -> bool:
    """Expect a logged-in page."""
    return page.known


def log_in(visitor: Visitor, mistakes: int = 0) -> Page:
    """Log in, after some mistakes. Returns the front page."""
    page = visitor.open("/self-service/login/browser", at("/login", "password"))
    for _ in range(mistakes):
        # The mistake: the last letter is missing.
        typed = {"identifier": visitor.person, "password": visitor.password[:-1]}
        page = visitor.submit(page.having("password"), at("/login", "password"), **typed)
        visitor.counts["mistakes"] += 1
    typed = {"identifier": visitor.person, "password": visitor.password}
    page = visitor.submit(page.having("password"), known, **typed)
    visitor.counts["logins"] += 1
    return page


def log_out(visitor: Visitor, page: Page) -> None:
    """Log out."""
    visitor.submit(page.leading("/logout"), lambda page: not page.known)


def look_around(visitor: Visitor) -> Page:
    """Open the orders and the front page."""
    for path in ("/orders", "/"):
        visitor.think()
        page = visitor.open(path, known)
    return page


def browse(visitor: Visitor) -> None:
    """Log in and look around."""
    log_in(visitor)
    log_out(visitor, look_around(visitor))


def order(visitor: Visitor) -> None:
    """Log in and order an item, and mostly pay for it; sometimes cancel the order."""
    log_in(visitor)
    page = visitor.open("/orders", at("/orders", "item"))
    form = page.having("item")
    items = form.choices.get("item", []) if form else []
    choice = {"item": visitor.chance.choice(items)} if items else {}
    page = visitor.submit(form, lambda page: page.path == "/orders" and page.fragment.startswith("order-"), **choice)
    identifier = page.fragment.removeprefix("order-")
    visitor.orders.append(identifier)
    cancel = page.leading(f"/orders/{identifier}/cancel")
    if cancel and visitor.chance.random() < CHANGES_MIND:
        page = visitor.submit(cancel, at("/orders", "item"))
        visitor.counts["cancellations"] += 1
    # Where orders can't be paid, there is no form for it.
    elif (pay := page.leading(f"/orders/{identifier}/pay")) and visitor.chance.random() < PAYS:
        page = visitor.submit(pay, lambda page: page.leading(pay.action) is None and page.known, card=CARD)
        visitor.counts["payments"] += 1
    log_out(visitor, page)


def mistype(visitor: Visitor) -> None:
    """Log in at the second or third attempt."""
    log_in(visitor, mistakes=visitor.chance.choice((1, 1, 2)))
    log_out(visitor, look_around(visitor))


def recover(visitor: Visitor) -> None:
    """Recover the account by mail, set the password again (to the same, which other visits use), and log in."""
    page = visitor.open("/self-service/recovery/browser", at("/recovery", "email"))
    mailbox = visitor.mailbox()
    page = visitor.submit(page.having("email"), at("/recovery", "code"), email=visitor.person)
    page = visitor.submit(page.having("code"), at("/settings", "password"), code=visitor.code(mailbox))
    page = visitor.submit(page.having("password"), at("/settings", "password"), password=visitor.password)
    visitor.counts["recoveries"] += 1
    log_out(visitor, visitor.open("/", known))
    log_out(visitor, log_in(visitor))


JOURNEYS: dict[str, Callable[[Visitor], None]] = {
    "browse": browse,
    "order": order,
    "mistype": mistype,
    "recover": recover,
}
