# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The demo portal pays at the real localstripe, with a real PostgreSQL, and with faults of the provider."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import yaml
from ansible.module_utils.greenroom.canary import metrics_page
from fastapi.testclient import TestClient
from portal import migrate, payments
from portal.app import create_app
from portal.kratos import Kratos
from portal.metrics import Metrics
from portal.settings import Settings
from prometheus_client import generate_latest
from sqlalchemy import Engine, create_engine, make_url, text

from bench.common import ROOT, free_port
from bench.identity_seed import servers

SECRET = "the secret of the endpoint"
GOOD, DECLINED, FAILS, SECURE = payments.CARDS
KEPT = "Your order is kept and not paid."


class Gateway(BaseHTTPRequestHandler):
    """Stands between the portal and localstripe, and breaks requests as the `fault` of its server says."""

    def do_GET(self) -> None:
        """Pass the request on, unless the fault is another one."""
        own: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        own.asked.append((self.command, self.path))
        fault = own.fault if re.search(own.where, self.path) else ""
        if fault in ("500", "429"):
            self.reply(int(fault), b'{"error": {"message": "no"}}')
            return
        if fault == "slow":
            own.released.wait(30)
        kept = ("authorization", "content-type")
        keep = {name: value for name, value in self.headers.items() if name.lower() in kept}
        found = httpx.request(self.command, f"{own.target}{self.path}", content=body, headers=keep)
        # The provider did it, and nobody hears of it.
        if fault != "lost":
            self.reply(found.status_code, found.content)

    def do_POST(self) -> None:
        """The same with a body."""
        self.do_GET()

    def reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@dataclass
