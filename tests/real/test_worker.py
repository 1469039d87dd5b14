"""The live slot's worker: each job is done once, whichever slot is live and whatever is killed."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any, Self
from urllib.parse import urlencode

import pytest
from environment import Environment, other, until
from jobs import rabbit, sql, wait_until_done

pytestmark = pytest.mark.usefixtures("no_dead_letters")

# Maximum number of waiting jobs: there is always one, and the rest is done quickly at the end. The mail sandbox needs
# 1.6 s per mail, because its reverse lookups of clients fail.
WAITING = 6
# The port of the broker's metrics.
METRICS = 15692
# Writes orders, each with its job in one transaction, as the portal does.
LOAD = """
DO $$ BEGIN
  FOR i IN 1..10 LOOP
    WHILE (SELECT count(*) FROM orders WHERE owner = '{owner}'
           AND NOT EXISTS (SELECT FROM receipts WHERE order_id = orders.id)) >= {waiting} LOOP
      PERFORM pg_sleep(0.2);
    END LOOP;
    WITH o AS (INSERT INTO orders (id, owner, item, total_cents)
               VALUES (gen_random_uuid(), '{owner}', 'Headset', 14900) RETURNING id)
    INSERT INTO jobs (id, queue, body)
    SELECT id, 'receipts', json_build_object('order', id, 'to', '{owner}@people.staging.invalid', 'item', 'Headset',
                                             'quantity', 1, 'total_cents', 14900) FROM o;
    COMMIT;
  END LOOP;
END $$
"""
DONE = """
SELECT json_build_object(
  'orders', (SELECT count(*) FROM orders WHERE owner = '{owner}'),
  'slots', (SELECT coalesce(json_object_agg(slot, n), '{{}}') FROM (
    SELECT slot, count(*) AS n FROM receipts JOIN orders ON orders.id = order_id WHERE owner = '{owner}' GROUP BY slot
  ) AS of_slot))
"""
# Counts orders from the pages without a receipt. Rows of tests and of seeding have an address.
FORGOTTEN = """
SELECT count(*) FROM orders WHERE seed_set IS DISTINCT FROM 'people' AND address_id IS NULL
AND created_at BETWEEN '{since}' AND now() - interval '1 minute'
AND NOT EXISTS (SELECT FROM receipts WHERE order_id = orders.id)
"""


class Load:
    """Writes orders in the background until `end`."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.owner = f"worker-{uuid.uuid4().hex[:8]}"
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._order, daemon=True)
        self.orders = 0

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.thread.join()

    def _order(self) -> None:
        while not self.ending.is_set():
            sql(self.environment, LOAD.format(owner=self.owner, waiting=WAITING))
            self.orders += 10

    def done(self) -> dict[str, Any]:
        """The number of orders, and of receipts by slot."""
        return dict(json.loads(sql(self.environment, DONE.format(owner=self.owner))))

    def wait_for(self, slot: str) -> None:
        """Wait until a slot's workers have sent five more receipts."""
        before = self.done()["slots"].get(slot, 0)
        until(lambda: self.done()["slots"].get(slot, 0) >= before + 5, 300, f"{slot} sends receipts")

    def end(self) -> dict[str, int]:
        """Stop ordering, and wait for the last receipt; return the number of receipts by slot."""
        self.__exit__()
        wait_until_done(self.environment)
        found = self.done()
        assert found["orders"] == self.orders == sum(found["slots"].values())
        return dict(found["slots"])

    def mails(self) -> int:
        """The number of mails in the sandbox."""
        address = f"http://127.0.0.1:1080/email?headers.to={self.owner}@people.staging.invalid"
        program = f"import json, urllib.request as r; print(len(json.load(r.urlopen('{address}'))))"
        return int(self.environment.python("ops1", program))


def workers(environment: Environment, slot: str) -> dict[str, str]:
    """The state of a slot's worker, by host."""
    ask = f"systemctl is-active portal-worker-{slot}.service"
    return {host: environment.ssh(host, ask, check=False).stdout.strip() for host in environment.groups["app"]}


