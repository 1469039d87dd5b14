# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Renders every template of an environment as a run does, without its hosts.

Ansible runs with the project's own configuration, inventory, variables, catalog and action plugin. Of the roles' tasks,
only the calls of `template_tree` run, with generated secrets and a generated release.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.greenroom.controller.catalogue import catalogue, service_secrets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
SLOTS = ("blue", "green")
# Every password, key and value of a rendered environment.
SECRET = "0123456789abcdefghijklmnopqrstuv"
ENVIRONMENTS = sorted(path.parent.name for path in (ROOT / "inventories").glob("*/hosts.yml"))
MEMBERS = "groups | group_hosts(hostvars)"
# The description of each slot's bundle, as if this run had created both. It is a fact, as in a run: templates use it
# often.
DESCRIBE = [
    {
        "name": f"Describe the bundle of {slot}",
        "ansible.builtin.set_fact": {
            f"described_{slot}": "{{ catalogue | bundle_description(smoke_slot, release, "
            f"{MEMBERS}, environment_toggles) }}}}"
        },
        "vars": {"smoke_slot": slot},
        "run_once": True,
    }
    for slot in SLOTS
]
DESCRIPTIONS = {slot: f"{{{{ described_{slot} }}}}" for slot in SLOTS}
# One account for each role, to cover all branches of the templates.
ACCOUNTS = [
    {"name": f"a-{role}", "full_name": f"A {role}", "role": role, "ssh_keys": ["ssh-ed25519 AAAA"]}
    for role in ("viewer", "tester", "developer", "operator")
]


@dataclass(frozen=True)
class Rendered:
    """The files of one environment: a folder for each host, and the template of each file."""

    folder: Path
    records: list[dict[str, Any]]

    def files(self, pattern: str = "**/*") -> list[Path]:
        """Return the files of all hosts whose path on the host matches `pattern`."""
        hosts = [path for path in self.folder.iterdir() if path.is_dir()]
        return sorted(path for host in hosts for path in host.glob(pattern) if path.is_file())


