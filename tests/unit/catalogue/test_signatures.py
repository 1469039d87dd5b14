# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The signatures that images must have: what Podman gets, and what is refused before a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.controller.catalogue import signatures
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

OWN = "own.test:5000"
OTHERS: dict[str, dict[str, str]] = {"hub.test": {}}


@pytest.fixture
def key(tmp_path: Path) -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "cosign.pub").write_bytes(public.public_bytes(serialization.Encoding.PEM, form))
    return str(tmp_path / "cosign.pub")


def test_podman_accepts_only_signed_images_where_a_key_is_given(key: str, tmp_path: Path) -> None:
    (tmp_path / "second.pub").write_text("second")
    given = {
        "hub.test/team": {"keys": [key], "signed_as": "origin.test/team"},
        "shop/web": {"keys": [key, str(tmp_path / "second.pub")]},
    }
    required = signatures.requirements(OWN, given)
    first, second = required[f"{OWN}/shop/web"][0]["keyPaths"]
    assert required == {
        "hub.test/team": [
            {
                "type": "sigstoreSigned",
                "keyPath": first,
                "signedIdentity": {"type": "exactRepository", "dockerRepository": "origin.test/team"},
            }
        ],
        f"{OWN}/shop/web": [
            {
                "type": "sigstoreSigned",
                "keyPaths": [first, second],
                "signedIdentity": {"type": "matchRepository"},
            }
        ],
    }
    plain = [{"type": "insecureAcceptAnything"}]
    assert json.loads(signatures.policy(OWN, OTHERS, given)) == {
        "default": plain,
        "transports": {"docker": {"": [{"type": "reject"}], OWN: plain, "hub.test": plain, **required}},
    }
    places, *keys = signatures.files(OWN, given)
    assert json.loads(places["content"])["docker"] == {scope: {"use-sigstore-attachments": True} for scope in required}
    assert keys == [{"src": key, "dest": first}, {"src": str(tmp_path / "second.pub"), "dest": second}]


def test_a_whole_registry_can_need_signatures_and_another_key_is_another_policy(key: str) -> None:
    one = signatures.policy(OWN, OTHERS, {"hub.test": {"keys": [key]}})
    assert json.loads(one)["transports"]["docker"]["hub.test"][0]["type"] == "sigstoreSigned"
    Path(key).write_text("another")
    assert signatures.policy(OWN, OTHERS, {"hub.test": {"keys": [key]}}) != one


def test_without_signatures_hosts_keep_their_files() -> None:
    assert signatures.files(OWN, {}) == []
    assert signatures.policy("a", ["b"], {}) == (
        '{\n  "default": [{"type": "insecureAcceptAnything"}],\n  "transports": {\n    "docker": {\n'
        '      "": [{"type": "reject"}],\n      "a": [{"type": "insecureAcceptAnything"}],\n'
        '      "b": [{"type": "insecureAcceptAnything"}]\n    }\n  }\n}\n'
    )


def test_wrong_signatures_are_reported(key: str, tmp_path: Path) -> None:
    (tmp_path / "cosign.key").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    (tmp_path / "other").write_text("ssh-ed25519 AAAA")
    right = {"hub.test": {"keys": [key]}, "shop": {"keys": [key]}, OWN: {"keys": [key], "signed_as": "a.test/b"}}
    assert list(signatures.problems(right, [OWN, *OTHERS])) == []
    wrong = {
        "else.test/x": {"keys": [key]},
        "shop:1.0": {"keys": [key]},
        "a": {"keys": []},
        "b": {"key": "x", "keys": [key]},
        "c": {"keys": [str(tmp_path / name) for name in ("none", "cosign.key", "other")]},
        "d": {},
    }
    lines = list(signatures.problems(wrong, [OWN, *OTHERS]))
    assert lines[0].startswith("image_signatures.else.test/x: no image may come from there; name the registry")
    assert lines[1].startswith('image_signatures.shop:1.0: "shop:1.0" is neither a registry nor a repository')
    assert lines[2].startswith("image_signatures.a.keys")
    assert lines[3] == 'image_signatures.b.key: unknown key; did you mean "keys"?'
    assert lines[4].startswith(f"image_signatures.c.keys[0]: {tmp_path}/none: No such file")
    assert "is a private key, which must not leave" in lines[5]
    assert "has no public key in PEM" in lines[6]
    assert lines[7].startswith("image_signatures.d")
    assert len(lines) == 8