class Provider:
    """localstripe, behind a gateway with faults."""

    url: str
    gateway: Any
    hooks: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @contextlib.contextmanager
    def broken(self, fault: str, where: str = "") -> Iterator[None]:
        """Break the requests whose path has a pattern, or all."""
        self.gateway.fault, self.gateway.where = fault, where
        self.gateway.released.clear()
        yield
        self.gateway.released.set()
        self.gateway.fault = ""

    def hook(self, kind: str, intent: str) -> tuple[dict[str, str], bytes]:
        """Wait for a webhook about a payment, as it was sent."""
        found: list[tuple[dict[str, str], bytes]] = []

        def came() -> bool:
            found[:] = [hook for hook in self.hooks if kind.encode() in hook[1] and intent.encode() in hook[1]]
            return bool(found)

        servers.wait_for(f"the webhook {kind}", came)
        return found[0]

    def intents(self, order: str) -> list[dict[str, Any]]:
        """The payments of an order, as the provider knows them."""
        answer = httpx.get(f"{self.url}/v1/payment_intents?limit=100", headers={"Authorization": "Bearer sk_test_x"})
        return [intent for intent in answer.json()["data"] if intent["metadata"].get("order") == order]

    def charged(self, order: str) -> int:
        """How often an order was paid."""
        return sum(intent["status"] == "succeeded" for intent in self.intents(order))


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """localstripe as the lab runs it. Its webhooks are caught, and tests deliver them."""
    hooks: list[tuple[dict[str, str], bytes]] = []

    class Catcher(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hooks.append((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
            # The first attempt fails, and is made again.
            self.send_response(503 if len(hooks) == 1 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    catcher = ThreadingHTTPServer(("127.0.0.1", 0), Catcher)
    gateway: Any = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    port = free_port()
    environment = {
        **os.environ,
        "STUB_HOST": "127.0.0.1",
        "STUB_PORT": str(port),
        "STUB_WEBHOOK_URL": f"http://127.0.0.1:{catcher.server_address[1]}/payments/webhook",
        "STUB_WEBHOOK_SECRET": SECRET,
        "STUB_WEBHOOK_LOGIN": "visitor:a password",
    }
    process = subprocess.Popen([sys.executable, str(ROOT / "lab/images/localstripe/stub.py")], env=environment)
    for server in (catcher, gateway):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway.target = f"http://127.0.0.1:{port}"
    gateway.fault, gateway.where, gateway.asked, gateway.released = "", "", [], threading.Event()

    def ready() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{gateway.target}/v1/payment_intents").status_code == 401
        return False

    servers.wait_for("localstripe", ready)
    yield Provider(gateway.target, gateway, hooks)
    process.terminate()
    process.wait(30)
    for server in (catcher, gateway):
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The portal's database, with the schema of both versions."""
    with servers.postgres(tmp_path_factory.mktemp("payment") / "postgres", {"fsync": "off"}) as port:
        engine = create_engine(make_url(f"postgresql+psycopg://postgres@127.0.0.1:{port}/kratos"))
        with engine.connect() as connection:
            migrate.upgrade(connection, "0006")
        yield engine
        engine.dispose()


@dataclass
class Shop:
    """A portal whose visitor is logged in."""

    client: TestClient
    engine: Engine
    metrics: Metrics
    token: str = ""

    def post(self, path: str, **form: str) -> httpx.Response:
        answer: httpx.Response = self.client.post(path, data={"form_token": self.token, **form})
        return answer

    def order(self, item: str = "Headset") -> str:
        """Order, and return the order's ID."""
        return self.post("/orders", item=item).headers["Location"].rpartition("#order-")[2]

    def pay(self, order: str, card: str = GOOD) -> httpx.Response:
        return self.post(f"/orders/{order}/pay", card=card)

    def shown(self, order: str) -> dict[str, Any]:
        """An order as its owner sees it; empty if it is gone."""
        listed = self.client.get("/orders", headers={"Accept": "application/json"}).json()["orders"]
        return next((each for each in listed if each["id"] == order), {})

    def state(self, order: str) -> str:
        return str(self.shown(order).get("state", "gone"))

    def rows(self, order: str) -> list[Any]:
        """The payments of an order."""
        query = text("SELECT state, intent, notified_at FROM payments WHERE order_id = :order ORDER BY created_at")
        with self.engine.connect() as connection:
            return list(connection.execute(query, {"order": order}).all())

    def deliver(self, hook: tuple[dict[str, str], bytes]) -> httpx.Response:
        """Deliver a webhook."""
        headers = {"Stripe-Signature": hook[0]["Stripe-Signature"], "Content-Type": "application/json"}
        answer: httpx.Response = self.client.post("/payments/webhook", content=hook[1], headers=headers)
        return answer

    def count(self, metric: str) -> float:
        found = re.search(rf"^{re.escape(metric)} (\S+)$", generate_latest(self.metrics.registry).decode(), re.M)
        return float(found[1]) if found else 0.0


def signed(event: dict[str, Any], secret: str = SECRET, at: float | None = None) -> tuple[dict[str, str], bytes]:
    """A webhook with a signature."""
    body, now = json.dumps(event).encode(), int(at or time.time())
    signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={now},v1={signature}"}, body


def person(request: httpx.Request) -> httpx.Response:
    """Kratos: everybody is logged in as a new user."""
    name = request.headers.get("cookie", "").partition("=")[2]
    identity = {"id": name, "traits": {"email": f"{name}@people.test"}}
    return httpx.Response(
        200, json={"id": f"s-{name}", "authenticated_at": "2026-01-01T00:00:00+00:00", "identity": identity}
    )


@pytest.fixture
def start(database: Engine, provider: Provider) -> Iterator[Callable[..., Shop]]:
    """Yield a function that starts a portal of a version; all of a test have the same visitor."""
    name = uuid.uuid4().hex
    with contextlib.ExitStack() as stack:

        def run(version: str = "1.1.0", url: str = "") -> Shop:
            settings = Settings.from_environment(
                {
                    "DATABASE_URL": database.url.render_as_string(hide_password=False),
                    "PORTAL_CSRF_KEYS": "newest0csrf0key0",
                    "PORTAL_VERSION": version,
                    "GREENROOM_SLOT": "green",
                    "STRIPE_KEY": "sk_test_stub",
                    "STRIPE_API": url or f"http://127.0.0.1:{provider.gateway.server_address[1]}",
                    "STRIPE_WEBHOOK": SECRET,
                }
            )
            metrics = Metrics(settings)
            kratos = Kratos("http://kratos:4433", "http://kratos:4434", httpx.MockTransport(person))
            headers = {"Cookie": f"ory_kratos_session={name}", "Accept": "text/html"}
            client = TestClient(
                create_app(settings, metrics, kratos), base_url="https://portal.test", follow_redirects=False
            )
            client.headers.update(headers)
            shop = Shop(stack.enter_context(client), database, metrics)
            found = re.search(r'name="form_token" value="(\w+)"', client.get("/orders").text)
            assert found is not None
            shop.token = found[1]
            return shop

        yield run


@pytest.fixture
def shop(start: Callable[..., Shop]) -> Shop:
    return start()


def test_an_order_is_paid_and_the_webhook_is_signed(shop: Shop, provider: Provider) -> None:
    order = shop.order()
    answer = shop.pay(order)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/orders#order-{order}")
    assert shop.shown(order) | {"total": ""} == {
        "id": order,
        "item": "Headset",
        "state": "paid",
        "total": "",
        "payment": {"state": "captured", "notified": False},
    }
    (intent,) = provider.intents(order)
    assert (intent["amount"], intent["currency"], intent["status"]) == (14900, "eur", "succeeded")
    hook = provider.hook("payment_intent.succeeded", intent["id"])
    assert hook[0]["X-Greenroom-Slot"] == "green"
    assert hook[0]["Authorization"].startswith("Basic ")
    assert shop.deliver(hook).json() == {"outcome": "changed"}
    assert shop.shown(order)["payment"] == {"state": "captured", "notified": True}
    assert shop.count("portal_checkouts_total") == shop.count('portal_payments_total{outcome="paid"}') == 1
    # Who pays it once more is told, and not charged.
    assert shop.pay(order).status_code == 409
    assert provider.charged(order) == 1


@pytest.mark.parametrize(
    ("card", "outcome", "words"),
    [
        (DECLINED, "declined", f"Your card was declined. {KEPT} Pay with another card."),
        (FAILS, "declined", f"Your card was declined. {KEPT} Pay with another card."),
        (SECURE, "action", "3-D Secure"),
    ],
)
def test_an_order_that_is_not_paid_can_be_paid_with_another_card(
    shop: Shop, provider: Provider, card: str, outcome: str, words: str
) -> None:
    order = shop.order()
    answer = shop.pay(order, card)
    assert answer.status_code == 402
    assert words in answer.text
    assert (shop.state(order), provider.charged(order)) == ("placed", 0)
    assert shop.count(f'portal_payments_total{{outcome="{outcome}"}}') == 1
    assert shop.count("portal_checkouts_total") == 0
    assert shop.pay(order).status_code == 303
    assert (shop.state(order), provider.charged(order)) == ("paid", 1)
    assert [row.state for row in shop.rows(order)] == ["failed", "captured"]


def test_a_paid_order_is_refunded_when_it_is_canceled(shop: Shop, provider: Provider) -> None:
    order = shop.order()
    shop.pay(order)
    assert "Cancel and refund" in shop.client.get("/orders").text
    assert shop.post(f"/orders/{order}/cancel").status_code == 303
    assert (shop.state(order), [row.state for row in shop.rows(order)]) == ("cancelled", ["refunded"])
    (intent,) = provider.intents(order)
    assert intent["latest_charge"]["refunded"] is True
    # One that wasn't paid is gone, as before.
    other = shop.order()
    assert shop.post(f"/orders/{other}/cancel").status_code == 303
    assert shop.state(other) == "gone"


def test_webhooks_that_come_twice_or_out_of_order_change_nothing(shop: Shop, provider: Provider) -> None:
    order = shop.order()
    shop.pay(order)
    (intent,) = provider.intents(order)
    paid = provider.hook("payment_intent.succeeded", intent["id"])
    shop.deliver(paid)
    before = shop.rows(order)
    failed = signed({"type": "payment_intent.payment_failed", "data": {"object": {"id": intent["id"]}}})
    assert [shop.deliver(hook).json()["outcome"] for hook in (paid, failed, paid)] == ["unchanged"] * 3
    assert (shop.rows(order), shop.state(order)) == (before, "paid")
    charge = {"payment_intent": intent["id"], "refunded": True}
    refunded = signed({"type": "charge.refunded", "data": {"object": charge}})
    assert [shop.deliver(hook).json()["outcome"] for hook in (refunded, refunded, paid)] == [
        "changed",
        "unchanged",
        "unchanged",
    ]
    assert (shop.state(order), [row.state for row in shop.rows(order)]) == ("cancelled", ["refunded"])
    part = signed({"type": "charge.refunded", "data": {"object": charge | {"refunded": False}}})
    assert shop.deliver(part).json() == {"outcome": "ignored"}


def test_a_webhook_that_is_not_signed_changes_nothing(shop: Shop, provider: Provider) -> None:
    order = shop.order()
    with provider.broken("lost", "confirm"):
        shop.pay(order)
    (intent,) = provider.intents(order)
    event = {"type": "payment_intent.succeeded", "data": {"object": {"id": intent["id"]}}}
    for hook in (signed(event, "a guess"), signed(event, at=time.time() - 3600), ({"Stripe-Signature": ""}, b"{}")):
        assert shop.deliver(hook).status_code == 400
    assert shop.state(order) == "placed"
    assert shop.deliver(signed(event)).json() == {"outcome": "changed"}
    assert shop.state(order) == "paid"


@pytest.mark.parametrize(("fault", "status"), [("500", 503), ("429", 503), ("lost", 503)])
@pytest.mark.parametrize("where", ["/payment_intents$", "/confirm$"])
def test_a_fault_of_the_provider_never_makes_an_order_paid_or_paid_twice(
    shop: Shop, provider: Provider, fault: str, status: int, where: str
) -> None:
    order = shop.order()
    with provider.broken(fault, where):
        answer = shop.pay(order)
    assert answer.status_code == status
    # Only if a request to confirm has no answer, nobody knows.
    unsure = where == "/confirm$" and fault != "429"
    assert ("you are never charged twice" if unsure else KEPT) in answer.text
    assert shop.state(order) == "placed"
    moved = provider.charged(order)
    assert moved == (1 if unsure and fault == "lost" else 0)
    # Trying again is what the page says, and it is safe.
    assert shop.pay(order).status_code == 303
    assert (shop.state(order), provider.charged(order)) == ("paid", 1)


def test_a_provider_that_is_slow_or_down_leaves_the_order_and_the_pages(
    start: Callable[..., Shop], provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "TIMEOUT_SECONDS", (0.5, 0.5))
    shop = start()
    order = shop.order()
    with provider.broken("slow"):
        answer = shop.pay(order)
        assert answer.status_code == 503
        assert KEPT in answer.text
        # The rest works: pages, and new orders.
        assert shop.state(order) == "placed"
        other = shop.order()
    down = start(url=f"http://127.0.0.1:{free_port()}")
    assert KEPT in down.pay(order).text
    assert down.client.get("/readyz").json()["status"] == "ready"
    assert [shop.pay(each).status_code for each in (order, other)] == [303, 303]
    assert [provider.charged(each) for each in (order, other)] == [1, 1]


def test_a_budget_that_ends_in_a_checkout_stops_it_before_money_moves(shop: Shop, provider: Provider) -> None:
    """The guard answers 429 from one request on."""
    order = shop.order()
    with provider.broken("429", "/confirm$"):
        answer = shop.pay(order)
        assert f"Too many payments at the moment. {KEPT}" in answer.text
        assert [row.state for row in shop.rows(order)] == ["failed"]
    with provider.broken("429"):
        assert shop.pay(order).status_code == 503
        assert shop.post(f"/orders/{order}/cancel").status_code == 303
    assert (shop.state(order), provider.charged(order)) == ("gone", 0)


def test_a_webhook_tells_of_a_payment_whose_answer_was_lost(shop: Shop, provider: Provider) -> None:
    order = shop.order()
    with provider.broken("lost", "/confirm$"):
        assert shop.pay(order).status_code == 503
    (intent,) = provider.intents(order)
    assert shop.deliver(provider.hook("payment_intent.succeeded", intent["id"])).json() == {"outcome": "changed"}
    assert shop.state(order) == "paid"


def test_a_release_that_cannot_take_payments_lacks_checkouts(start: Callable[..., Shop], provider: Provider) -> None:
    """A canary reads the metric that service.yml names, and fails a candidate that has less of it."""
    live, broken = start("1.0.0"), start("1.1.0", url=f"http://127.0.0.1:{free_port()}")
    service = yaml.safe_load((ROOT / "services/portal/service.yml").read_text())
    pages = {"orders": "portal_orders_total", "checkouts": service["canary"]["metric"]["name"]}
    seen: dict[str, list[float]] = {name: [] for name in pages}
    for shop in (live, broken):
        for order in [shop.order() for _ in range(3)]:
            shop.pay(order)
        for name, metric in pages.items():
            page = metrics_page.read(generate_latest(shop.metrics.registry).decode(), metric)
            seen[name].append(page["metric"])
    assert seen == {"orders": [3.0, 3.0], "checkouts": [3.0, 0.0]}


def test_clicks_at_the_same_time_charge_once(start: Callable[..., Shop], provider: Provider) -> None:
    """Two versions beside each other, as in a canary."""
    shops = [start("1.0.0"), start("1.1.0")]
    for order in [shops[0].order() for _ in range(5)]:
        with ThreadPoolExecutor(4) as pool:
            answers = [answer.status_code for answer in pool.map(Shop.pay, [*shops, *shops], [order] * 4)]
        if shops[1].state(order) != "paid":
            answers.append(shops[1].pay(order).status_code)
        assert 303 in answers
        assert (shops[1].state(order), provider.charged(order)) == ("paid", 1)
