"""The worker: publishes new jobs from the outbox to the broker, and does the jobs that the broker delivers.

It runs for the live slot only, and keeps no state in memory. If it is killed at any moment, the broker delivers the job
to the next worker, and the database shows whether it was done.
"""

from __future__ import annotations

import logging
import signal
import smtplib
import ssl
import threading
import time
from types import FrameType
from urllib.parse import parse_qs, unquote, urlsplit

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError
from pika.spec import Basic
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from .orders import RECEIPTS, connect
from .outbox import relay
from .receipts import ImpossibleError, Receipts
from .settings import Settings, SettingsError

logger = logging.getLogger("portal.work")

POLL_SECONDS = 0.5
STOP_SECONDS = 0.1
"""How soon a stop is noticed: a cutover waits for it, because no job may be done in both slots."""
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


def parameters(settings: Settings) -> pika.ConnectionParameters:
    """Return the broker's connection parameters. Raises SettingsError without the URL, which has a password."""
    try:
        parts = urlsplit(settings.broker_url)
        ca_file = parse_qs(parts.query)["cafile"][0]
        host, login, password = parts.hostname, parts.username, parts.password
        if parts.scheme != "amqps" or not host or not login or not password:
            raise ValueError
        context = ssl.create_default_context(cafile=ca_file)
        port = parts.port or 5671
    except (ValueError, KeyError):
        raise SettingsError(
            "environment variable BROKER_URL is not amqps://login:password@host/vhost?cafile=…"
        ) from None
    except OSError as error:
        raise SettingsError(f"environment variable BROKER_URL: its cafile: {error.strerror}") from None
    return pika.ConnectionParameters(
        host,
        port,
        unquote(parts.path[1:]) or "/",
        pika.PlainCredentials(unquote(login), unquote(password)),
        ssl_options=pika.SSLOptions(context, host),
        heartbeat=30,
        blocked_connection_timeout=30,
        socket_timeout=5,
        stack_timeout=10,
        client_properties={"connection_name": f"portal-worker-{settings.slot}"},
    )


class Worker:
    """One process with one connection: a channel to consume jobs, and one with confirms to publish them."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.address = parameters(settings)
        self.engine = engine
        self.receipts = Receipts(engine, settings)
        self.slot = settings.slot
        self.stopping = threading.Event()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Finish the current job, then end."""
        self.stopping.set()

    def run(self) -> None:
        """Work until `stop`, and reconnect to the broker when necessary."""
        while not self.stopping.is_set():
            try:
                connection = pika.BlockingConnection(self.address)
                logger.info("connected", extra={"fields": {"slot": self.slot}})
                try:
                    self._work(connection)
                finally:
                    if connection.is_open:
                        connection.close()
            except (AMQPError, OSError) as error:
                logger.warning("can't reach the broker: %s", type(error).__name__)
            self.stopping.wait(PAUSE_SECONDS)

    def _work(self, connection: pika.BlockingConnection) -> None:
        outbox, jobs = connection.channel(), connection.channel()
        outbox.confirm_delivery()
        # One at a time, because another worker could do the jobs that wait here.
        jobs.basic_qos(prefetch_count=1)
        due = 0.0
        for method, properties, body in jobs.consume(RECEIPTS, inactivity_timeout=STOP_SECONDS):
            if self.stopping.is_set():
                break
            if method is not None:
                self._do(connection, jobs, method, str(properties.message_id), body)
            elif time.monotonic() < due:
                continue
            due = time.monotonic() + POLL_SECONDS
            try:
                relay(self.engine, outbox)
            except SQLAlchemyError as error:
                logger.warning("can't read the outbox: %s", type(error).__name__)
                self._wait(connection, PAUSE_SECONDS)

    def _do(
        self, connection: pika.BlockingConnection, jobs: BlockingChannel, method: Basic.Deliver, job: str, body: bytes
    ) -> None:
        """Try a job until it is done. If it were requeued, it would soon exceed the broker's delivery limit."""
        fields = {"job": job, "slot": self.slot, "again": method.redelivered}
        pause = PAUSE_SECONDS
        while not self.stopping.is_set():
            try:
                outcome = self.receipts.handle(body)
            except ImpossibleError as error:
                logger.error("job sent to the dead-letter queue: %s", error, extra={"fields": fields})
                jobs.basic_nack(method.delivery_tag, requeue=False)
                return
            except (SQLAlchemyError, smtplib.SMTPException, OSError) as error:
                logger.warning("job must wait: %s", type(error).__name__, extra={"fields": fields})
                self._wait(connection, pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                jobs.basic_ack(method.delivery_tag)
                logger.info("job done", extra={"fields": fields | {"outcome": outcome}})
                return

    def _wait(self, connection: pika.BlockingConnection, seconds: float) -> None:
        """Wait, with the connection alive, until the time is over or the worker stops."""
        while seconds > 0 and not self.stopping.is_set():
            connection.sleep(min(seconds, STOP_SECONDS))
            seconds -= STOP_SECONDS


def run(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT and return the exit code."""
    engine = connect(settings)
    try:
        worker = Worker(settings, engine)
    except SettingsError as error:
        logger.error("%s", error)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)
    worker.run()
    engine.dispose()
    return 0
