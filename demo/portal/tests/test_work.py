"""The worker with a real broker and database: each job is done once, whatever happens in between."""

from __future__ import annotations

import os
import random
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
import psycopg
import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import load
from ansible.module_utils.greenroom.data_stores import broker as definitions
from portal.orders import Orders, connect
from portal.settings import Features, Options, Settings
from portal.work import parameters

from .broker import VHOST, Broker, MailServer
from .real import PORTAL, SERVICES, Program, wait_for

PASSWORDS = {slot: f"{slot}-password-of-the-worker" for slot in ("blue", "green")}
CATALOGUE = load(str(SERVICES), lambda path: yaml.safe_load(Path(path).read_text()))
SECRETS = {f"portal-worker/broker/{slot}": {"password": password} for slot, password in PASSWORDS.items()}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Broker]:
    """Run RabbitMQ with the catalog's definitions."""
    root = Path(os.environ["GREENROOM_RABBITMQ"])
    key = certificate.parents[1] / "server.key"
    found = Broker.start(root, certificate, key, tmp_path_factory.mktemp("rabbitmq") / "rabbitmq.log")
    found.bring(definitions.desired(CATALOGUE, SECRETS, PASSWORDS, VHOST))
    yield found
    found.stop()


class Shop:
    """A portal with its own database, and workers."""

    def __init__(self, postgres: str, broker: Broker, folder: Path) -> None:
        name = f"work_{uuid.uuid4().hex}"
        with psycopg.connect(f"postgres://postgres@{postgres}/postgres", autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{name}" OWNER portal'.encode())
        self.database = psycopg.connect(f"postgres://postgres@{postgres}/{name}", autocommit=True)
        self.mail = MailServer()
        self.folder = folder
        self.broker = broker
        self.workers: list[Program] = []
        self.written = 0
        self.environment = {
            "PYTHONPATH": str(PORTAL),
            "DATABASE_URL": f"postgres://portal_blue:blue-password@{postgres}/{name}?sslmode=disable",
            "PORTAL_CSRF_KEYS": "newest0csrf0key0",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
        }
        migration = Program.start([sys.executable, "-m", "portal", "migrate"], folder / "migrate.log", self.environment)
        assert migration.process.wait(60) == 0, migration.output.read_text()
        settings = Settings.from_environment(self.environment)
        options = Options(features=Features(receipts=True))
        self.orders = Orders(connect(settings), Settings(**{**vars(settings), "options": options}))

    def order(self, count: int = 1) -> list[uuid.UUID]:
        """Create orders."""
        self.written += count
        return [self.orders.create("ada", "ada@people.test", "Headset", 1, "") for _ in range(count)]

    def wait_left(self, count: int) -> None:
        """Wait until at most `count` orders have no receipt."""
        wait_for("work", lambda: self.written - len(self.receipts()) <= count, 60)

    def start(self, slot: str = "blue") -> Program:
        """Start a worker of a slot."""
        told = {"BROKER_URL": self.broker.url("portal-worker", slot, PASSWORDS[slot]), "GREENROOM_SLOT": slot}
        environment = {key: value for key, value in self.environment.items() if key != "PORTAL_CSRF_KEYS"} | told
        command = [sys.executable, "-m", "portal", "work"]
        worker = Program.start(command, self.folder / f"worker-{len(self.workers)}.log", environment)
        self.workers.append(worker)
        return worker

    def receipts(self) -> dict[uuid.UUID, str]:
        """Return the slot that sent each order's receipt."""
        rows: list[tuple[Any, ...]] = self.database.execute("SELECT order_id, slot FROM receipts").fetchall()
        return dict(rows)

    def wait_connected(self, worker: Program) -> None:
        """Wait until a worker consumes jobs."""
        wait_for("a worker", lambda: any(line["message"] == "connected" for line in worker.lines()), 60)

    def wait(self, orders: list[uuid.UUID]) -> None:
        """Wait until all of these have a receipt."""
        wait_for("the receipts", lambda: set(orders) <= set(self.receipts()), 120)

    def wait_empty(self, dead: int = 0) -> None:
        """Wait until the broker has only dead letters."""
        left = {"receipts": 0, "receipts.dead": dead}
        wait_for(f"{left} in the broker", lambda: self.broker.messages() == left, 60)

    def close(self) -> None:
        """Stop all workers."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait(10)
        self.mail.stop()
        self.orders.engine.dispose()
        self.database.close()


@pytest.fixture
def shop(postgres: str, broker: Broker, tmp_path: Path) -> Iterator[Shop]:
    """Yield a shop; afterwards, delete its jobs from the broker."""
    found = Shop(postgres, broker, tmp_path)
    yield found
    found.close()
    for queue in ("receipts", "receipts.dead"):
        broker.ctl("purge_queue", "-p", VHOST, queue)


@pytest.fixture
def channel(broker: Broker) -> Iterator[Callable[[], pika.adapters.blocking_connection.BlockingChannel]]:
    """Yield a function that opens a channel as blue's worker."""
    settings = Settings.from_environment(
        {
            "DATABASE_URL": "postgres://x",
            "BROKER_URL": broker.url("portal-worker", "blue", PASSWORDS["blue"]),
            "SMTP_HOST": "x",
        },
        worker=True,
    )
    connection = pika.BlockingConnection(parameters(settings))
    yield connection.channel
    connection.close()


def test_only_differences_are_changed(broker: Broker) -> None:
    """A second run changes nothing."""
    wanted = definitions.desired(CATALOGUE, SECRETS, PASSWORDS, VHOST)
    assert broker.bring(wanted) == []
    other = SECRETS | {"portal-worker/broker/green": {"password": "another one"}}
    assert broker.bring(definitions.desired(CATALOGUE, other, ["green"], VHOST)) == ["users portal-worker_green"]
    assert broker.bring(wanted) == ["users portal-worker_green"]
    limited = wanted | {"queues": {"receipts": {"delivery_limit": 7}}}
    assert broker.bring(limited) == ["policies receipts"]
    assert broker.bring(wanted) == ["policies receipts"]


def test_a_login_has_only_its_own_permissions(
    channel: Callable[[], pika.adapters.blocking_connection.BlockingChannel],
) -> None:
    """It can't create or purge a queue, or bypass an exchange."""
    forbidden: list[Callable[[pika.adapters.blocking_connection.BlockingChannel], object]] = [
        lambda it: it.queue_declare("mine"),
        lambda it: it.queue_delete("receipts"),
        lambda it: it.queue_purge("receipts.dead"),
        lambda it: it.basic_get("receipts.dead"),
        lambda it: it.exchange_declare("mine"),
        lambda it: it.basic_publish("", "receipts", b"past the exchange") or it.basic_get("receipts.dead"),
    ]
    for act in forbidden:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            act(channel())


def test_connections_need_tls_and_the_password(broker: Broker) -> None:
    """There is no port without TLS."""
    listening = broker.ctl("status")
    assert "amqp/ssl" in listening
    assert "purpose: amqp\n" not in listening
    wrong = broker.url("portal-worker", "blue", "wrong")
    settings = Settings.from_environment(
        {"DATABASE_URL": "postgres://x", "BROKER_URL": wrong, "SMTP_HOST": "x"}, worker=True
    )
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(parameters(settings))


def test_each_order_has_its_receipt(shop: Shop) -> None:
    """One mail for each order, and an empty outbox."""
    worker, orders = shop.start(), shop.order(20)
    shop.wait(orders)
    shop.wait_empty()
    assert shop.mail.ids == {str(order): 1 for order in orders}
    assert shop.database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    assert worker.stop() == 0


def test_a_canceled_order_has_no_receipt(shop: Shop) -> None:
    """It was canceled before its job was done."""
    kept, gone = shop.order(2)
    assert shop.orders.cancel("ada", gone)
    shop.start()
    shop.wait([kept])
    shop.wait_empty()
    assert set(shop.receipts()) == {kept}


def test_a_deleted_user_leaves_no_receipts(shop: Shop) -> None:
    """Receipts are deleted with the orders."""
    (order,) = shop.order()
    shop.start()
    shop.wait([order])
    shop.orders.forget("ada")
    assert shop.receipts() == {}


def test_a_repeated_job_is_detected(
    shop: Shop, channel: Callable[[], pika.adapters.blocking_connection.BlockingChannel]
) -> None:
    """It isn't done a second time."""
    (order,) = shop.order()
    (body,) = shop.database.execute("SELECT body::text FROM jobs").fetchone() or ()
    worker = shop.start()
    shop.wait([order])
    outlet = channel()
    for _ in range(3):
        outlet.basic_publish("receipts", "", body.encode())
    wait_for("three known jobs", lambda: [line.get("outcome") for line in worker.lines()].count("known") == 3)
    shop.wait_empty()
    assert shop.mail.ids == {str(order): 1}


def test_impossible_jobs_become_dead_letters(
    shop: Shop, channel: Callable[[], pika.adapters.blocking_connection.BlockingChannel]
) -> None:
    """Later jobs are done."""
    shop.start()
    for body in (b"nonsense", b"{}", b'{"order": "1"}', b"[]"):
        channel().basic_publish("receipts", "", body)
    shop.wait_empty(dead=4)
    shop.mail.answer = "550 nobody of this name"
    shop.order()
    shop.wait_empty(dead=5)
    shop.mail.answer = "250 yes"
    shop.wait(shop.order())


def test_temporarily_refused_mail_waits(shop: Shop) -> None:
    """The worker keeps the job, so it doesn't count as requeued."""
    shop.mail.answer = "451 come back"
    worker, orders = shop.start(), shop.order(3)
    wait_for("a try", lambda: any("has to wait" in str(line["message"]) for line in worker.lines()))
    assert shop.receipts() == {}
    shop.mail.answer = "250 yes"
    shop.wait(orders)
    shop.wait_empty()


def test_a_waiting_worker_can_be_stopped(shop: Shop) -> None:
    """Another worker gets its job."""
    shop.mail.answer = "451 come back"
    worker, orders = shop.start(), shop.order()
    wait_for("a try", lambda: any("has to wait" in str(line["message"]) for line in worker.lines()))
    assert worker.stop() == 0
    shop.mail.answer = "250 yes"
    shop.start("green")
    shop.wait(orders)
    assert set(shop.receipts().values()) == {"green"}


def test_orders_work_without_a_broker_and_receipts_follow(shop: Shop) -> None:
    """The outbox keeps the jobs."""
    shop.start()
    shop.wait(shop.order())
    shop.broker.ctl("stop_app")
    try:
        orders = shop.order(5)
    finally:
        shop.broker.ctl("start_app")
    shop.wait(orders)
    shop.wait_empty()


def test_cutovers_and_kills_under_load_do_each_job_once(shop: Shop) -> None:
    """After cutovers, rollbacks and kills, each order has one receipt, and there are no dead letters."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, orders, slot = random.Random(seed), [], "blue"
    running = [shop.start(slot), shop.start(slot)]
    shop.mail.seconds = 0.02
    for turn in range(6):
        orders += shop.order(12)
        if turn % 3 == 2:
            # A cutover: the other slot's workers start before the last of these has ended.
            slot = "green" if slot == "blue" else "blue"
            leaving, running = running, [shop.start(slot), shop.start(slot)]
            assert [worker.stop() for worker in leaving] == [0, 0]
        else:
            victim = running.pop(chance.randrange(2))
            shop.wait_connected(victim)
            shop.wait_left(10)
            victim.process.send_signal(signal.SIGKILL)
            victim.process.wait(10)
            running.append(shop.start(slot))
    shop.wait(orders)
    shop.wait_empty()
    found = shop.receipts()
    assert set(found) == set(orders)
    assert set(found.values()) == {"blue", "green"}
    # A mail is sent at least once, and twice only if a worker was killed at that moment.
    assert set(shop.mail.ids) == {str(order) for order in orders}
    assert sum(shop.mail.ids.values()) <= len(orders) + 6


def test_a_job_that_kills_every_worker_becomes_a_dead_letter(
    shop: Shop, channel: Callable[[], pika.adapters.blocking_connection.BlockingChannel]
) -> None:
    """The delivery limit counts deliveries without an acknowledgment."""
    wanted = definitions.desired(CATALOGUE, SECRETS, PASSWORDS, VHOST)
    shop.broker.bring(wanted | {"queues": {"receipts": {"delivery_limit": 3}}})
    try:
        channel().basic_publish("receipts", "", b"poison")
        taken = 0

        def take() -> bool:
            nonlocal taken
            taker = channel()
            method, _properties, _body = taker.basic_get("receipts")
            taken += method is not None
            taker.close()
            return taken > 3 and shop.broker.messages()["receipts.dead"] == 1

        wait_for("the job's end", take, 60)
        assert taken == 4
    finally:
        shop.broker.bring(wanted)
