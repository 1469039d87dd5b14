# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Local accounts of hosts read none of the environment's secrets, and reach no container."""

from __future__ import annotations

import base64
import subprocess
from typing import Any

import pytest
from environment import Environment

HOSTS = ("edge1", "edge2", "app1", "app2", "data1", "ops1")
# The groups of an account, by its role. A developer can read what a viewer can.
ROLES = {"viewer": [], "developer": ["systemd-journal"]}
# Parts of secrets that are not secret.
PUBLIC = ("certificate", "ca_chain", "client_id", "redirect_uri")
# Looks for secrets in all that an account can read: files, processes, units, the journal. They are on standard input
# only, so that the search doesn't find itself.
SEARCH = """\
import glob, grp, subprocess
PATTERNS = {secrets!r}
ACCOUNT = dict(user=65534, group=65534, extra_groups=[grp.getgrnam(name).gr_gid for name in {groups!r}], cwd="/")
def run(*command, given=b""):
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **ACCOUNT).stdout
def files(*places):
    found = run("grep", "-rlaF", "-D", "skip", "-f", "-", *places, given="\\n".join(PATTERNS).encode())
    return found.decode(errors="replace").split("\\n")[:-1]
found = files("--exclude-dir=proc", "--exclude-dir=sys", "--exclude-dir=dev", "/")
found += files(*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"))
for command in ("journalctl --no-pager -o export", "systemctl show --no-pager *", "systemctl cat --no-pager *"):
    text = run(*command.split())
    if any(pattern.encode() in text for pattern in PATTERNS):
        found.append(command)
print(*found, sep="\\n")
"""


def values(content: Any) -> list[str]:
    """All texts of a secret that are long enough to be one; of keys and certificates, their lines."""
    texts = [text for text in content.values() if isinstance(text, str)]
    return [part for text in texts for part in text.replace(",", "\n").split("\n") if len(part) >= 16]


@pytest.fixture(scope="module")
def secrets(staging: Environment) -> list[str]:
    """Every generated secret of the environment, without what is public: certificates."""
    client = staging.vault().secrets.kv.v2

    def below(path: str) -> list[str]:
        listed = client.list_secrets(path=path, mount_point="greenroom")["data"]["keys"]
        return [
            found
            for name in listed
            for found in (below(f"{path}/{name.rstrip('/')}") if name.endswith("/") else [f"{path}/{name}"])
        ]

    found: list[str] = []
    for path in below(staging.name):
        content = staging.secret(path.removeprefix(f"{staging.name}/"))
        private = {key: text for key, text in content.items() if key not in PUBLIC}
        found += values(private)
        if "password" in content and "username" in content:
            found.append(base64.b64encode(f"{content['username']}:{content['password']}".encode()).decode())
    # The first and last lines of private keys are the same everywhere.
    return sorted({text for text in found if not text.startswith("-----")})


def searched(staging: Environment, host: str, role: str, secrets: list[str]) -> list[str]:
    """Where an account with a role finds one of the secrets on a host."""
    return staging.python(host, SEARCH.format(secrets=secrets, groups=ROLES[role])).split("\n")[:-1]


@pytest.mark.parametrize("host", HOSTS)
def test_an_account_finds_no_secret(staging: Environment, secrets: list[str], host: str) -> None:
    assert len(secrets) >= 10
    assert searched(staging, host, "developer", secrets) == [""]


def test_the_search_finds_what_an_account_can_read(staging: Environment) -> None:
    name = "a-secret-that-is-none"
    staging.ask("app1", f"logger {name}; echo {name} > /run/{name}; sleep 1")
    try:
        assert searched(staging, "app1", "viewer", [name]) == [f"/run/{name}"]
        # The journal's files are readable, too.
        found = searched(staging, "app1", "developer", [name])
        assert {f"/run/{name}", "journalctl --no-pager -o export"} <= set(found)
    finally:
        staging.ask("app1", f"rm /run/{name}")


NOBODY, ROOT = 65534, 0
ADMIN = {"blue": 14434, "green": 24434}
CONNECT = "import os, socket; os.setuid({user}); socket.create_connection(({address!r}, {port}), 3)"


def connects(staging: Environment, address: str, port: int, user: int = ROOT, container: str = "") -> bool:
    """Whether a program on app1 makes a connection: with a user ID, or in a container's network."""
    enter = f"nsenter -t $(podman inspect -f '{{{{.State.Pid}}}}' {container}) -n" if container else ""
    program = CONNECT.format(user=user, address=address, port=port)
    done = staging.ask("app1", f"{enter} python3 - <<'END'\n{program}\nEND\n", check=False)
    assert done.returncode == 0 or "create_connection" in done.stderr, done.stderr
    return done.returncode == 0


def address_of(staging: Environment, container: str) -> str:
    """The address of a container on app1."""
    fields = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return staging.ask("app1", f"podman inspect -f '{fields}' {container}").stdout.strip()


def forwards(staging: Environment, host: str, place: str) -> bool:
    """Whether SSH forwards a connection."""
    ssh, *options, _command = staging.ssh_command(host, "")
    # With a connection of its own, which says why a forwarding is refused.
    done = subprocess.run(
        [ssh, "-W", place, "-o", "ControlPath=none", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 or "administratively prohibited" in done.stderr, done.stderr
    return done.returncode == 0


def test_of_a_host_only_root_reaches_the_admin_port(staging: Environment) -> None:
    live = staging.live()
    for place in (("127.0.0.1", ADMIN[live]), (address_of(staging, f"kratos-{live}"), 4434)):
        assert connects(staging, *place)
        assert not connects(staging, *place, user=NOBODY)


def test_only_a_service_that_calls_the_admin_port_reaches_it(staging: Environment) -> None:
    live = staging.live()
    kratos = address_of(staging, f"kratos-{live}")
    assert connects(staging, kratos, 4434, container=f"portal-{live}")
    for port in (4433, 4434):
        assert not connects(staging, kratos, port, container=f"portal-worker-{live}")
    # The service that is called may not call back.
    assert not connects(staging, address_of(staging, f"portal-{live}"), 8080, container=f"kratos-{live}")


def test_ssh_forwards_to_admin_pages_only(staging: Environment) -> None:
    live = staging.live()
    assert not forwards(staging, "app1", f"127.0.0.1:{ADMIN[live]}")
    assert not forwards(staging, "app1", f"{address_of(staging, f'kratos-{live}')}:4434")
    assert not forwards(staging, "ops1", "127.0.0.1:22")
    assert forwards(staging, "ops1", "localhost:9090")
