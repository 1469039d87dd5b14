# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Identity servers other than Ory Kratos on loopback, with what an admin of each does by hand.

SCIM is the program scim2-server from PyPI, which keeps users in memory. Keycloak is the real one, from Maven.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests
from ansible.module_utils.greenroom.people.client import Access

from bench.common import CACHE, free_port
from bench.identity_seed.servers import wait_for

TOKEN = "a token for tests"
SECRET = "the secret of a client"
KEYCLOAK = "26.7.3"
ROLES = ["manage-users", "view-users", "query-users", "view-realm", "manage-realm"]
ATTRIBUTES: list[dict[str, Any]] = [
    {"name": "age", "validations": {"integer": {"min": 18, "max": 99}}},
    {"name": "tier", "validations": {"options": {"options": ["gold", "silver"]}}, "required": {"roles": ["user"]}},
    {"name": "languages", "multivalued": True},
    {"name": "greenroom"},
]


class Place(Protocol):
    """A server, as an admin sees it."""

    kind: str
    url: str

    @property
    def access(self) -> Access:
        """How seeding gets in."""

    def users(self) -> list[dict[str, Any]]:
        """All users."""

    def rename(self, user: Mapping[str, Any], first: str) -> None:
        """Change a user's first name."""

    def first_name(self, user: Mapping[str, Any]) -> str:
        """Return a user's first name."""

    def copy_mark(self, user: Mapping[str, Any], name: str) -> None:
        """Create a user with another one's mark."""

    def remove(self, user: Mapping[str, Any]) -> None:
        """Remove a user."""


@dataclass
class ScimPlace:
    """A server with SCIM."""

    url: str
    kind: str = "scim"

    @property
    def access(self) -> Access:
        return Access({"Authorization": f"Bearer {TOKEN}"})

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}{path}", headers=self.access.headers, json=data, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def users(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/Users?count=1000")["Resources"])

    def rename(self, user: Mapping[str, Any], first: str) -> None:
        self._ask("PUT", f"/Users/{user['id']}", {**user, "name": {**user["name"], "givenName": first}})

    def first_name(self, user: Mapping[str, Any]) -> str:
        return str(user["name"]["givenName"])

    def copy_mark(self, user: Mapping[str, Any], name: str) -> None:
        self._ask("POST", "/Users", {key: user[key] for key in ("schemas", "externalId")} | {"userName": name})

    def remove(self, user: Mapping[str, Any]) -> None:
        self._ask("DELETE", f"/Users/{user['id']}")


@dataclass
class KeycloakPlace:
    """A realm of Keycloak."""

    url: str
    kind: str = "keycloak"
    realm: str = "shop"

    @property
    def access(self) -> Access:
        return Access(realm=self.realm, client_id="greenroom", client_secret=SECRET)

    def token(self, realm: str, **form: str) -> requests.Response:
        return requests.post(f"{self.url}/realms/{realm}/protocol/openid-connect/token", form, timeout=60)

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        told = self.token("master", grant_type="password", client_id="admin-cli", username="admin", password=SECRET)
        headers = {"Authorization": f"Bearer {told.json()['access_token']}"}
        answer = requests.request(method, f"{self.url}/admin/realms{path}", headers=headers, json=data, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def set_up(self) -> None:
        """Create the realm, with a client for seeding and a few attributes."""
        account = {"username": "service-account-greenroom", "serviceAccountClientId": "greenroom", "enabled": True}
        client = {"clientId": "greenroom", "secret": SECRET, "serviceAccountsEnabled": True}
        realm = {
            "realm": self.realm,
            "enabled": True,
            "clients": [{**client, "directAccessGrantsEnabled": True}],
            "users": [{**account, "clientRoles": {"realm-management": ROLES}}],
        }
        self._ask("POST", "", realm)
        profile = self._ask("GET", f"/{self.realm}/users/profile")
        access = {"permissions": {"view": ["admin"], "edit": ["admin"]}}
        profile["attributes"] += [{**each, **access} for each in ATTRIBUTES]
        self._ask("PUT", f"/{self.realm}/users/profile", profile)

    def users(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", f"/{self.realm}/users?max=1000&briefRepresentation=false"))

    def rename(self, user: Mapping[str, Any], first: str) -> None:
        self._ask("PUT", f"/{self.realm}/users/{user['id']}", {**user, "firstName": first})

    def first_name(self, user: Mapping[str, Any]) -> str:
        return str(user["firstName"])

    def copy_mark(self, user: Mapping[str, Any], name: str) -> None:
        kept = {key: user[key] for key in ("attributes", "firstName", "lastName")}
        self._ask("POST", f"/{self.realm}/users", {**kept, "username": name, "email": name, "enabled": True})

    def remove(self, user: Mapping[str, Any]) -> None:
        self._ask("DELETE", f"/{self.realm}/users/{user['id']}")

    def logs_in(self, user: str, password: str) -> bool:
        """Whether a user can log in."""
        client = {"client_id": "greenroom", "client_secret": SECRET}
        form = {"grant_type": "password", "username": user, "password": password, **client}
        return self.token(self.realm, **form).status_code == 200


@contextlib.contextmanager
def _running(command: Sequence[object], ready: str, log: Path, **environment: str) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            [*map(str, command)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        try:
            wait_for(f"{command[0]} does not respond ({log})", lambda: _responds(ready), 600)
            yield
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


def _responds(url: str) -> bool:
    try:
        return requests.get(url, timeout=5, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    except requests.ConnectionError:
        return False


@contextlib.contextmanager
def scim(folder: Path) -> Iterator[Place]:
    """A server with SCIM."""
    port = free_port()
    program = Path(sys.executable).with_name("scim2-server")
    command = [program, "--hostname", "127.0.0.1", "--port", str(port), "--bearer-token", TOKEN]
    url = f"http://127.0.0.1:{port}/v2"
    with _running(command, f"{url}/ServiceProviderConfig", folder / "scim.log"):
        yield ScimPlace(url)


@contextlib.contextmanager
def keycloak(folder: Path) -> Iterator[Place]:
    """Keycloak with one realm, in a mode with a database in memory."""
    port = free_port()
    with zipfile.ZipFile(_downloaded()) as archive:
        archive.extractall(folder)
    program = folder / f"keycloak-{KEYCLOAK}/bin/kc.sh"
    options = ["start-dev", "--db=dev-mem", "--cache=local", "--http-host=127.0.0.1", f"--http-port={port}"]
    login = {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": SECRET}
    memory = {"JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx400m"}
    url = f"http://127.0.0.1:{port}"
    with _running(["bash", program, *options], f"{url}/realms/master", folder / "keycloak.log", **login, **memory):
        place = KeycloakPlace(url)
        place.set_up()
        yield place


def _downloaded() -> Path:
    """Return the archive with Keycloak, from Maven unless it is in the cache."""
    archive = CACHE / "keycloak" / f"keycloak-quarkus-dist-{KEYCLOAK}.zip"
    if not archive.exists():
        packages = ["maven", "default-jre-headless"]
        subprocess.run(["apt-get", "install", "-qq", "--no-install-recommends", *packages], check=True)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
        artifact = f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:zip"
        subprocess.run(["mvn", "-q", "-B", goal, artifact, f"-DoutputDirectory={archive.parent}"], check=True)
    return archive