def render(
    environment: str,
    folder: Path,
    services: Path = ROOT / "services",
    roles: Collection[str] = (),
    hosts: str = "",
    *,
    inventories: Any = (),
    secrets: Any = None,
    **given: Any,
) -> Rendered:
    """Render `environment` with the catalog in `services` into `folder`; fails with Ansible's output.

    A complete environment takes long: `roles` limits it to the templates of some roles, `hosts` to a pattern of hosts.
    `inventories` have more hosts. `secrets` are further ones by path. `given` are extra variables, as
    with `-e`.
    """
    project, output, access = folder / "project", folder / "rendered", folder / "access"
    for path in (project / "playbooks", project / "roles", output, access):
        path.mkdir(parents=True)
    for name in ("inventories", "plugins", "library", "services", "releases"):
        (project / name).symlink_to(ROOT / name)
    (project / "playbooks/group_vars").symlink_to(ROOT / "playbooks/group_vars")
    shutil.copy(ROOT / "ansible.cfg", project)
    for role in sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir()):
        _role(role, project / "roles" / role.name)
    (project / "playbooks/render.yml").write_text(yaml.safe_dump(list(_plays(roles)), sort_keys=False))
    certificate = _certificate()
    (access / "ca.crt").write_text(certificate["certificate"])
    variables = folder / "variables.json"
    known = _variables(certificate, services)
    known["secrets_values"] |= secrets or {}
    variables.write_text(json.dumps(known | given))
    done = warm_start.run(
        [
            *("-i", f"inventories/{environment}", "-c", "local", "-e", f"@{variables}", "playbooks/render.yml"),
            *(word for path in inventories for word in ("-i", str(path))),
            *(("--limit", hosts) if hosts else ()),
        ],
        project,
        {
            **os.environ,
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
            "ANSIBLE_ACTION_PLUGINS": str(Path(__file__).parent / "action_plugins"),
            "GREENROOM_ACCESS": str(access),
            "GREENROOM_RENDERED": str(output),
            "GREENROOM_SERVICES": str(services),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return read(folder)


def read(folder: Path) -> Rendered:
    """Return the files that were rendered into `folder`."""
    output = folder / "rendered"
    records = [json.loads(line) for log in output.glob("*.jsonl") for line in log.read_text().splitlines()]
    return Rendered(output, records)


def _role(source: Path, role: Path) -> None:
    """Write a role with `source`'s variables and templates, and its calls of template_tree for each slot as tasks."""
    (role / "tasks").mkdir(parents=True)
    for part in ("defaults", "vars", "templates"):
        if (source / part).exists():
            (role / part).symlink_to(source / part)
    calls = [
        {
            "name": f"{task['name']} ({slot})",
            # Without `when`, to render trees that an environment doesn't need.
            "template_tree": task["template_tree"],
            "vars": {
                **task.get("vars", {}),
                **{"slot_target": slot, "__bundle_slot": slot, "__bundle_apply": "all", "__bundle_units": []},
                **{"slot_bundles": DESCRIPTIONS, "smoke_slot": slot, "__edge_slot_name": slot},
                **{"__cutover_live": slot, "__cutover_epoch": 8, "__cutover_weight": 0},
            },
        }
        for file in sorted(source.glob("tasks/*.yml"))
        for task in _tasks(yaml.safe_load(file.read_text()))
        if "template_tree" in task
        # Other calls are the same for both slots.
        for slot in (SLOTS if "slot" in json.dumps([task, _variables_of(source)]) else SLOTS[:1])
    ]
    (role / "tasks/main.yml").write_text(yaml.safe_dump(calls, sort_keys=False))


def _variables_of(role: Path) -> Any:
    path = role / "vars/main.yml"
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def _tasks(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        for section in ("block", "rescue", "always"):
            yield from _tasks(task.get(section, []))


def _plays(wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield plays with each role once for its hosts; without `wanted`, for all roles of all playbooks."""
    yield {"name": "Describe the bundles", "hosts": "all", "gather_facts": False, "tasks": DESCRIBE}
    # The role `host` only applies the trees of other roles.
    wanted = set(wanted or (path.name for path in (ROOT / "roles").iterdir())) - {"host"}
    seen = set()
    for hosts, roles in yaml.safe_load((ROOT / "playbooks/group_vars/all/roles.yml").read_text())["host_roles"].items():
        for role in (role for role in roles if role in wanted):
            seen.add((hosts, role))
            yield {"name": f"Render {role}", "hosts": hosts, "gather_facts": False, "roles": [{"role": role}]}
    for path in sorted((ROOT / "playbooks").rglob("*.yml")):
        if "group_vars" in path.parts:
            continue
        for play in yaml.safe_load(path.read_text()):
            # Which hosts do not answer is known only in a run.
            hosts = play.get("hosts", "").removesuffix(":!silent")
            calls = [{**task.get("vars", {}), "role": _called(task)} for task in play.get("tasks", [])]
            for role in play.get("roles", []) + calls:
                if role["role"] in wanted and (hosts, role["role"]) not in seen:
                    seen.add((hosts, role["role"]))
                    # Also render roles that some runs skip.
                    always = {key: value for key, value in role.items() if key != "when"}
                    yield {"name": play["name"], "hosts": hosts, "gather_facts": False, "roles": [always]}


def _called(task: dict[str, Any]) -> str:
    """Return the role that a play's task calls by an entry point."""
    name: str = task["ansible.builtin.import_role"]["name"]
    return name


def _variables(certificate: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return generated values for what a run reads from Vault, the registry and the edge."""
    services = catalogue.load(str(folder), lambda file: yaml.safe_load(Path(file).read_text()))
    login = {"password": SECRET}
    ring = {"values": f"{SECRET},{SECRET[::-1]}"}
    kinds = {"login": login, "broker": login, "cache": login, "ring": ring, "value": {"value": SECRET}}
    paths = service_secrets.secret_paths(services)
    images = {
        image: f"registry.test/{image}@sha256:{'0' * 64}"
        for image in [*_images(services), "localstripe", "maildev", "visitors"]
    }
    return {
        "secrets_values": {path: kinds.get(path.split("/")[1], {"value": SECRET}) for path in paths}
        | {
            f"environment/value/{name}": {"value": SECRET}
            for name in ("backup", "payment-webhook", "people", "persona", "signing", "smoke", "visitor", "volumes")
        }
        | {f"environment/certificate/{name}": certificate for name in ("edge", "postgres", "broker", "cache")}
        | {"environment/registry": {"username": "reader", "password": SECRET}}
        | {"environment/oidc/company": {"client_id": "a-client", "client_secret": SECRET}},
        "environment_release": {"name": "1.0", "id": "0" * 64, "commit": "0" * 40, "images": images},
        "environment_edge": {"live": "blue", "map_present": True},
        "environment_run": {"id": "20260101T120000Z-abcdef"},
        "base_accounts": ACCOUNTS,
    }


def _images(services: dict[str, dict[str, Any]]) -> list[str]:
    return sorted({service["image"] for service in services.values()})


def _certificate() -> dict[str, str]:
    """Return a self-signed certificate in the form of a response from Vault's PKI."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "portal.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("portal.staging.greenroom.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private = key.private_bytes(serialization.Encoding.PEM, *form).decode()
    return {"certificate": pem, "ca_chain": pem, "private_key": private}