@pytest.mark.timeout(1200)
def test_the_idle_slot_consumes_no_jobs(both_slots: Environment, no_simulation: None) -> None:
    live = both_slots.live()
    assert set(workers(both_slots, live).values()) == {"active"}
    assert not set(workers(both_slots, other(live)).values()) & {"active", "activating"}
    with Load(both_slots) as load:
        load.wait_for(live)
        assert set(load.end()) == {live}
    assert load.mails() >= load.orders

    def users() -> set[str]:
        return {row["user"] for row in rabbit(both_slots, "list_connections --formatter json user ssl")}

    # New connections have no user yet.
    until(lambda: users() == {f"portal-worker_{live}"}, 60, "only the live slot's workers are connected")
    assert sql(both_slots, FORGOTTEN.format(since=both_slots.began)) == "0"


@pytest.mark.timeout(1200)
def test_cutover_rollback_and_a_killed_worker_do_each_job_once(both_slots: Environment, no_simulation: None) -> None:
    first = both_slots.live()
    with Load(both_slots) as load:
        load.wait_for(first)
        # On one host, it dies during a job or between two.
        both_slots.ssh("app1", f"podman kill --signal KILL portal-worker-{first}")
        both_slots.go_back(other(first))
        load.wait_for(other(first))
        both_slots.ssh("app1", f"podman kill --signal KILL portal-worker-{other(first)}")
        both_slots.go_back(first)
        load.wait_for(first)
        assert set(load.end()) == {"blue", "green"}
    # A killed worker may have sent a mail without recording it, so a mail can be sent twice.
    assert load.orders <= load.mails() <= load.orders + 2


def prometheus(environment: Environment, path: str, **query: str) -> Any:
    """Query Prometheus on its own host."""
    address = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(query)}"
    answer = environment.python("ops1", f"import urllib.request as r; print(r.urlopen({address!r}).read().decode())")
    return json.loads(answer)["data"]


def alerts(environment: Environment) -> list[str]:
    """The states of the broker's alerts: inactive, pending or firing."""
    groups = prometheus(environment, "rules", type="alert")["groups"]
    return [rule["state"] for group in groups if group["name"] == "broker" for rule in group["rules"]]


def test_prometheus_scrapes_the_broker_and_has_no_alert(staging: Environment) -> None:
    wait_until_done(staging)

    def consumers() -> list[str]:
        found = prometheus(staging, "query", query='rabbitmq_detailed_queue_consumers{queue="receipts"}')
        return [row["value"][1] for row in found["result"]]

    until(lambda: consumers() == [str(len(staging.groups["app"]))], 120, "a consumer on each app host")
    assert prometheus(staging, "query", query="rabbitmq_alarms_memory_used_watermark")["result"]
    until(lambda: set(alerts(staging)) == {"inactive"}, 300, "no alert")
    assert len(alerts(staging)) == 6


def test_only_its_clients_reach_the_broker(staging: Environment) -> None:
    """No port without TLS, no default user, no access for other hosts."""
    listening = staging.ssh("data1", "ss -Hltn").stdout
    assert ":5671 " in listening
    assert ":5672 " not in listening
    users = {row["user"] for row in rabbit(staging, "list_users --formatter json")}
    assert users == {"portal-worker_blue", "portal-worker_green"}
    port = "import socket; socket.create_connection(('{0}', {1}), 3)"
    address = staging.groups["data"]["data1"]
    for host, number in (("app1", 5671), ("ops1", METRICS)):
        assert staging.ssh(host, f'python3 -c "{port.format(address, number)}"', check=False).returncode == 0
    for host, number in (("edge1", 5671), ("ops1", 5671), ("app1", 4369), ("app1", 25672), ("app1", METRICS)):
        assert staging.ssh(host, f'python3 -c "{port.format(address, number)}"', check=False).returncode != 0
