# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Local accounts of hosts can read none of the environment's secrets."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from environment import Environment

HOSTS = ("edge1", "edge2", "app1", "app2", "data1", "ops1")
# The groups of an account, by its role.
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


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("host", HOSTS)
def test_an_account_finds_no_secret(staging: Environment, secrets: list[str], host: str, role: str) -> None:
    assert len(secrets) >= 10
    assert searched(staging, host, role, secrets) == [""]


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
