"""What the lab sets up in Vault is what the docs tell an operator to set up."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from greenroom_lab import control, sign_in

DOCS = (Path(__file__).resolve().parents[3] / "docs/secrets.md").read_text()


def rules(policy: str) -> dict[str, str]:
    return dict(re.findall(r'^\s*path "(\S+)"\s*\{ capabilities = (\[.*\]) \}$', policy, re.M))


def test_an_environment_has_the_policy_of_the_docs() -> None:
    own = rules(control.POLICY.format(mount="greenroom", pki="pki", environment="staging"))
    assert len(own) > 4
    assert own == rules(DOCS)


def test_certificates_are_for_servers_and_names_only_as_in_the_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, Any] = {}
    vault = SimpleNamespace(
        sys=SimpleNamespace(create_or_update_policy=lambda *_words: None),
        write_data=lambda _path, data: written.update(data),
        auth=SimpleNamespace(approle=SimpleNamespace(create_or_update_approle=lambda *_words, **_options: None)),
    )
    monkeypatch.setattr(control, "accounts", lambda: {"staging": "secret"})
    monkeypatch.setattr(control, "_keep", lambda *_words: None)
    monkeypatch.setattr(sign_in, "client", lambda _environment: {})
    control._configure_environment(vault, "staging")
    command = DOCS[DOCS.index("bao write pki/roles/staging") :].split("bao write auth")[0]
    documented = dict(re.findall(r"(\w+)=(\S+)", command))
    assert documented.pop("allowed_domains") == "staging.example.org"
    assert documented == {name: str(value).lower() for name, value in written.items() if name != "allowed_domains"}
