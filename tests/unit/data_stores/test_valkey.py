"""The cache server's logins: which are wanted, and how its file of logins converges to them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_checks import problems
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import secret_environment, secret_paths
from ansible.module_utils.greenroom.data_stores import valkey
from plays import ROOT

PASSWORD = "a-password-that-nobody-sees"
LOGINS = {"shop_blue": {"password": PASSWORD, "prefix": "shop:"}}
SECRETS = {"REDIS_URL": {"cache": "shop"}}


def service(name: str = "shop", **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise(
        name, {"cache": {}, "secrets": {"REDIS_URL": {"cache": name}}, **keys}, f"/s/{name}"
    )
    return found


def test_each_slot_has_a_login_for_the_keys_of_its_service() -> None:
    shop = service()
    assert secret_paths({"shop": shop}) == ["shop/cache/blue", "shop/cache/green"]
    values = {"shop/cache/blue": {"password": "b"}, "shop/cache/green": {"password": "g"}}
    assert valkey.desired({"shop": shop}, values, ["blue"]) == {"shop_blue": {"password": "b", "prefix": "shop:"}}
    apart = service(cache={"prefix": "s:", "slots": "own"})
    assert valkey.desired({"shop": apart}, values, ["green"]) == {"shop_green": {"password": "g", "prefix": "s:green:"}}


def test_a_program_gets_a_url_or_its_parts() -> None:
    parts = {"URL": {"cache": "shop", "options": {"ssl_ca_certs": "/etc/greenroom/ca.crt"}}}
    parts |= {name.upper(): {"cache": "shop", "part": name} for name in ("host", "user", "prefix")}
    shop = service(secrets=parts)
    server = {"host": "cache.test", "port": "6379", "prefixes": {"shop": "shop:"}}
    assert secret_environment(shop, "blue", {"shop/cache/blue": {"password": "p/w"}}, "d", cache=server) == {
        "URL": "rediss://shop_blue:p%2Fw@cache.test:6379/0?ssl_ca_certs=/etc/greenroom/ca.crt",
        **{"HOST": "cache.test", "USER": "shop_blue", "PREFIX": "shop:"},
    }


@pytest.mark.parametrize(
    ("services", "line"),
    [
        ([service(cache=None)], "secrets.REDIS_URL.cache: shop has no `cache`; add `cache: {}` to it"),
        ([service(secrets={})], "secrets: no login of the cache; add one, such as `REDIS_URL: {cache: shop}`"),
        (
            [service(secrets={"REDIS_URL": {"cache": "other"}})],
            'secrets.REDIS_URL.cache: the login of shop has its name; write "shop"',
        ),
        (
            [service(), service("shops", cache={"prefix": "shop:s:"})],
            'cache.prefix: keys with "shop:s:" may be those of shop ("shop:"); choose another one',
        ),
        (
            [service(), service("all", cache={"prefix": ""})],
            'cache.prefix: keys with "" may be those of shop ("shop:"); choose another one',
        ),
    ],
)
def test_what_does_not_fit_is_reported(services: list[dict[str, Any]], line: str) -> None:
    catalogue = {item["name"]: item for item in services}
    assert line in [text for _, text in problems(catalogue, {"app": ["app1"]})]


class Host:
    """A host's files, and the commands that ran on it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.password, self.pending = (folder / n for n in ("users.acl", "administrator", "users.pending"))
        self.file.write_text("user default off\n")
        self.commands: list[list[str]] = []
        self.code = 0
        self.killed = False

    def run(self, command: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
        if self.killed:
            raise KeyboardInterrupt
        assert all(self.password.read_text().strip() == value for value in environ_update.values())
        self.commands.append(command)
        return self.code, "", "ERR it does not like that\n"

    def converge(self, logins: dict[str, Any], check: bool = False) -> list[str]:
        changed: list[str] = valkey.converge(self.run, logins, check)
        return changed


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path)
    monkeypatch.setattr(valkey, "FILE", str(found.file))
    monkeypatch.setattr(valkey, "PASSWORD", str(found.password))
    monkeypatch.setattr(valkey, "PENDING", str(found.pending))
    monkeypatch.setattr(valkey.shutil, "chown", lambda *_: None)
    return found


def test_the_first_login_restarts_the_server_and_later_ones_do_not(host: Host) -> None:
    assert host.converge(LOGINS, check=True) == [valkey.ADMINISTRATOR, "shop_blue"]
    assert not host.password.exists()
    assert host.converge(LOGINS) == [valkey.ADMINISTRATOR, "shop_blue"]
    assert host.converge(LOGINS) == []
    assert host.converge({"shop_green": {"password": "other", "prefix": "shop:"}}) == ["shop_green"]
    assert [command[0] for command in host.commands] == ["systemctl", "valkey-cli"]
    lines = host.file.read_text().splitlines()
    assert lines[0] == "user default off"
    assert [line.split()[1] for line in lines] == ["default", valkey.ADMINISTRATOR, "shop_blue", "shop_green"]
    assert lines[2].endswith(f" ~shop:* &shop:* {valkey.RIGHTS}")
    assert PASSWORD not in host.file.read_text()
    assert (host.file.stat().st_mode & 0o777, host.password.stat().st_mode & 0o777) == (0o600, 0o600)


@pytest.mark.parametrize("first", [True, False])
def test_a_change_that_failed_is_not_taken_for_done(host: Host, first: bool) -> None:
    if not first:
        host.converge({})
    host.code = 1
    with pytest.raises(valkey.CacheError, match="can't load its logins: ERR it does not like that"):
        host.converge(LOGINS)
    host.code = 0
    assert "shop_blue" in host.converge(LOGINS)
    assert host.commands[-1][0] == ("systemctl" if first else "valkey-cli")


@pytest.mark.parametrize("first", [True, False])
def test_after_a_run_that_was_killed_the_server_still_reads_the_file(host: Host, first: bool) -> None:
    if not first:
        host.converge({})
    host.killed = True
    with pytest.raises(KeyboardInterrupt):
        host.converge(LOGINS)
    host.killed = False
    host.commands.clear()
    assert "shop_blue" in host.converge(LOGINS)
    assert [command[0] for command in host.commands] == ["systemctl" if first else "valkey-cli"]
    assert host.converge(LOGINS) == []


def test_a_renewed_certificate_is_loaded_without_a_restart_and_a_login_touches_no_unit() -> None:
    role = yaml.safe_load((ROOT / "roles/valkey/vars/main.yml").read_text())
    units = role["__valkey_trees"][0]["units"]

    def restarted(file: str) -> list[str]:
        paths = ((unit["name"], pattern) for unit in units for pattern in unit["files"])
        return [name for name, pattern in paths if fnmatchcase(f"/etc/valkey/{file}", pattern)]

    for item in role["__valkey_tls"]:
        assert restarted(item["dest"].rpartition("/")[2]) == ["greenroom-valkey-certificate.service"]
    assert restarted("valkey.conf") == ["valkey-server.service"]
    assert restarted("users.acl") == []


def test_logins_of_the_live_slot_are_created_on_a_new_server_and_never_changed() -> None:
    values = {f"shop/cache/{slot}": {"password": slot} for slot in ("blue", "green")}
    wanted = valkey.desired({"shop": service()}, values, ["green"], ["blue"])
    assert wanted["shop_blue"]["kept"] is True
    text, changed = valkey.merged("", wanted, "a")
    assert {"shop_blue", "shop_green"} <= set(changed)
    before = text.replace(valkey.line("shop_blue", "blue", "shop:"), valkey.line("shop_blue", "of before", "old:"))
    assert before != text
    assert valkey.merged(before, wanted, "a") == (before, [])
