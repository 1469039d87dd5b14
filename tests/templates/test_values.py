# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Values of services go through Ansible's templates into files as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.greenroom.controller.bundle.arguments import exec_line
from ansible.module_utils.greenroom.controller.bundle.description_schema import problem
from ansible.module_utils.greenroom.controller.catalogue.container_user import first_id
from rendering import Rendered, render

SECRETS = {
    "TEMPLATE": "{{ 1 + 1 }}{% if %}",
    "SHELL": " $HOME `id` 'a' \"b\" # c\\n",
    "EMPTY": "",
    "LONG": "x" * 60_000,
}
KEY = "-----BEGIN PRIVATE KEY-----\nMII{{ 1 + 1 }}\n\n  =\n-----END PRIVATE KEY-----\n"
ENVIRONMENT = {
    "RAW": "{% raw %}{{ 1 + 1 }}{% endraw %}",
    "BLANKS": "  a  ",
    "HASH": "#a",
    "NUMBER": 5,
    "DOMAIN": "{{ environment_name }}",
}
COMMAND = ["a b", "\\q", "$HOME", "%h", "{{ environment_name }}", "line\nline", "{% raw %}{{ x }}{% endraw %}"]

# As an image may be: see docs/images.md.
MAIL = """
image: mail
user: www-data
entrypoint: [/bin/mail, --foreground]
command: [serve]
capabilities: [NET_BIND_SERVICE, CHOWN]
writable: {/app/tmp: 64M, /var/cache/mail: 1G}
shm: 128M
ulimits: {nofile: 65536, nproc: "10:20"}
memory: 512M
cpus: 1.5
config_path: /etc/mail
environment: {http_proxy: x, spring.datasource.url: y, DEBUG: true, RATIO: 0.5, PAUSED: "{{ false }}"}
"""
MAIL_LINES = """
PodmanArgs=--entrypoint=/bin/mail
Exec="--foreground" "serve"
User=www-data
PodmanArgs=--group-add=59999
UIDMap=0:FIRST:65536
GIDMap=0:FIRST:65536
ReadOnly=true
Tmpfs=/app/tmp:size=64m,mode=0700,U
Tmpfs=/var/cache/mail:size=1g,mode=0700,U
ShmSize=128m
Ulimit=nofile=65536:65536
Ulimit=nproc=10:20
DropCapability=all
AddCapability=NET_BIND_SERVICE
AddCapability=CHOWN
NoNewPrivileges=true
MemoryMax=2G
CPUQuota=150%
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """A service with such values, on one host."""
    folder = tmp_path_factory.mktemp("values")
    services = folder / "services"
    (services / "shop/config").mkdir(parents=True)
    service = {
        "image": "shop",
        "command": COMMAND,
        "environment": ENVIRONMENT,
        "user": 1234,
        "secrets": {name: {"value": name.lower()} for name in SECRETS}
        | {"KEY_FILE": {"given": "third-party/key", "file": "/run/secrets/key.pem"}},
        "config_path": "/etc/shop",
    }
    (services / "shop/service.yml").write_text(yaml.safe_dump(service))
    (services / "mail/config").mkdir(parents=True)
    (services / "mail/config/mail.conf").write_text("x")
    (services / "mail/service.yml").write_text(MAIL)
    (services / "shop/config/key.secret.pem.j2").write_text("{{ secrets_values['shop/value/pem'].value }}")
    values = {f"shop/value/{name.lower()}": {"value": value} for name, value in SECRETS.items()}
    values |= {
        "third-party/key": {"value": KEY, "owner": "ada"},
        "shop/value/pem": {"value": KEY},
        "environment/value/signing": {"value": "x" * 32},
    }
    (folder / "secrets.json").write_text(json.dumps(values))
    # As in a run, what comes from Vault is no template.
    read = f"{{{{ lookup('ansible.builtin.file', '{folder}/secrets.json') | from_json }}}}"
    return render(
        "staging",
        folder,
        services,
        roles=("bundle",),
        hosts="app1",
        environment_toggles={},
        secrets_values=read,
        environment_sizes={"mail": {"memory": "2G"}},
    )


def lines(host: Rendered, name: str) -> list[str]:
    """The lines of a file of the service, without the marker."""
    text = (host.folder / f"app1/etc/greenroom/slots/blue/shop/{name}").read_bytes().decode()
    return [line for line in text.split("\n") if not line.startswith("# ")]


def test_secrets_are_not_rendered(host: Rendered) -> None:
    given = SECRETS | {"KEY_FILE": "/run/secrets/key.pem"}
    assert lines(host, "secrets") == [*(f"{name}={value}" for name, value in sorted(given.items())), ""]


def test_a_secret_is_a_file_that_only_the_container_reads(host: Rendered) -> None:
    path = host.folder / "app1/etc/greenroom/slots/blue/shop/secret-files/KEY_FILE"
    assert path.read_bytes().decode() == KEY
    unit = (host.folder / "app1/etc/containers/systemd/shop-blue.container").read_text()
    assert "Volume=/etc/greenroom/slots/blue/shop/secret-files/KEY_FILE:/run/secrets/key.pem:ro\n" in unit
    description = json.loads((host.folder / "app1/etc/greenroom/slots/blue.fact").read_text())
    assert description["services"]["shop"]["secrets"]["KEY_FILE"] == {"kind": "given", "name": None, "owner": "shop"}
    assert problem(description) == ""


def test_a_secret_in_a_file_keeps_its_lines(host: Rendered) -> None:
    path: Path = host.folder / "app1/etc/greenroom/slots/blue/shop/config/key.secret.pem"
    assert path.read_bytes().decode() == KEY


def test_the_environment_is_rendered_once(host: Rendered) -> None:
    wanted = {"RAW": "{{ 1 + 1 }}", "BLANKS": "  a  ", "HASH": "#a", "NUMBER": "5", "DOMAIN": "staging"}
    own = {"GREENROOM_ENVIRONMENT": "staging", "GREENROOM_SLOT": "blue", "GREENROOM_RELEASE": "1.0"}
    own["GREENROOM_RELEASE_ID"] = "0" * 64
    assert lines(host, "environment") == [*(f"{name}={value}" for name, value in sorted((wanted | own).items())), ""]


def test_the_unit_has_the_command(host: Rendered) -> None:
    unit = (host.folder / "app1/etc/containers/systemd/shop-blue.container").read_text()
    assert f"\nExec={exec_line([*COMMAND[:4], 'staging', COMMAND[5], '{{ x }}'])}\n" in unit


def test_the_unit_has_what_an_image_needs(host: Rendered) -> None:
    unit = (host.folder / "app1/etc/containers/systemd/mail-blue.container").read_text()
    wanted = MAIL_LINES.replace("FIRST", str(first_id({"name": "mail", "user": "www-data"}))).split("\n")[1:-1]
    assert [line for line in unit.split("\n") if line in wanted] == wanted
    assert "\nGroup=" not in unit
    values = {"http_proxy": "x", "spring.datasource.url": "y", "DEBUG": "true", "RATIO": "0.5", "PAUSED": "false"}
    text = (host.folder / "app1/etc/greenroom/slots/blue/mail/environment").read_text().splitlines()
    assert {f"{name}={value}" for name, value in values.items()} <= set(text)
