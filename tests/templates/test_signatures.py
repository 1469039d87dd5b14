# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hosts get the keys of signatures, and a policy that names them."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rendering import render


def test_hosts_have_each_key_that_their_policy_names(tmp_path: Path) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = tmp_path / "team.pub"
    key.write_bytes(pem)
    host = render(
        "staging",
        tmp_path / "render",
        roles=("container_runtime",),
        hosts="app1",
        registry_address="own.test:5000",
        registry_others={"hub.test": {}},
        image_signatures={"team": {"keys": [str(key)]}, "hub.test": {"keys": [str(key)]}},
    ).folder.joinpath("app1")
    policy = json.loads((host / "etc/containers/policy.json").read_text())["transports"]["docker"]
    assert list(policy) == ["", "own.test:5000", "hub.test", "own.test:5000/team"]
    for scope in ("hub.test", "own.test:5000/team"):
        (required,) = policy[scope]
        assert required["type"] == "sigstoreSigned"
        assert (host / required["keyPath"].removeprefix("/")).read_bytes() == pem
    text = (host / "etc/containers/registries.d/50-greenroom.yaml").read_text()
    assert '"own.test:5000/team"' in text
