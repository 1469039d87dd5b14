# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""An environment's secrets in one file on the controller, for environments without Vault.

The file is YAML, {path: content}, with the paths that secrets have in Vault. It is encrypted by ansible-vault, or has
mode 0600. Runs on the controller only (needs the cryptography package).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import match_encrypt_secret

from . import local_ca
from .secrets import Secrets, VaultError

AUTHORITY = "environment/ca"
"""The environment's certificate authority: `certificate` and `private_key`."""

WRITTEN = "written"
"""The key with the time at which Greenroom wrote a secret. It is no part of the secret."""

CHECKOUT = Path(__file__).resolve().parents[5]
"""The folder whose files may be published."""

_ENCRYPTED = b"$ANSIBLE_VAULT;"
_ADVICE = "give its password with --vault-password-file or ANSIBLE_VAULT_PASSWORD_FILE"


class SecretsFileError(VaultError):
    """The file can't be used; the text is one line that says what to do."""


@dataclass(frozen=True)
class SecretsFile:
    """The file at `path`. `decrypt` and `encrypt` are ansible-vault's; a run without a password can't encrypt.

    `checkout` is the folder whose files may be published: a file in it must be encrypted, or below `.access`.
    """

    path: Path
    decrypt: Callable[[bytes], bytes]
    encrypt: Callable[[bytes], bytes] | None
    checkout: Path

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the secrets, {} if there is no file. Raises SecretsFileError."""
        try:
            found = self.path.read_bytes()
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._error(f"can't be read ({error.strerror}); check secrets_file") from None
        if found.startswith(_ENCRYPTED):
            try:
                found = self.decrypt(found)
            except Exception as error:
                raise self._error(f"can't be decrypted ({str(error).splitlines()[0]}); {_ADVICE}") from None
        elif mode & 0o077:
            raise self._error(f"may be read by others; run: chmod 600 {self.path}")
        else:
            self._refuse_published()
        return self._parsed(found)

    @contextmanager
    def changed(self) -> Iterator[dict[str, dict[str, Any]]]:
        """Let the block change the secrets, and write them. Other runs wait. Raises SecretsFileError."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.with_name(f".{self.path.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                content = self.read()
                yield content
                self._write(content)
        except OSError as error:
            raise self._error(f"can't be written ({error.strerror}); check secrets_file") from None

    def _write(self, content: Mapping[str, Mapping[str, Any]]) -> None:
        data = yaml.dump(dict(sorted(content.items())), Dumper=_Dumper, sort_keys=False, width=1000).encode()
        if self._is_encrypted():
            if self.encrypt is None:
                raise self._error(f"is encrypted; {_ADVICE}")
            data = self.encrypt(data)
        else:
            self._refuse_published()
        new = self.path.with_name(f".{self.path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def _is_encrypted(self) -> bool:
        """Whether to encrypt: a file keeps its form, and a new one is encrypted if there is a password."""
        if not self.path.exists():
            return self.encrypt is not None
        with self.path.open("rb") as file:
            return file.read(len(_ENCRYPTED)) == _ENCRYPTED

    def _refuse_published(self) -> None:
        place, checkout = self.path.resolve(), self.checkout.resolve()
        access = (self.checkout / ".access").resolve()
        if place.is_relative_to(checkout) and not place.is_relative_to(access):
            raise self._error(
                "isn't encrypted, and could be committed with the checkout; encrypt it with ansible-vault, or keep it "
                "in another folder (secrets_file)"
            )

    def _parsed(self, text: bytes) -> dict[str, dict[str, Any]]:
        try:
            content = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
            raise self._error(f"line {line} is not YAML; fix it") from None
        if not isinstance(content, Mapping):
            raise self._error("expected a mapping {path: {key: value}}")
        for path, value in content.items():
            if not isinstance(value, Mapping) or not value or not all(isinstance(item, str) for item in value.values()):
                raise self._error(f"{path}: expected a mapping of strings, such as {{value: ...}}; quote numbers")
        return {str(path): dict(value) for path, value in content.items()}

    def _error(self, line: str) -> SecretsFileError:
        return SecretsFileError(f"{self.path}: {line}")


class FileSecrets(Secrets):
    """The secrets of `environment` in a file, with certificates from a CA that is in the file, too."""

    def __init__(self, file: SecretsFile, environment: str, ca_file: Path | None = None) -> None:
        super().__init__(None, str(file.path), environment, KeyError)
        self.file = file
        self.ca_file = ca_file
        self.content = file.read()

    def trust(self) -> bool:
        """Add the CA's certificate to the file of trusted ones; return whether it was missing there."""
        certificate = str(self.content.get(AUTHORITY, {}).get("certificate", "")).strip()
        if not certificate or self.ca_file is None:
            return False
        try:
            present = self.ca_file.read_text(encoding="utf-8") if self.ca_file.exists() else ""
            if certificate in present:
                return False
            self.ca_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.ca_file.write_text("\n".join(filter(None, [present.strip(), certificate])) + "\n", encoding="utf-8")
        except OSError as error:
            line = f"{self.ca_file}: can't be written ({error.strerror}); check environment_ca_file"
            raise SecretsFileError(line) from None
        return True

    def leave(self) -> None:
        """Do nothing: there is no login."""

    def _try(self, doing: str, act: Any, *args: Any) -> Any:
        try:
            return act(*args)
        except (KeyError, ValueError) as error:
            raise SecretsFileError(f"{self.mount}: {doing} failed: {error}") from error

    def _where(self, path: str) -> str:
        return path

    def _read(self, path: str) -> dict[str, Any] | None:
        if path not in self.content:
            return None
        content = dict(self.content[path])
        # Files of earlier versions don't have it.
        self.written[path] = content.pop(WRITTEN, "")
        return content

    def _write(self, path: str, content: Mapping[str, Any]) -> None:
        with self.file.changed() as stored:
            if stored.get(path) != self.content.get(path):
                raise SecretsFileError(f"{self.mount}: another run wrote {path} meanwhile; run this again")
            stored[path] = {**content, WRITTEN: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        self.content[path] = stored[path]

    def _issue(self, names: Sequence[str], mount: str, role: str) -> dict[str, str]:
        if AUTHORITY not in self.content:
            self._write(AUTHORITY, local_ca.new_authority(self.environment))
        return local_ca.issue(self.content[AUTHORITY], names)


def open_file(path: str, vault: Any, environment: str, ca_file: str | None) -> FileSecrets:
    """Return the secrets in the file at `path`; `vault` is Ansible's VaultLib. Raises SecretsFileError."""
    secret = match_encrypt_secret(vault.secrets) if vault.secrets else None
    encrypt = (lambda data: vault.encrypt(data, secret[1], vault_id=secret[0])) if secret else None
    file = SecretsFile(Path(path), vault.decrypt, encrypt, CHECKOUT)
    return FileSecrets(file, environment, Path(ca_file) if ca_file else None)


class _Dumper(yaml.SafeDumper):
    """Writes certificates and keys as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


# Ansible marks where strings come from, with a class of its own.
_Dumper.add_multi_representer(str, _text)
