# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The converter of compose files: what a run accepts, what is said of each key that can't be carried."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue import catalogue, release, smoke_schema
from ansible.module_utils.greenroom.controller.validate import services

from tools import import_compose
from tools.compose import container, convert, known, reaching, variables
from tools.compose.project import Project, host_port
from tools.compose.reading import ComposeError, interpolate, parse_env, read

ROOT = Path(__file__).resolve().parents[3]
FILES = Path(__file__).resolve().parent / "compose_files"
NAMES = sorted(path.stem for path in FILES.glob("*.yml"))


def load(file: object) -> Any:
    return yaml.safe_load(Path(str(file)).read_text())


def project(tmp_path: Path, text: str, **files: str) -> Project:
    for name, content in files.items():
        (tmp_path / name.replace("_", ".")).write_text(content)
    (tmp_path / "compose.yml").write_text(text)
    return convert.convert(read(tmp_path / "compose.yml"))


def keys(found: Project, name: str) -> dict[str, Any]:
    return found.drafts[name].keys


def dropped(found: Project) -> dict[str, str]:
    return {note.key: note.text for note in found.not_carried}


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service.yml with all keys that the converter knows."""
    for module in (container, reaching, variables):
        monkeypatch.setattr(module, "supported", lambda key: True)
    monkeypatch.setattr(container, "any_reference", lambda: True)


# Whole files


@pytest.mark.parametrize("name", NAMES)
def test_a_run_accepts_what_is_written(tmp_path: Path, name: str) -> None:
    found = convert.convert(read(FILES / f"{name}.yml"))
    import_compose.write(found, tmp_path / "services", tmp_path / "releases" / "new.yml")
    assert convert.problems(found, import_compose.GROUPS) == []
    there = catalogue.load(str(tmp_path / "services"), load)
    assert set(there) == {draft.name for draft in found.drafts.values()}
    wrong = services.service_problems(tmp_path / "services", there, load, import_compose.GROUPS, ["default"])
    assert list(wrong) == []
    # The environment's own registry, and those that the notes tell to name.
    named = re.findall(r"name the registry (\S+) in `registry_others`", " ".join(note.text for note in found.done))
    given = load(tmp_path / "releases/new.yml")
    images, errors = release.read_release(given, "new.yml", {}, there, ["registry.test", *named])
    assert (errors, bool(images)) == ([], True)
    assert [line for each in there.values() for line in smoke_schema.file_problems(each["checks"])] == []
    assert all(each["checks"] for each in there.values() if each["routes"])


@pytest.mark.parametrize("name", NAMES)
def test_each_note_names_the_line_of_its_key(name: str) -> None:
    found = convert.convert(read(FILES / f"{name}.yml"))
    lines = (FILES / f"{name}.yml").read_text().splitlines()
    for note in [*found.not_carried, *found.done]:
        last = re.split(r"[.\[]", re.sub(r"(env_file|volumes|environment)\[.*", r"\1", note.key))[-1]
        text = lines[note.line - 1]
        assert last in text or text.strip().startswith("-") or "env_file" in text, (note, text)


def test_miniflux_is_carried_whole() -> None:
    found = convert.convert(read(FILES / "miniflux.yml"))
    assert found.not_carried == []
    service = keys(found, "miniflux")
    assert service["database"] == "miniflux"
    assert service["secrets"] == {"DATABASE_URL": {"login": "miniflux"}, "ADMIN_PASSWORD": {"value": "admin-password"}}
    assert service["health"] == {"command": ["/usr/bin/miniflux", "-healthcheck", "auto"]}
    assert list(found.drafts) == ["miniflux"]


def test_the_services_of_mastodon_share_database_and_secrets() -> None:
    found = convert.convert(read(FILES / "mastodon.yml"))
    assert keys(found, "web")["database"] == "mastodon_production"
    assert keys(found, "sidekiq")["secrets"]["OTP_SECRET"] == {"value": "otp-secret", "of": "web"}
    assert keys(found, "sidekiq")["activation"] == "live_only"
    assert keys(found, "web")["health"] == {"port": "http", "path": "/health"}
    said = dropped(found)
    assert "a Redis server" in said["redis"]
    assert "a search server" in said["search"]
    # What a third party issued never gets a random value.
    foreign = {name: its for name, its in keys(found, "web")["secrets"].items() if "SMTP" in name or "VAPID" in name}
    assert foreign == {
        "SMTP_PASSWORD": {"given": "web/smtp-password"},
        "VAPID_PRIVATE_KEY": {"given": "web/vapid-private-key"},
    }


def test_what_runs_once_becomes_migrate() -> None:
    found = convert.convert(read(FILES / "chatwoot.yml"))
    assert keys(found, "rails")["migrate"] == ["bundle", "exec", "rails", "db:chatwoot_prepare"]
    assert "prepare" not in found.drafts


def test_a_proxy_and_a_mail_catcher_are_replaced() -> None:
    found = convert.convert(read(FILES / "outline.yml"))
    assert list(found.drafts) == ["outline"]
    service = keys(found, "outline")
    assert service["environment"]["SMTP_HOST"] == "mail.{{ environment_domain }}"
    assert service["environment"]["SMTP_PORT"] == "{{ mail_sandbox_smtp_port }}"
    assert (service["memory"], service["stop_timeout"], service["user"]) == ("1536M", 90, 1001)
    assert service["health"] == {"port": "http", "path": "/_health", "start_period": 30}


def test_newer_keys_are_used_where_service_yml_has_them(everything: None) -> None:
    web = keys(convert.convert(read(FILES / "mastodon.yml")), "web")
    assert web["volumes"] == {"public-system": {"path": "/mastodon/public/system", "shared": "slots"}}
    assert web["secrets"]["DB_HOST"] == {"login": "mastodon_production", "part": "host"}
    assert web["secrets"]["DB_PASS"] == {"login": "mastodon_production", "part": "password"}
    assert web["secrets"]["SMTP_PASSWORD"] == {"given": "web/smtp-password"}
    # Services that get the same value have the same secret.
    found = convert.convert(read(FILES / "mastodon.yml"))
    assert keys(found, "sidekiq")["secrets"]["SMTP_PASSWORD"] == {"given": "web/smtp-password"}
    found = convert.convert(read(FILES / "chatwoot.yml"))
    assert keys(found, "rails")["entrypoint"] == ["docker/entrypoints/rails.sh"]
    assert keys(found, "sidekiq")["volumes"]["storage_data"]["of"] == "rails"
    outline = keys(convert.convert(read(FILES / "outline.yml")), "outline")
    assert outline["routes"] == [{"path": "/", "host": "wiki.example.test"}]
    assert outline["secrets"]["DATABASE_URL"] == {"login": "outline", "form": "postgresql"}
    assert (outline["capabilities"], outline["cpus"]) == (["NET_BIND_SERVICE"], 2.0)
    assert outline["writable"] == {"/opt/outline/cache": "64M"}


# The parts of a file


def test_services_call_each_other_by_their_new_names(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
        services:
          web_app: {image: a/web:1, ports: ["80:3000"], environment: {API: "http://the_api:3000/v1", PEER: the_api}}
          the_api: {image: a/api:1, expose: [3000]}
        """,
    )
    web, api = keys(found, "web_app"), keys(found, "the_api")
    assert web["environment"] == {"API": "http://the-api:3000/v1", "PEER": "the-api"}
    assert web["calls"] == ["the-api.port_3000"]
    assert api["ports"]["port_3000"] == {"container": 3000, "from": [], "host": 13001}
    assert api["health"] == {"port": "port_3000", "tcp": True}
    assert convert.problems(found, import_compose.GROUPS) == []


