"""The lab's sign-in provider: one client for each environment, made once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from greenroom_lab import inventory, keys, sign_in


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that control1 gets, with two environments."""
    monkeypatch.setattr(keys, "seed", lambda host: tmp_path)
    monkeypatch.setattr(inventory, "environments", lambda: ["production", "staging"])
    return tmp_path


def test_each_environment_has_a_client_of_its_own(seed: Path) -> None:
    sign_in.plan()
    staging, production = sign_in.client("staging"), sign_in.client("production")
    assert staging["client_id"] == "greenroom-staging"
    assert staging["redirect_uri"] == "https://portal.staging.greenroom.test/self-service/methods/oidc/callback/company"
    assert all(staging[key] != production[key] for key in staging)
    assert (seed / "clients.json").stat().st_mode & 0o777 == 0o600
    assert "9443" in (seed / "provider").read_text()


def test_secrets_are_made_once_and_a_further_environment_leaves_them(
    seed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in.plan()
    before = sign_in.client("staging")
    monkeypatch.setattr(inventory, "environments", lambda: ["preview", "production", "staging"])
    sign_in.plan()
    assert sign_in.client("staging") == before
    assert len(json.loads((seed / "clients.json").read_text())) == 3
    written = (seed / "clients.json").stat().st_mtime_ns
    sign_in.plan()
    assert (seed / "clients.json").stat().st_mtime_ns == written
