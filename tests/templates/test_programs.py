# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Checks the rendered files with the programs that read them, in a container of the hosts' image."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue import alerting
from greenroom_lab import cache, packages, paths, podman
from referencing import Registry
from referencing.jsonschema import DRAFT7
from rendering import ENVIRONMENTS, Rendered

# Those that only a host with an egress guard has.
GUARDED = {"/etc/greenroom/egress.cfg", "/etc/greenroom/egress-dns.conf", "/etc/prometheus/rules/egress.yml"}
# Configuration that Kratos reads from environment variables and not from its files.
FROM_ENVIRONMENT = {"dsn": "postgres://", "secrets": {"cookie": ["x" * 32], "cipher": ["x" * 32]}}
VERDICT = re.compile(r"^== (\S+) (\S+): (\d+)$", re.M)
# Files that programs must check in every environment.
CHECKED = (
    *("/etc/haproxy/haproxy.cfg", "/etc/prometheus/prometheus.yml", "/etc/nftables.conf", "/etc/sudoers.d/greenroom"),
    *("/etc/keepalived/keepalived.conf", "/etc/prometheus/alertmanager.yml", "/etc/prometheus/blackbox.yml"),
    *(
        f"/etc/prometheus/rules/{path.name}"
        for path in (Path(__file__).parent / "alerts").glob("*.yml")
        if path.name != "egress.yml"
    ),
    *("/etc/ssh/sshd_config.d/10-greenroom.conf", "/etc/chrony/chrony.conf", "/etc/sysusers.d/greenroom.conf"),
    *("/etc/systemd/system/greenroom-backup.timer", "/run/systemd/system/greenroom-stop.timer"),
    "/etc/containers/systemd/portal-blue.container",
)


def said(rendered: dict[str, Rendered], folder: Path) -> dict[tuple[str, str], tuple[int, str]]:
    """The programs' results: {(environment/host, file): (exit code, output)}."""
    for name, result in rendered.items():
        (folder / name).symlink_to(result.folder)
    podman.setup()
    with cache.only_one():
        image = packages.installed()
    mounts = [
        f"{Path(__file__).parent / 'programs.sh'}:/programs.sh:ro",
        f"{Path(__file__).parent / 'alerts'}:/alerts:ro",
    ]
    mounts += [f"{result.folder}:/rendered/{name}:ro" for name, result in rendered.items()]
    volumes = [f"--volume={mount}" for mount in mounts]
    call = ["run", "--rm", "--privileged", "--network=none", *volumes, image, "sh", "/programs.sh", "/rendered"]
    output = podman.call(*call)
    found = {}
    last = 0
    for match in VERDICT.finditer(output):
        found[match[1], match[2]] = (int(match[3]), output[last : match.start()].strip())
        last = match.end()
    return found


@pytest.fixture(scope="module")
def verdicts(
    rendered: dict[str, Rendered], guarded: Rendered, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], tuple[int, str]]:
    file = tmp_path_factory.mktemp("receivers") / "rendered/ops1/etc/prometheus/alertmanager.yml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(every_receiver()))
    more = {"receivers": Rendered(file.parents[3], [])}
    return said({**rendered, **more, "guarded": guarded}, tmp_path_factory.mktemp("programs"))


def every_receiver() -> dict[str, Any]:
    """Alertmanager's configuration with each kind of receiver and route."""
    address, secret = "https://hooks.test/$secret", "environment/alerts"
    mail = {"host": "mail.test", "port": 587, "sender": "a@test", "tls": True, "user": "a", "secret": secret}
    receivers = [
        {"name": "team", "mail": ["a@test", "b@test"], "webhook": address, "secret": secret},
        {"name": "chat", "chat": {"url": address, "channel": "#ops"}, "secret": secret},
    ]
    routes = [{"receiver": "chat", "match": {"severity": ["a.b", "c"], "host": 'x"\\'}, "repeat": "30m"}]
    settings = {"mail": mail, "switch": "https://switch.test/", "wait": 5, "interval": 60, "repeat": "4h"}
    found: dict[str, Any] = alerting.config(receivers, routes, {secret: {"value": "x"}}, **settings)
    return found


def test_alertmanager_accepts_every_kind_of_receiver(verdicts: dict[tuple[str, str], tuple[int, str]]) -> None:
    code, text = verdicts["receivers/ops1", "/etc/prometheus/alertmanager.yml"]
    assert code == 0, text


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_hosts_programs_accept_their_files(
    environment: str, verdicts: dict[tuple[str, str], tuple[int, str]]
) -> None:
    own = {key: verdict for key, verdict in verdicts.items() if key[0].startswith(f"{environment}/")}
    assert set(CHECKED) <= {file for _host, file in own}
    refused = [f"{host} {file}:\n{text}" for (host, file), (code, text) in own.items() if code != 0]
    if refused:
        pytest.fail("\n\n".join(refused), pytrace=False)


