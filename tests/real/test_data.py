"""Services' data of synthetic users: seeding, consistency, reseeding when necessary, and reset."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ROOT, Environment

pytestmark = pytest.mark.usefixtures("as_seeded")

# The content of the set's rows, without owners.
CONTENT = """
SELECT md5(string_agg(line::text, '|' ORDER BY line)) FROM (
  SELECT (o.id, o.item, o.quantity, o.total_cents, o.state, o.created_at,
          p.id, p.state, p.amount_cents, a.id, a.city) AS line
  FROM orders o JOIN addresses a ON a.id = address_id LEFT JOIN payments p ON p.order_id = o.id
  WHERE o.seed_set = 'people') AS rows
"""
COUNT = "SELECT count(*) FROM orders WHERE seed_set = 'people'"
# Counts inconsistent rows: a wrong amount, shipped but not paid, without the owner's address.
WRONG = """
SELECT (SELECT count(*) FROM payments JOIN orders o ON o.id = order_id WHERE amount_cents <> total_cents)
     + (SELECT count(*) FROM orders o WHERE seed_set = 'people' AND state IN ('paid', 'packed', 'shipped', 'delivered')
        AND 1 <> (SELECT count(*) FROM payments p WHERE p.order_id = o.id AND p.state = 'captured'))
     + (SELECT count(*) FROM orders o WHERE seed_set = 'people' AND NOT EXISTS (
        SELECT FROM addresses a WHERE a.id = o.address_id AND a.owner = o.owner))
"""
# An order with address and payment, as the portal writes them.
OWN = """
WITH a AS (INSERT INTO addresses VALUES (gen_random_uuid(), '{0}', 's', '1', 'c', 'DE') RETURNING id),
o AS (INSERT INTO orders (id, owner, address_id, item, total_cents)
      SELECT gen_random_uuid(), '{0}', id, 'Headset', 14900 FROM a RETURNING id)
INSERT INTO payments SELECT gen_random_uuid(), id, 'card', 'captured', 14900 FROM o
"""
OWN_COUNT = (
    "SELECT count(*) FROM orders JOIN addresses a ON a.id = address_id JOIN payments p ON p.order_id = orders.id \
WHERE orders.owner = '{0}'"
)


def sql(environment: Environment, query: str) -> str:
    """Query the portal's database as the PostgreSQL superuser."""
    return environment.ssh(
        "data1", f"cd / && sudo -u postgres psql -XqAt portal <<'END'\n{query};\nEND\n"
    ).stdout.strip()


def users(environment: Environment) -> dict[str, str]:
    """The set's users as services get them: identity by key."""
    lines = environment.ssh("app1", "cat /var/lib/greenroom/seed/people.jsonl").stdout.splitlines()
    return {person["key"]: person["id"] for person in map(json.loads, lines)}


@pytest.fixture
def real_person(staging: Environment) -> Iterator[str]:
    """A user who is not synthetic, with an order; returns the identity."""
    traits = {"email": f"real-{uuid.uuid4().hex}@example.test"}
    identity = staging.kratos("/identities", "POST", {"schema_id": "default", "traits": traits})["id"]
    sql(staging, OWN.format(identity))
    yield identity
    sql(staging, f"DELETE FROM orders WHERE owner = '{identity}'; DELETE FROM addresses WHERE owner = '{identity}'")
    staging.kratos(f"/identities/{identity}", "DELETE")


@pytest.fixture(scope="module")
def as_seeded(staging: Environment, no_simulation: None) -> None:
    """Seed the users and data of the inventory's release, and undo changes of orders."""
    run = staging.play("playbooks/seed.yml", "-e", "seed_again=true")
    assert run.code == 0, run.output


def test_seeded_users_have_consistent_data(staging: Environment) -> None:
    owners = set(sql(staging, "SELECT DISTINCT owner FROM orders WHERE seed_set = 'people'").split())
    known = users(staging)
    assert 40 < len(owners) < len(known)
    assert owners <= set(known.values())
    assert sql(staging, WRONG) == "0"
    record = json.loads(staging.ssh("app1", "cat /var/lib/greenroom/seed/data-portal.json").stdout)
    heads = sql(staging, "SELECT version_num FROM alembic_version ORDER BY version_num").split()
    assert heads
    assert record["heads"] == [{"version_num": head} for head in heads]
    assert (record["set"], record["volume"]) == ("people", "1")


