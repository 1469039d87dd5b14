# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A service is one folder: everything that it needs follows from that folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rendering import Rendered, render

SERVICE = """
image: shop
ports:
  http: {container: 7000, from: [edge]}
  metrics: {container: 7001, from: [ops]}
database: shop
migrate: [migrate]
cache: {slots: own}
secrets:
  DSN: {login: shop}
  REDIS_URL: {cache: shop}
  REDIS_PREFIX: {cache: shop, part: prefix}
config_path: /etc/shop
health: {port: http, path: /ready}
metrics: {port: metrics, path: /metrics}
routes: [{path: /shop}]
schedule:
  nightly: {command: [tidy, 100%], at: 0 2 1 * 5, timeout: 30m, persistent: true}
toggles:
  new_checkout: {description: A new checkout, variable: NEW_CHECKOUT}
  banner: {description: A banner, default: true, variable: BANNER}
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Staging with only this service."""
    services = tmp_path_factory.mktemp("catalogue") / "services"
    (services / "shop" / "config").mkdir(parents=True)
    (services / "shop" / "service.yml").write_text(SERVICE)
    (services / "shop" / "config" / "shop.yml.j2").write_text("slot: {{ slot }}\n")
    return render("staging", tmp_path_factory.mktemp("alone"), services)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("app1/etc/containers/systemd/shop-blue.container", "PublishPort=0.0.0.0:17000:7000"),
        ("app2/etc/containers/systemd/shop-green.container", "PublishPort=0.0.0.0:27000:7000"),
        ("app1/etc/containers/systemd/shop-job-nightly-blue.container", 'Exec="tidy" "100%%"'),
        ("app1/etc/containers/systemd/shop-job-nightly-green.container", "Type=oneshot\nTimeoutStartSec=30m"),
        ("app1/etc/containers/systemd/shop-job-nightly-green.container", "/slots/green/shop/config:/etc/shop:ro"),
        (
            "app1/etc/systemd/system/greenroom-shop-job-nightly.timer",
            "OnCalendar=*-*-01 02:00:00\nOnCalendar=Fri *-*-*",
        ),
        ("app1/etc/systemd/system/greenroom-shop-job-nightly.timer", "Persistent=true"),
        ("app1/etc/systemd/system/greenroom-shop-job-nightly.service", "greenroom-job shop-job-nightly\n"),
        ("app1/etc/greenroom/slots/blue.jobs", "shop-job-nightly\n"),
        ("app1/etc/greenroom/slots/green/shop/config/shop.yml", "slot: green"),
        ("app1/etc/greenroom/slots/blue/shop/secrets", "DSN=postgres://shop_blue:"),
        ("app1/etc/greenroom/slots/blue/shop/secrets", "\nREDIS_URL=rediss://shop_blue:"),
        ("app1/etc/greenroom/slots/green/shop/secrets", "REDIS_PREFIX=shop:green:\n"),
        ("data1/etc/valkey/valkey.conf", "tls-port 6379"),
        ("data1/etc/valkey/users.acl", "user default off\n"),
        ("data1/etc/nftables.conf", "6379"),
        ("app1/etc/greenroom/slots/blue/shop/environment", "\nBANNER=true\n"),
        ("app1/etc/greenroom/slots/blue/shop/environment", "\nNEW_CHECKOUT=false\n"),
        ("app1/etc/nftables.conf", "{ 17000, 27000 }"),
        ("edge1/etc/haproxy/slots/blue.cfg", "backend shop_http_blue"),
        ("edge1/etc/haproxy/maps/routes-blue.map", "/shop/ shop_http:default:auth"),
        ("data1/etc/postgresql/17/main/pg_hba.conf", "hostssl shop +shop 198.18.10.21/32 scram-sha-256"),
        ("ops1/etc/prometheus/targets/services.json", "198.18.10.22:17001"),
        # The data host's PostgreSQL is backed up continuously.
        ("ops1/etc/greenroom/backup/environment", 'BACKUP_DATABASES=""'),
    ],
)
def test_everything_that_a_service_needs_comes_from_its_folder(alone: Rendered, file: str, line: str) -> None:
    assert line in (alone.folder / file).read_text()


def test_nothing_of_other_services_is_left(alone: Rendered) -> None:
    files = [path for path in alone.files() if "etc/containers/systemd" in str(path) or "haproxy" in str(path)]
    assert files
    assert [str(path) for path in files if "kratos" in Path(path).read_text()] == []


def test_without_pgbackrest_its_database_is_dumped_every_night(tmp_path: Path) -> None:
    (tmp_path / "services" / "shop").mkdir(parents=True)
    (tmp_path / "services" / "shop" / "service.yml").write_text(SERVICE.replace("config_path: /etc/shop\n", ""))
    services = tmp_path / "services"
    found = render("staging", tmp_path, services, roles=("backup",), hosts="ops1", pgbackrest_wanted=False)
    text = (found.folder / "ops1/etc/greenroom/backup/environment").read_text()
    assert 'BACKUP_DATABASES="shop"' in text.splitlines()


def test_an_environment_turns_a_toggle_on(tmp_path: Path) -> None:
    (tmp_path / "services" / "shop").mkdir(parents=True)
    service = SERVICE.replace("config_path: /etc/shop\n", "")
    (tmp_path / "services" / "shop" / "service.yml").write_text(service)
    toggles = {"new_checkout": True, "banner": False}
    found = render(
        "staging", tmp_path, tmp_path / "services", roles=("bundle",), hosts="app1", environment_toggles=toggles
    )
    for slot in ("blue", "green"):
        text = (found.folder / f"app1/etc/greenroom/slots/{slot}/shop/environment").read_text()
        assert {"BANNER=false", "NEW_CHECKOUT=true"} <= set(text.splitlines())
        description = json.loads((found.folder / f"app1/etc/greenroom/slots/{slot}.fact").read_text())
        assert description["toggles"] == {"banner": False, "new_checkout": True}


def test_a_service_without_database_and_mail_gets_no_names_for_them(
    alone: Rendered, tmp_path_factory: pytest.TempPathFactory
) -> None:
    services = tmp_path_factory.mktemp("catalogue") / "services"
    (services / "plain").mkdir(parents=True)
    (services / "plain" / "service.yml").write_text("image: plain\n")
    folder, nowhere = tmp_path_factory.mktemp("plain"), {"database_address": "", "mail_address": ""}
    plain = render("staging", folder, services, roles=("bundle",), hosts="app", **nowhere)
    names = [line for file in plain.files("**/plain-*.container") for line in file.read_text().splitlines()]
    assert "ContainerName=plain-blue" in names
    assert [line for line in names if line.startswith("AddHost=")] == []
    shop = (alone.folder / "app1/etc/containers/systemd/shop-blue.container").read_text()
    assert (
        "AddHost=database.staging.greenroom.test:198.18.10.31\nAddHost=cache.staging.greenroom.test:198.18.10.31\n"
        "AddHost=mail.staging.greenroom.test:198.18.10.41\n" in shop
    )


def test_a_job_has_a_timer_on_one_host_and_nothing_that_reaches_it(alone: Rendered) -> None:
    assert not list((alone.folder / "app2").glob("etc/systemd/system/greenroom-*-job-*"))
    assert (alone.folder / "app2/etc/greenroom/slots/blue.jobs").read_text() == ""
    unit = (alone.folder / "app1/etc/containers/systemd/shop-job-nightly-blue.container").read_text()
    assert "ContainerName=shop-job-nightly-blue" in unit
    assert not [word for word in ("PublishPort", "NetworkAlias", "[Install]", "Restart=") if word in unit]
