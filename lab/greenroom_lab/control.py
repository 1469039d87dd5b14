"""The control host: OpenBao with a policy for each environment, the registry, and the access folders."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bcrypt
import hvac
import hvac.exceptions
import requests

from . import hosts, images, inventory, keys, network, paths, podman, sign_in
from .console import LabError, run, step

REGISTRY_STORAGE = paths.CACHE / "registry"
KEYS = paths.STATE / "vault.json"
ACCOUNTS = paths.STATE / "accounts.json"
LOGIN = paths.STATE / "registry-login.json"
"""Podman's file with the login that may push; docs/lab.md names it."""
INITIALISING = paths.STATE / "vault-initialising"
EMPTY_VAULT = (
    "sudo systemctl stop openbao && sudo find /var/lib/openbao -mindepth 1 -delete && sudo systemctl start openbao"
)
RENEW_ACCOUNTS = (
    "sudo cmp -s /srv/lab/htpasswd /etc/docker/registry/htpasswd || sudo /usr/local/lib/greenroom-lab/control"
)
PUSHER = "push"
"""The account with which the lab pushes images."""

MOUNT, PKI = "greenroom", "pki"

POLICY = """
path "{mount}/data/{environment}/*" {{ capabilities = ["create", "read", "update"] }}
path "{mount}/data/{environment}/environment/registry" {{ capabilities = ["read"] }}
path "{mount}/data/{environment}/environment/oidc/*" {{ capabilities = ["read"] }}
path "{mount}/metadata/{environment}/*" {{ capabilities = ["read", "list"] }}
path "{pki}/issue/{environment}" {{ capabilities = ["update"] }}
path "{pki}/cert/ca" {{ capabilities = ["read"] }}
"""


def vault_address() -> str:
    """Return Vault's URL."""
    return f"https://{inventory.control().address}:8200"


def registry_address() -> str:
    """Return the registry's address and port, without scheme."""
    return f"{inventory.control().address}:5000"


def plan() -> dict[inventory.Host, hosts.Container]:
    """Create what control1 needs to start: keys, certificate, accounts and the registry's storage."""
    host = inventory.control()
    if host.container not in podman.containers():
        for stale in (KEYS, INITIALISING, ACCOUNTS, LOGIN):
            stale.unlink(missing_ok=True)
    keys.server(host)
    accounts()
    sign_in.plan()
    REGISTRY_STORAGE.mkdir(parents=True, exist_ok=True)
    return {host: hosts.Container(images.control(), {"/var/lib/docker-registry": REGISTRY_STORAGE})}


def configure() -> None:
    """Unseal and configure Vault, push the images that the registry lacks, and write the access folders."""
    # The sign-in provider comes first, because it restarts. Clients and accounts change when an environment is added;
    # the registry reloads its accounts by itself.
    sign_in.renew()
    run(hosts.ssh(inventory.control(), RENEW_ACCOUNTS))
    with step("unsealing Vault"):
        configure_vault()
    registry_login()
    push(images.services())
    for environment in inventory.environments():
        write_access(environment)


def accounts() -> dict[str, str]:
    """Return the registry's accounts and passwords, created once: one per environment, and one that pushes."""
    found: dict[str, str] = json.loads(ACCOUNTS.read_text()) if ACCOUNTS.exists() else {}
    missing = [name for name in (PUSHER, *inventory.environments()) if name not in found]
    htpasswd = keys.seed(inventory.control()) / "htpasswd"
    if missing or not htpasswd.exists():
        found |= {name: secrets.token_urlsafe(24) for name in missing}
        # The passwords have 192 random bits, so the hash need not be slow; the registry computes it for each request.
        lines = [f"{name}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(5)).decode()}\n" for name, word in found.items()]
        paths.write(htpasswd, "".join(lines), 0o600)
        paths.private_folder(paths.STATE)
        paths.write(ACCOUNTS, json.dumps(found), 0o600)
    return found


