# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Secrets in a file: created once, never readable by others, encrypted where there is a password."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.vault import local_ca
from ansible.module_utils.greenroom.controller.vault.file_secrets import FileSecrets, SecretsFile, SecretsFileError
from ansible.module_utils.greenroom.controller.vault.secrets import needs_issue
from cryptography import x509

from tests import warm_start

ROOT = Path(__file__).resolve().parents[3]
NAMES = ["www.test", "*.test"]
PREFIX = b"$ANSIBLE_VAULT;test\n"


def opened(path: Path, password: bool = False, checkout: Path = ROOT) -> FileSecrets:
    """The secrets of a file, with an encryption that only marks the content."""

    def decrypt(data: bytes) -> bytes:
        if not password:
            raise ValueError("Attempting to decrypt but no vault secrets found")
        return data.removeprefix(PREFIX)

    file = SecretsFile(path, decrypt, (lambda data: PREFIX + data) if password else None, checkout)
    return FileSecrets(file, "test", path.with_name("ca.crt"))


def write(path: Path, text: str, mode: int = 0o600) -> None:
    path.touch()
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")


def test_secrets_and_certificates_are_created_once(tmp_path: Path) -> None:
    path = tmp_path / "access" / "secrets.yml"
    secrets = opened(path)
    secrets.create(["shop/login/blue", "shop/ring/csrf"])
    secrets.issue("environment/certificate/edge", NAMES, "pki", "test")
    assert secrets.trust()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700

    again = opened(path)
    found = again.read(["shop/login/blue", "shop/ring/csrf", "environment/certificate/edge", "other/value/x"])
    assert set(found) == {"shop/login/blue", "shop/ring/csrf", "environment/certificate/edge"}
    for name, content in found.items():
        assert {**content, "written": again.written[name]} == secrets.content[name]
        assert datetime.now(UTC) - datetime.fromisoformat(again.written[name]) < timedelta(days=1)
    assert not again.trust()
    certificate = found["environment/certificate/edge"]
    assert not needs_issue(certificate, NAMES, 30)
    authority = x509.load_pem_x509_certificate((path.parent / "ca.crt").read_bytes())
    x509.load_pem_x509_certificate(certificate["certificate"].encode()).verify_directly_issued_by(authority)

    # The next certificate is from the same CA.
    again.issue("environment/certificate/postgres", ["database.test"], "pki", "test")
    assert again.content["environment/certificate/postgres"]["ca_chain"] == certificate["ca_chain"]


def test_a_secret_of_an_earlier_version_has_no_known_age(tmp_path: Path) -> None:
    lines = ("shop/value/x: {value: x}", "shop/value/y: {value: y, written: '2026-01-02T03:04:05Z'}")
    write(tmp_path / "secrets.yml", "\n".join(lines))
    secrets = opened(tmp_path / "secrets.yml")
    assert secrets.read(["shop/value/x", "shop/value/y"]) == {
        "shop/value/x": {"value": "x"},
        "shop/value/y": {"value": "y"},
    }
    assert secrets.written == {"shop/value/x": "", "shop/value/y": "2026-01-02T03:04:05Z"}


def test_trusted_certificates_that_are_there_stay(tmp_path: Path) -> None:
    other = local_ca.new_authority("other")["certificate"]
    write(tmp_path / "ca.crt", other, 0o644)
    secrets = opened(tmp_path / "secrets.yml")
    secrets.issue("environment/certificate/edge", NAMES, "pki", "test")
    secrets.trust()
    found = x509.load_pem_x509_certificates((tmp_path / "ca.crt").read_bytes())
    assert [certificate.subject.rfc4514_string() for certificate in found] == [
        "CN=Greenroom CA of other",
        "CN=Greenroom CA of test",
    ]