def test_a_called_port_that_is_public_has_one_name(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
        services:
          web: {image: a/web:1, environment: [API=http://api:4000]}
          api: {image: a/api:1, ports: ["4000:4000"]}
        """,
    )
    assert keys(found, "web")["calls"] == ["api.http"]
    assert convert.problems(found, import_compose.GROUPS) == []


def test_every_key_of_the_specification_is_spoken_of(tmp_path: Path) -> None:
    """A key that does nothing here, and that the report doesn't name, would surprise at the first run."""
    rest = {key: "x" for key in [*known.DONE, *known.REFUSED, "unheard_of"] if key != "depends_on"}
    found = project(tmp_path, yaml.safe_dump({"services": {"shop": {"image": "a/b:1", **rest}}, "models": {"a": 1}}))
    told = {note.key for note in [*found.not_carried, *found.done]}
    assert {f"shop.{key}" for key in rest} <= told
    assert "models" in told
    assert not set(known.HANDLED) & {*known.DONE, *known.REFUSED}


def test_what_cannot_arrive_in_a_container_is_not_written(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
        services:
          shop:
            image: a/b:1
            command: ["run", ""]
            environment: {KEY_FILE: "a\\nb", TEMPLATE: "{{ x }}", EMPTY: , "odd name": 1, ON: yes}
        """.replace("\\n", "\n\n              "),
    )
    service = keys(found, "shop")
    assert "command" not in service
    assert service["environment"]["TEMPLATE"] == "{% raw %}{{ x }}{% endraw %}"
    assert service["environment"]["ON"] == "yes"
    assert set(dropped(found)) >= {"shop.command", "shop.environment.EMPTY", "shop.environment.odd name"}
    assert convert.problems(found, import_compose.GROUPS) == []


def test_ports_are_texts_and_ranges_are_named(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
        services:
          shop:
            image: a/b:1
            ports: [22:22, "3000-3005:3000-3005", "53:53/udp", {target: 8080, published: 80}]
        """,
    )
    service = keys(found, "shop")
    assert {port["container"] for port in service["ports"].values()} == {22, 8080}
    assert service["ports"]["http"] == {"container": 8080, "from": ["edge"]}
    assert {"shop.ports[0]", "shop.ports[1]", "shop.ports[2]"} <= set(dropped(found))


def test_two_ports_on_one_host_are_two_numbers() -> None:
    taken = {13000}
    assert [host_port(number, taken) for number in (3000, 3000, 8080)] == [13001, 13002, None]
    assert host_port(60000, taken) == 15000


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("SECRET_KEY_BASE", "", "own"),
        ("ADMIN_PASSWORD", "x", "own"),
        ("SMTP_PASSWORD", "x", "foreign"),
        ("STRIPE_API_KEY", "x", "foreign"),
        ("CACHE", "https://user:word@cache.example.test", "foreign"),
        ("PASSWORD_MIN_LENGTH", "8", ""),
        ("SECRET_FILE", "/run/x", ""),
        ("TOKEN_ENABLED", "true", ""),
        ("VAPID_PUBLIC_KEY", "x", ""),
        ("KEYBOARD", "us", ""),
    ],
)
def test_secrets_are_known_by_name_or_content(name: str, value: str, kind: str) -> None:
    assert known.secret_kind(name, value) == kind


def test_variables_are_replaced_as_compose_does() -> None:
    missing: list[str] = []
    text = "$A ${B:-b} ${C-c} ${D:+d} $$E ${F:?no} ${G:-${A}}"
    assert interpolate(text, {"A": "1", "C": "", "D": "x"}, missing.append) == "1 b  d $E  1"
    assert missing == ["F"]
    assert parse_env("# no\nexport A=1 # one\nB='x # y'\nC=\n") == {"A": "1", "B": "x # y", "C": ""}


@pytest.mark.parametrize(("given", "size"), [("1.5g", "1536M"), (536870912, "512M"), ("64mb", "64M"), ("1k", "1M")])
def test_sizes(given: object, size: str) -> None:
    assert container.size(given) == size


@pytest.mark.parametrize(("given", "seconds"), [("1m30s", 90), ("500ms", 1), ("2h", 7200), (10, 10), ("soon", None)])
def test_durations(given: object, seconds: int | None) -> None:
    assert container.seconds(given) == seconds


@pytest.mark.parametrize(
    ("given", "reference"),
    [
        ("hub.example.test/team/app:1.2", "team/app:1.2"),
        ("localhost:5000/app", "app:latest"),
        ("nginx:1.27", "nginx:1.27"),
        (f"hub.example.test/a/b:1@sha256:{'0' * 64}", "a/b:1"),
        (f"hub.example.test/a/b@sha256:{'0' * 64}", f"a/b@sha256:{'0' * 64}"),
    ],
)
def test_images_move_to_ones_own_registry(
    tmp_path: Path, given: str, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "any_reference", lambda: False)
    found = project(tmp_path, yaml.safe_dump({"services": {"shop": {"image": given}}}))
    assert list(found.images.values()) == [reference]


# The command


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    places = ["--services", str(tmp_path / "services"), "--releases", str(tmp_path / "releases")]
    command = [sys.executable, str(ROOT / "tools/import_compose.py"), *words, *places]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    first = run(tmp_path, str(FILES / "miniflux.yml"))
    assert first.returncode == 0, first.stderr
    assert "Everything was carried." in first.stdout
    assert (tmp_path / "releases" / "miniflux.yml").is_file()
    again = run(tmp_path, str(FILES / "miniflux.yml"))
    assert (again.returncode, "exists. Remove it, or give" in again.stderr) == (1, True)
    other = run(tmp_path, str(FILES / "miniflux.yml"), "--prefix", "my-", "--release", "my")
    assert other.returncode == 0, other.stderr
    # The first service has the usual port of the host already.
    assert load(tmp_path / "services/my-miniflux/service.yml")["ports"]["http"]["host"] == 18081


@pytest.mark.parametrize(("text", "line"), [("a: [", "is not YAML"), ("a: 1", "has no `services`"), ("", "has no")])
def test_what_is_no_compose_file_is_refused(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(ComposeError, match=line):
        read(tmp_path / "x.yml")
