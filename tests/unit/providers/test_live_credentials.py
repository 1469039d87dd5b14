# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Live keys and production's secrets don't get into an environment that is not protected, nor into a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.providers import live
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

# In two parts: scanners of repositories look for such texts.
STRIPE = "sk_" + "live_51Habcdefgh"
PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)
PRODUCTION: dict[str, dict[str, Any]] = {
    "postmark/token": {"value": "8f4e1b52-1111-4c3d-9e7a-0123456789ab", "owner": "a long owner's name"},
    "portal/ring/csrf": {"values": "firstkeyfirstkey,secondkeysecond"},
    "apple/private-key": {"value": PEM},
    "environment/registry": {"username": "reader", "password": "sharedbyeverybody"},
    "environment/oidc/company": {"client_id": "greenroom-production", "client_secret": "onlyproductions"},
    "shop/value/pin": {"value": "1234"},
}


@pytest.fixture
def prints(tmp_path: Path) -> str:
    """A file with the fingerprints of production."""
    text = live.fingerprint_text(PRODUCTION, "production", "a signing secret", ["environment/registry"])
    (tmp_path / "prints").write_text(text)
    return str(tmp_path / "prints")


def problems(
    value: str, file: str = "", *, protected: bool = False, foreign: Any = (), path: str = "a/key"
) -> list[str]:
    secrets = {path: {"value": value}}
    shared = ["environment/registry"]
    found: list[str] = live.secret_problems(secrets, "staging", foreign, file, shared, protected=protected)
    return found


@pytest.mark.parametrize(
    "value",
    [
        STRIPE,
        STRIPE.replace("sk_", "rk_"),
        f"https://{STRIPE}:@api.stripe.com",
        "access_token$" + "production$abcdefgh12345678$x",
        "rzp_" + "live_abcdefghijkl",
        "live_" + "a1" * 16,
    ],
)
def test_a_live_key_is_known_by_its_shape(value: str) -> None:
    (line,) = problems(value)
    assert line.startswith("staging/a/key has a ")
    assert line.endswith(
        "which could reach real customers: staging is not protected. Put one for tests in its place (docs/providers.md)"
    )
    assert value not in line
    assert problems(value, protected=True) == []


@pytest.mark.parametrize(
    "value", ["sk_test_51Habcdefgh", "olive_oil", "live_short", "rk_test_x", "", "alive_" + "a" * 40]
)
def test_a_key_for_tests_is_welcome(value: str, prints: str) -> None:
    assert problems(value, prints) == []


def test_an_inventory_names_the_clients_of_production() -> None:
    name = "123-abc.apps.googleusercontent.com"
    (line,) = problems(f"id={name}", foreign=["", name])
    assert "secrets_foreign_texts[1]" in line
    assert name not in line
    found = live.secret_problems({"environment/oidc/g": {"client_id": name}}, "staging", [name], "", protected=False)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("8f4e1b52-1111-4c3d-9e7a-0123456789ab", "postmark/token"),
        (" 8f4e1b52-1111-4c3d-9e7a-0123456789ab\n", "postmark/token"),
        ("smtp://user:8f4e1b52-1111-4c3d-9e7a-0123456789ab@mail", "postmark/token"),
        ("smtp://user:8f4e1b52%2D1111-4c3d-9e7a-0123456789ab@mail", "postmark/token"),
        ("other,secondkeysecond", "portal/ring/csrf"),
        (PEM.replace("\n", "\r\n"), "apple/private-key"),
        ("onlyproductions", "environment/oidc/company"),
    ],
)
def test_a_secret_of_production_is_known_by_its_fingerprint(value: str, path: str, prints: str) -> None:
    assert problems(value) == []
    (line,) = problems(value, prints)
    assert f"has the secret {path} of production" in line
    assert value.strip() not in line
    assert problems(value, prints, protected=True) == []


def test_what_environments_share_is_not_refused(prints: str) -> None:
    """Short values, names, and the login to the registry."""
    for value in ("1234", "greenroom-production", "a long owner's name", "sharedbyeverybody", "reader"):
        assert problems(value, prints) == [], value
    assert problems(STRIPE, path="environment/registry") == []


def test_production_has_its_own_secrets(prints: str) -> None:
    """The file may be in an inventory that production includes, too."""
    assert live.secret_problems(PRODUCTION, "production", [], prints, protected=False) == []


def test_fingerprints_tell_no_secret_and_stay_the_same(prints: str) -> None:
    text = Path(prints).read_text()
    for content in PRODUCTION.values():
        for value in content.values():
            assert value not in text
    assert "signing secret" not in text
    again = live.fingerprint_text(PRODUCTION, "production", "a signing secret", ["environment/registry"])
    assert text == again
    other = live.fingerprint_text(PRODUCTION, "production", "another", ["environment/registry"])
    assert not set(again.splitlines()[2:]) & set(other.splitlines()[2:])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read: No such file or directory"),
        ("hello\n", "line 1 is not a fingerprint"),
        ("# nothing\n", "has no environment or no key"),
        ("environment production\nkey zz\n", "has no environment or no key"),
    ],
)
def test_a_file_that_is_none_stops_the_run(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "prints"
    if content is not None:
        file.write_text(content)
    (line,) = problems("x", str(file))
    assert line.startswith(f"secrets_foreign_fingerprints: {file}")
    assert reason in line
    with pytest.raises(live.FingerprintsError):
        live.refusal("staging", (), str(file), protected=False)


def test_any_text_is_checked_not_only_secrets() -> None:
    refused = live.refusal("staging", None, None, protected=False)
    assert refused(f"key: {STRIPE}").startswith("has a live Stripe key")
    assert refused("key: sk_test_x") == ""
    assert live.refusal("production", None, None, protected=True)(STRIPE) == ""