def test_another_volume_seeds_again_and_check_mode_predicts_it(staging: Environment) -> None:
    before, count = sql(staging, CONTENT), int(sql(staging, COUNT))
    predicted = staging.play("playbooks/seed.yml", "--check", "-e", "seed_volume=3")
    assert predicted.code == 0, predicted.output
    assert sql(staging, CONTENT) == before
    run = staging.play("playbooks/seed.yml", "-e", "seed_volume=3")
    assert run.code == 0, run.output
    assert run.changed == predicted.changed
    assert sum(run.changed.values()) > 0
    assert int(sql(staging, COUNT)) > 2 * count
    assert sql(staging, WRONG) == "0"
    back = staging.play("playbooks/seed.yml")
    assert back.code == 0, back.output
    assert sql(staging, CONTENT) == before


def test_only_a_migrated_schema_seeds_again(staging: Environment, tmp_path: Path) -> None:
    before = sql(staging, CONTENT)
    sql(staging, "DELETE FROM orders WHERE seed_set = 'people' AND state = 'returned'")
    assert sql(staging, CONTENT) != before
    idle = staging.play("playbooks/seed.yml")
    assert (idle.code, sum(idle.changed.values())) == (0, 0), idle.output
    assert sql(staging, CONTENT) != before
    # The same services, except that the portal's schema appears to be another one.
    shutil.copytree(ROOT / "services", tmp_path / "services")
    service = tmp_path / "services/portal/service.yml"
    text = service.read_text()
    assert "heads: SELECT version_num" in text
    service.write_text(text.replace("heads: SELECT version_num", "heads: SELECT '9' || version_num AS version_num"))
    run = staging.play("playbooks/seed.yml", GREENROOM_SERVICES=str(tmp_path / "services"))
    assert run.code == 0, run.output
    assert sql(staging, CONTENT) == before


def test_a_reset_recreates_the_same_data_and_keeps_real_users(staging: Environment, real_person: str) -> None:
    before, known = sql(staging, CONTENT), users(staging)
    refused = staging.play("playbooks/reset.yml", "-e", '{"environment_seeding_allowed": false}')
    assert refused.code != 0
    assert "synthetic users are not allowed in staging" in refused.errors
    assert users(staging) == known

    run = staging.play("playbooks/reset.yml")
    assert run.code == 0, run.output
    now = users(staging)
    assert set(now) == set(known)
    assert not set(now.values()) & set(known.values()), "these users were not created again"
    assert sql(staging, CONTENT) == before
    assert sql(staging, WRONG) == "0"
    owners = set(sql(staging, "SELECT DISTINCT owner FROM orders WHERE seed_set = 'people'").split())
    assert owners <= set(now.values())

    assert staging.kratos(f"/identities/{real_person}")["id"] == real_person
    assert sql(staging, OWN_COUNT.format(real_person)) == "1"
    again = staging.play("playbooks/seed.yml")
    assert (again.code, sum(again.changed.values())) == (0, 0), again.output


def test_timers_are_off_by_default(staging: Environment) -> None:
    options = ("-e", "schedule_host=ops1")
    units = {name: f"greenroom-{name}-staging" for name in ("reset", "reboot")}

    def states() -> dict[str, list[str]]:
        timer = "systemctl is-active {0}.timer; systemctl is-enabled {0}.timer"
        return {
            name: staging.ssh("ops1", timer.format(unit), check=False).stdout.split() for name, unit in units.items()
        }

    try:
        run = staging.play("playbooks/schedule.yml", *options, "-e", "schedule_reset_enabled=true")
        assert run.code == 0, run.output
        assert states() == {"reset": ["active", "enabled"], "reboot": ["inactive", "disabled"]}
        for name, unit in units.items():
            assert f"playbooks/{name}.yml" in staging.ssh("ops1", f"systemctl cat {unit}.service").stdout
        off = staging.play("playbooks/schedule.yml", *options)
        assert off.code == 0, off.output
        assert states() == {name: ["inactive", "disabled"] for name in units}
        assert sum(staging.play("playbooks/schedule.yml", *options).changed.values()) == 0
    finally:
        for name, unit in units.items():
            remove = f"rm -f /etc/systemd/system/{unit}.* /var/lib/greenroom/trees/{name}-staging.json"
            staging.ssh("ops1", f"systemctl disable --now {unit}.timer; {remove}; systemctl daemon-reload", check=False)
