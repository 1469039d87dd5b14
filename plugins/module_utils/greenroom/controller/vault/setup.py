# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What an environment needs in Vault: mounts, a CA, a policy, a PKI role and an AppRole login.

A plan lists what is there and what isn't; only carrying it out changes Vault. Runs on the controller only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

POLICY = """\
path "{mount}/data/{environment}/*"                    {{ capabilities = ["create", "read", "update"] }}
path "{mount}/data/{environment}/environment/registry" {{ capabilities = ["read"] }}
path "{mount}/data/{environment}/environment/oidc/*"   {{ capabilities = ["read"] }}
path "{mount}/metadata/{environment}/*"                {{ capabilities = ["read", "list"] }}
path "{pki}/issue/{role}"                             {{ capabilities = ["update"] }}
path "{pki}/cert/ca"                                   {{ capabilities = ["read"] }}
"""
HOST_POLICY = """\
path "{pki}/issue/{role}" {{ capabilities = ["update"] }}
"""
HOST_PATH = """\
path "{mount}/data/{environment}/environment/certificate/{name}" {{ capabilities = ["create", "read", "update"] }}
"""
HOUR = 3600
AUTHORITY_HOURS = 87600


class SetupError(Exception):
    """Vault has something else where the environment's part belongs; the text is one line that says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What one environment needs. `domains` are those of its certificates, `cidrs` from where its login works."""

    environment: str
    mount: str
    pki: str
    role: str
    domains: Sequence[str]
    login: bool = True
    login_days: int = 90
    cidrs: Sequence[str] = ()
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The hosts that renew certificates themselves: {host: {certificates: {name: [DNS name]}, address}}."""

    @property
    def policy(self) -> str:
        """Return the policy: this environment's secrets and certificates, and nothing else."""
        return POLICY.format(mount=self.mount, environment=self.environment, pki=self.pki, role=self.role)

    @property
    def pki_role(self) -> dict[str, Any]:
        """Return the options of the PKI role: servers' certificates for names in the domains."""
        return {
            "allowed_domains": sorted(self.domains),
            "allow_bare_domains": True,
            "allow_subdomains": True,
            "allow_ip_sans": False,
            "client_flag": False,
            "key_type": "ec",
            "key_bits": 256,
            "ttl": 2160 * HOUR,
            "max_ttl": 8760 * HOUR,
        }

    @property
    def approle(self) -> dict[str, Any]:
        """Return the options of the AppRole."""
        return {
            "token_policies": [self.environment],
            "token_ttl": HOUR,
            "token_max_ttl": 4 * HOUR,
            "secret_id_ttl": self.login_days * 24 * HOUR,
            "secret_id_bound_cidrs": sorted(self.cidrs),
            "token_bound_cidrs": sorted(self.cidrs),
        }


@dataclass(frozen=True)
class Step:
    """One part: what it is, what carrying it out does ("" if it is as it should be), and how."""

    what: str
    verb: str = ""
    act: Callable[[], object] = field(default=lambda: None, compare=False)

    @property
    def line(self) -> str:
        """Return the line of the plan."""
        return f"{self.verb or 'keep'} {self.what}"


@dataclass(frozen=True)
class HostWanted:
    """What one host needs to renew its own certificates: it may issue for their names only, and store only them."""

    wanted: Wanted
    host: str

    @property
    def name(self) -> str:
        """Return the name of its policy, PKI role and login."""
        return f"{self.wanted.environment}-{self.host}"

    @property
    def path(self) -> str:
        """Return where runs find its login."""
        return f"{self.wanted.environment}/environment/renewal/{self.host}"

    @property
    def policy(self) -> str:
        """Return the policy."""
        own = self.wanted
        paths = [
            HOST_PATH.format(mount=own.mount, environment=own.environment, name=name)
            for name in sorted(own.hosts[self.host]["certificates"])
        ]
        return HOST_POLICY.format(pki=own.pki, role=self.name) + "".join(paths)

    @property
    def pki_role(self) -> dict[str, Any]:
        """Return the options of the PKI role: exactly the names of the host's certificates."""
        names = {name for names in self.wanted.hosts[self.host]["certificates"].values() for name in names}
        return self.wanted.pki_role | {"allowed_domains": sorted(names), "allow_subdomains": False}

    @property
    def approle(self) -> dict[str, Any]:
        """Return the options of the AppRole. Its secret ID doesn't expire, so that no host depends on a run."""
        address = self.wanted.hosts[self.host]["address"]
        mask = 128 if ":" in address else 32
        cidrs = [f"{address}/{mask}"] if address else []
        return {
            "token_policies": [self.name],
            "token_ttl": HOUR // 4,
            "token_max_ttl": HOUR,
            "secret_id_ttl": 0,
            "secret_id_bound_cidrs": cidrs,
            "token_bound_cidrs": cidrs,
        }


def plan(client: Any, wanted: Wanted) -> list[Step]:
    """Return all steps in order; only reads. Raises SetupError, and what `client` (hvac) raises."""
    return list(_steps(client, wanted))