def client(token: str | None = None) -> Any:
    """Return a Vault client that trusts only the lab's CA."""
    return hvac.Client(url=vault_address(), token=token, verify=str(keys.authority()[0]), timeout=10)


def retried[Result](action: Callable[[], Result], seconds: float = 20) -> Result:
    """Retry `action` while Vault starts, elects itself leader, or upgrades a mount. Raises LabError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except (requests.ConnectionError, hvac.exceptions.VaultError) as error:
            if time.monotonic() > deadline:
                what = f"Vault at {vault_address()} still fails after {seconds:.0f} s: {error}"
                raise LabError(f"{what}. See `make ssh HOST=control1`.") from None
            time.sleep(0.1)


def configure_vault() -> None:
    """Initialize and unseal Vault; add missing mounts, the CA, and each environment's role."""
    vault = client()
    if INITIALISING.exists() and not KEYS.exists():
        # A run was killed after Vault was initialized and before its keys were saved: this Vault can't be unsealed.
        run(hosts.ssh(inventory.control(), EMPTY_VAULT))
    if not retried(vault.sys.is_initialized):
        paths.write(INITIALISING, "")
        made = vault.sys.initialize(1, 1)
        paths.write(KEYS, json.dumps({"key": made["keys_base64"][0], "root_token": made["root_token"]}), 0o600)
    if not KEYS.exists():
        raise LabError("Vault's keys in .lab/ are gone. Run `make down`, then this command again.")
    known = json.loads(KEYS.read_text())
    if retried(vault.sys.is_sealed):
        vault.sys.submit_unseal_key(known["key"])
    vault.token = known["root_token"]
    mounts = retried(lambda: _active(vault))
    if f"{MOUNT}/" not in mounts:
        vault.sys.enable_secrets_engine("kv", MOUNT, options={"version": "2"})
    if f"{PKI}/" not in mounts:
        vault.sys.enable_secrets_engine("pki", PKI, config={"max_lease_ttl": "87600h"})
    if not vault.list(f"{PKI}/issuers"):
        bundle = "".join(file.read_text() for file in keys.authority())
        vault.write(f"{PKI}/config/ca", pem_bundle=bundle)
    if "approle/" not in vault.sys.list_auth_methods()["data"]:
        vault.sys.enable_auth_method("approle")
    for environment in inventory.environments():
        _configure_environment(vault, environment)


def _active(vault: Any) -> dict[str, Any]:
    found: dict[str, Any] = vault.sys.list_mounted_secrets_engines()["data"]
    return found


def _configure_environment(vault: Any, environment: str) -> None:
    policy = POLICY.format(mount=MOUNT, pki=PKI, environment=environment)
    vault.sys.create_or_update_policy(environment, policy)
    vault.write_data(
        f"{PKI}/roles/{environment}",
        data={
            "allowed_domains": [f"{environment}.{network.DOMAIN}"],
            "allow_bare_domains": True,
            "allow_subdomains": True,
            "allow_ip_sans": False,
            "client_flag": False,
            "key_type": "ec",
            "key_bits": 256,
            "ttl": "2160h",
            "max_ttl": "8760h",
        },
    )
    vault.auth.approle.create_or_update_approle(
        environment, token_policies=[environment], token_ttl="1h", token_max_ttl="4h", bind_secret_id=True
    )
    account = {"username": environment, "password": accounts()[environment]}
    _keep(vault, f"{environment}/environment/registry", account)
    _keep(vault, f"{environment}/environment/oidc/{sign_in.NAME}", sign_in.client(environment))


def _keep(vault: Any, path: str, content: dict[str, str]) -> None:
    """Write a secret unless Vault has the same content."""
    if retried(lambda: _read(vault, path)) != content:
        retried(lambda: vault.secrets.kv.v2.create_or_update_secret(path, content, mount_point=MOUNT))


def _read(vault: Any, path: str) -> dict[str, str] | None:

    try:
        found: dict[str, str] = vault.secrets.kv.v2.read_secret_version(path, mount_point=MOUNT)["data"]["data"]
    except hvac.exceptions.InvalidPath:
        return None
    return found