def test_a_new_file_is_encrypted_if_there_is_a_password_and_keeps_its_form(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    opened(path, password=True).create(["shop/value/x"])
    assert path.read_bytes().startswith(PREFIX)
    with pytest.raises(SecretsFileError, match=r"secrets\.yml: can't be decrypted .*give its password with --vault-p"):
        opened(path)
    plain = tmp_path / "plain.yml"
    opened(plain).create(["shop/value/x"])
    opened(plain, password=True).create(["shop/value/y"])
    assert set(yaml.safe_load(plain.read_text(encoding="utf-8"))) == {"shop/value/x", "shop/value/y"}


def test_two_runs_do_not_create_the_same_secret(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yml"
    first, second = opened(path), opened(path)
    first.create(["shop/value/x"])
    with pytest.raises(SecretsFileError, match="another run wrote shop/value/x meanwhile; run this again"):
        second.create(["shop/value/x"])
    runs = [opened(path) for _ in range(8)]
    threads = [threading.Thread(target=run.create, args=([f"shop/value/n{n}"],)) for n, run in enumerate(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened(path).content) == 9


@pytest.mark.parametrize(
    ("text", "mode", "line"),
    [
        ("a/value/b: {value: x}\n", 0o640, "may be read by others; run: chmod 600 "),
        ("a/value/b: {value: x\n", 0o600, "line 2 is not YAML; fix it"),
        ("- a\n", 0o600, "expected a mapping {path: {key: value}}"),
        ("a/value/b: x\n", 0o600, "a/value/b: expected a mapping of strings"),
        ("a/value/b: {value: 5}\n", 0o600, "a/value/b: expected a mapping of strings"),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(tmp_path: Path, text: str, mode: int, line: str) -> None:
    write(tmp_path / "secrets.yml", text, mode)
    with pytest.raises(SecretsFileError) as refused:
        opened(tmp_path / "secrets.yml")
    assert line in str(refused.value)
    assert "value: x" not in str(refused.value)


def test_a_plain_file_is_not_part_of_the_checkout(tmp_path: Path) -> None:
    inside = tmp_path / "inventories" / "secrets.yml"
    with pytest.raises(SecretsFileError, match="could be committed with the checkout; encrypt it with ansible-vault"):
        opened(inside, checkout=tmp_path).create(["shop/value/x"])
    assert not inside.exists()
    opened(inside, password=True, checkout=tmp_path).create(["shop/value/x"])
    opened(tmp_path / ".access/test/secrets.yml", checkout=tmp_path).create(["shop/value/x"])


def act(folder: Path, *options: str, **arguments: Any) -> tuple[dict[str, Any], str]:
    """Return the result of `environment_secrets` for a file, and all of the output."""
    given: dict[str, Any] = {
        "environment_name": "test",
        "paths": ["shop/value/x", "environment/registry"],
        "ca_file": "ca.crt",
    }
    given |= {"file": str(folder / "secrets.yml"), "ca_file": str(folder / "ca.crt"), "certificates": {"edge": NAMES}}
    play = folder / "play.yml"
    task = {"environment_secrets": given | arguments}
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    words = ["-i", "localhost,", "-vvv", *options, str(play)]
    done = warm_start.run(words, ROOT, os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    result = json.loads(done.stdout[done.stdout.index("{\n") :])
    answer: dict[str, Any] = result["plays"][0]["tasks"][0]["hosts"]["localhost"]
    return answer, done.stdout + done.stderr


def test_ansible_encrypts_the_file_and_hides_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path / "password", "one for the test")
    password = ("--vault-password-file", str(tmp_path / "password"))
    manual = {"read_only": ["environment/registry"]}
    answer, _ = act(tmp_path, *password, state="present", create=True, **manual)
    assert answer["msg"] == (
        "secrets of test are missing: environment/registry; "
        f"write environment/registry to {tmp_path}/secrets.yml yourself (docs/secrets.md)"
    )
    only = {"paths": ["shop/value/x", "environment/certificate/edge"]}
    answer, _ = act(tmp_path, "--check", *password, state="present", create=True, **only)
    assert (answer["changed"], answer["created"]) == (True, ["shop/value/x", "environment/certificate/edge"])
    assert not (tmp_path / "secrets.yml").exists()
    answer, _ = act(tmp_path, *password, state="present", create=True, **only)
    assert answer["created"] == ["shop/value/x", "environment/certificate/edge"]
    assert (tmp_path / "secrets.yml").read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT;")
    answer, output = act(tmp_path, *password, **only)
    assert answer["changed"] is False
    assert "secrets" not in answer
    assert "PRIVATE KEY" not in output
    answer, _ = act(tmp_path, **only)
    assert "can't be decrypted" in answer["msg"]