def test_programs_accept_the_files_of_an_egress_guard(verdicts: dict[tuple[str, str], tuple[int, str]]) -> None:
    own = {key: verdict for key, verdict in verdicts.items() if key[0].startswith("guarded/")}
    assert {file for host, file in own if host == "guarded/ops1"} >= GUARDED | {"/etc/nftables.conf"}
    assert [f"{host} {file}:\n{text}" for (host, file), (code, text) in own.items() if code != 0] == []


def test_the_programs_refuse_invalid_files(
    rendered: dict[str, Rendered], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The control: each program detects nonsense in its file."""
    folder = tmp_path_factory.mktemp("wrong")
    hosts = folder / "hosts"
    for source in CHECKED:
        original = next(iter(rendered.values())).files(source.lstrip("/"))[0]
        broken = hosts / "host" / source.lstrip("/")
        broken.parent.mkdir(parents=True, exist_ok=True)
        broken.write_text(original.read_text() + "\n[Nonsense\nnonsense = {\n")
        broken.chmod(original.stat().st_mode)
    answers = said({"wrong": Rendered(hosts, [])}, tmp_path_factory.mktemp("answers"))
    assert {file for (_host, file), (code, _text) in answers.items() if code == 0} == set()
    assert {file for _host, file in answers} == set(CHECKED)


# Kratos' binary contains the schema of its configuration, and the schemas that it refers to, as text.


def schema(program: bytes, name: str) -> Any:
    """The JSON document with the identifier `name`."""
    start = program.index(f'"$id": "{name}"'.encode())
    text = program[program.rindex(b"{", 0, start) : start + 500_000].decode(errors="replace")
    document, _end = json.JSONDecoder().raw_decode(text)
    return document


@pytest.fixture(scope="module")
def kratos_schema() -> jsonschema.Draft7Validator:
    program = next(iter(sorted((paths.CACHE / "kratos").glob("*/kratos"))), None)
    assert program is not None, "Kratos isn't built yet: run `make lab`"
    content = program.read_bytes()
    names = ("ory://logging-config", "ory://tracing-config")
    registry: Registry[Any] = Registry().with_resources(
        (name, DRAFT7.create_resource(schema(content, name))) for name in names
    )
    main = schema(content, "https://github.com/ory/kratos/embedx/config.schema.json")
    return jsonschema.Draft7Validator(main, registry=registry)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_kratos_schema_accepts_the_configuration(
    environment: str, rendered: dict[str, Rendered], kratos_schema: jsonschema.Draft7Validator
) -> None:
    files = rendered[environment].files("**/kratos.yml")
    assert files
    for file in files:
        # Kratos merges its files, which have no keys in common.
        configuration = {**FROM_ENVIRONMENT, **yaml.safe_load(file.read_text())}
        others = yaml.safe_load(file.with_name("providers.secret.yml").read_text())["selfservice"]["methods"]
        configuration["selfservice"]["methods"] |= others
        assert [error.message for error in kratos_schema.iter_errors(configuration)] == []


def test_kratos_schema_refuses_a_misspelled_key(kratos_schema: jsonschema.Draft7Validator) -> None:
    assert not kratos_schema.is_valid({**FROM_ENVIRONMENT, "identity": {"schemas": []}, "selfservise": {}})


@pytest.mark.parametrize(("status", "named"), [("firing", "worker app2"), ("resolved", "courier app1")])
def test_the_subject_of_an_alert_names_what_has_its_status(status: str, named: str) -> None:
    podman.setup()
    with cache.only_one():
        image = packages.installed()
    labels = {"firing": {"service": "worker", "host": "app2"}, "resolved": {"service": "courier", "host": "app1"}}
    alerts = [{"status": each, "labels": labels[each]} for each in ("resolved", "firing")]
    common = {"environment": "staging", "alertname": "ServiceDown"}
    data = json.dumps({"status": status, "alerts": alerts, "commonLabels": common})
    template = paths.ROOT / "roles/monitoring/templates/etc/prometheus/alertmanager/greenroom.tmpl"
    render = ["amtool", "template", "render", "--template.glob=/greenroom.tmpl", "--template.data=/dev/stdin"]
    text = '--template.text={{ template "email.default.subject" . }}'
    call = ["run", "--rm", "-i", "--privileged", "--network=none", f"--volume={template}:/greenroom.tmpl:ro", image]
    assert podman.call(*call, *render, text, stdin=data) == f"[staging] {status}: ServiceDown ({named})"