def push(wanted: Mapping[str, str]) -> None:
    """Push the images that the registry lacks: local images, by repository and tag.

    The record of pushed images is beside the registry's storage.
    """
    for repository, image in wanted.items():
        name, tag = repository.split(":")
        record = REGISTRY_STORAGE / "pushed" / name / tag
        if record.exists() and record.read_text() == f"{image} {_digest(name, tag)}":
            continue
        with step(f"pushing {repository}"):
            login, certificates = registry_login()
            target = f"{registry_address()}/{repository}"
            podman.call("push", f"--authfile={login}", f"--cert-dir={certificates}", image, target)
            record.parent.mkdir(parents=True, exist_ok=True)
            paths.write(record, f"{image} {_digest(name, tag)}")


def registry_login() -> tuple[Path, Path]:
    """Log in to the registry for pushing, once; return podman's file with the login, and the folder with the CA.

    `make down` deletes both, and the pushed images stay.
    """
    certificates = paths.private_folder(paths.STATE / "registry-certificates")
    if not LOGIN.exists() or not (certificates / "ca.crt").exists():
        paths.write(certificates / "ca.crt", keys.authority()[0].read_text())
        podman.call(
            "login",
            f"--authfile={LOGIN}",
            f"--cert-dir={certificates}",
            f"--username={PUSHER}",
            "--password-stdin",
            registry_address(),
            stdin=accounts()[PUSHER],
        )
    return LOGIN, certificates


def _digest(repository: str, tag: str) -> str | None:
    """Return the digest of a tag in the registry, or None if the tag doesn't exist."""
    answer = requests.head(
        f"https://{registry_address()}/v2/{repository}/manifests/{tag}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        auth=(PUSHER, accounts()[PUSHER]),
        verify=str(keys.authority()[0]),
        timeout=10,
    )
    return answer.headers.get("Docker-Content-Digest") if answer.ok else None


def write_access(environment: str) -> None:
    """Write .access/<environment>/: keys and credentials for the environment's hosts and Vault."""
    folder = paths.private_folder(paths.private_folder(paths.ACCESS) / environment)
    paths.write(folder / "ca.crt", keys.authority()[0].read_text())
    paths.write(folder / "ssh_key", keys.operator(environment).read_text(), 0o600)
    paths.write(folder / "known_hosts", keys.known_hosts(inventory.hosts(environment)))
    vault = client(json.loads(KEYS.read_text())["root_token"])
    role_id, secret_id = folder / "vault-role-id", folder / "vault-secret-id"
    role = vault.auth.approle.read_role_id(environment)["data"]["role_id"]
    if not role_id.exists() or role_id.read_text() != role or not _accepted(role, secret_id):
        made = vault.auth.approle.generate_secret_id(environment)["data"]["secret_id"]
        paths.write(secret_id, made, 0o600)
        paths.write(role_id, role, 0o600)


def _accepted(role: str, secret_id: Path) -> bool:
    """Whether Vault still accepts the secret ID that an earlier run wrote."""
    if not secret_id.exists():
        return False
    try:
        client().auth.approle.login(role, secret_id.read_text())
    except hvac.exceptions.VaultError:
        return False
    return True


def show_secret(path: str) -> None:
    """Print one secret, read with the environment's own AppRole from .access/. Raises LabError."""
    environment = path.partition("/")[0]
    folder = paths.ACCESS / environment
    if not folder.exists():
        raise LabError(f"This checkout has no access to {environment or 'that environment'}. Run `make lab` first.")
    vault = client()
    vault.auth.approle.login((folder / "vault-role-id").read_text(), (folder / "vault-secret-id").read_text())
    found = _read(vault, path)
    if found is None:
        raise LabError(f"Vault has no secret {path}. `make stage` creates missing secrets.")
    for value in found.values() if len(found) == 1 else (f"{key}: {value}" for key, value in found.items()):
        print(value)