def _steps(client: Any, wanted: Wanted) -> Iterator[Step]:
    mounts = client.sys.list_mounted_secrets_engines()["data"]
    yield _kv(client, mounts.get(f"{wanted.mount}/"), wanted.mount)
    pki = mounts.get(f"{wanted.pki}/")
    yield _pki(client, pki, wanted.pki)
    what = f"CA in {wanted.pki}, for {AUTHORITY_HOURS // 8760} years"
    if pki and client.list(f"{wanted.pki}/issuers"):
        yield Step(f"CA in {wanted.pki}")
    else:
        given = {"common_name": "Greenroom CA", "ttl": f"{AUTHORITY_HOURS}h", "key_type": "ec", "key_bits": 256}
        path = "/".join((wanted.pki, "root", "generate", "internal"))
        yield Step(what, "create", partial(client.write_data, path, data=given))
    path = f"{wanted.pki}/roles/{wanted.role}"
    found = client.read(path) if pki else None
    yield _written(client, f"PKI role {path}", path, found, wanted.pki_role)
    yield _policy(client, wanted.environment, wanted.policy)
    if not wanted.login and not wanted.hosts:
        return
    enabled = "approle/" in client.sys.list_auth_methods()["data"]
    yield Step(
        "login method approle",
        "" if enabled else "enable",
        (lambda: None) if enabled else lambda: client.sys.enable_auth_method("approle"),
    )
    if wanted.login:
        path = f"auth/approle/role/{wanted.environment}"
        yield _written(client, f"login {path}", path, client.read(path) if enabled else None, wanted.approle)
    for host in wanted.hosts:
        yield from _host_steps(client, HostWanted(wanted, host), bool(pki), enabled, f"{wanted.mount}/" in mounts)


def _host_steps(client: Any, own: HostWanted, pki: bool, enabled: bool, stored: bool) -> Iterator[Step]:
    """Yield what a host needs; the arguments say whether the engine, the login method and the secrets exist."""
    path = f"{own.wanted.pki}/roles/{own.name}"
    yield _written(client, f"PKI role {path}", path, client.read(path) if pki else None, own.pki_role)
    yield _policy(client, own.name, own.policy)
    path = f"auth/approle/role/{own.name}"
    yield _written(client, f"login {path}", path, client.read(path) if enabled else None, own.approle)
    what = f"login of {own.host} in {own.wanted.mount}/{own.path}"
    try:
        found = client.secrets.kv.v2.read_secret_version(
            own.path, mount_point=own.wanted.mount, raise_on_deleted_version=False
        )
        kept = client.auth.approle.read_role_id(own.name)["data"]["role_id"] == found["data"]["data"].get("role_id")
    except Exception as error:  # without hvac here, its InvalidPath is known by its name
        if stored and type(error).__name__ != "InvalidPath":
            raise
        kept = False
    yield Step(what) if kept else Step(what, "create", partial(_create_login, client, own))


def _create_login(client: Any, own: HostWanted) -> None:
    made = {
        "role_id": client.auth.approle.read_role_id(own.name)["data"]["role_id"],
        "secret_id": client.auth.approle.generate_secret_id(own.name)["data"]["secret_id"],
    }
    client.secrets.kv.v2.create_or_update_secret(own.path, made, mount_point=own.wanted.mount)


def _kv(client: Any, found: Mapping[str, Any] | None, mount: str) -> Step:
    what = f"secrets engine {mount} (KV version 2)"
    if found is None:
        return Step(what, "enable", lambda: client.sys.enable_secrets_engine("kv", mount, options={"version": "2"}))
    if found["type"] != "kv" or (found.get("options") or {}).get("version") != "2":
        raise SetupError(f"{mount}/ is an engine of another kind ({found['type']}); set another secrets_mount")
    return Step(what)


def _pki(client: Any, found: Mapping[str, Any] | None, mount: str) -> Step:
    what = f"secrets engine {mount} (PKI)"
    if found is None:
        config = {"max_lease_ttl": f"{AUTHORITY_HOURS}h"}
        return Step(what, "enable", lambda: client.sys.enable_secrets_engine("pki", mount, config=config))
    if found["type"] != "pki":
        raise SetupError(
            f"{mount}/ is an engine of another kind ({found['type']}); set another secrets_certificate_mount"
        )
    return Step(what)


def _policy(client: Any, name: str, text: str) -> Step:
    what = f"policy {name}"
    policies = client.sys.list_policies()["data"]["policies"]
    if name in policies and client.sys.read_policy(name)["data"]["rules"].split() == text.split():
        return Step(what)
    verb = "change" if name in policies else "create"
    return Step(what, verb, lambda: client.sys.create_or_update_policy(name, text))


def _written(client: Any, what: str, path: str, found: Mapping[str, Any] | None, options: Mapping[str, Any]) -> Step:
    """Return the step for options at a path; those that Vault has beside them stay."""
    present = (found or {}).get("data") or {}
    if found and all(_same(present.get(key), value) for key, value in options.items()):
        return Step(what)
    verb = "change" if found else "create"
    return Step(what, verb, lambda: client.write_data(path, data=dict(options)))


def _same(present: Any, wanted: Any) -> bool:
    """Whether Vault has a value. It returns an empty list as nothing, and a single address with its mask."""
    if isinstance(wanted, list):
        return sorted(map(_unmasked, present or ())) == sorted(map(_unmasked, wanted))
    return bool(present == wanted)


def _unmasked(item: Any) -> str:
    return str(item).removesuffix("/32").removesuffix("/128")
