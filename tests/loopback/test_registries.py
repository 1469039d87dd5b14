# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""A real registry with logins by token: the controller resolves and locks images, and Podman pulls and checks them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue import registries, signatures
from ansible.module_utils.greenroom.controller.catalogue.registry import RegistryError
from ansible.module_utils.greenroom.controller.catalogue.release import parse_image
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from greenroom_lab import images
from greenroom_lab import podman as lab_podman
from token_registry import PASSWORD, ROBOT, Shelf, shelf

OWN = "own.test:5000"
LOGIN = "environment/registry-x"
SECRETS = {LOGIN: {"username": ROBOT, "password": PASSWORD}}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with shelf(tmp_path_factory.mktemp("hub")) as found:
        yield found


def others(hub: Shelf, login: bool = True) -> dict[str, dict[str, str]]:
    """The registry as an inventory names it."""
    return {hub.address: {"ca_file": hub.ca_file, **({"login": LOGIN} if login else {})}}


def opened(hub: Shelf, login: bool = True, password: str = PASSWORD) -> dict[str, Any]:
    known = registries.logins(others(hub, login), {LOGIN: {"username": ROBOT, "password": password}})
    own = {"registry": OWN, "ca_file": None, "username": None, "password": None}
    found: dict[str, Any] = registries.opened({**own, "others": others(hub, login), "logins": known})
    return found


def test_a_robot_resolves_tags_digests_and_indexes(hub: Shelf) -> None:
    two = [hub.image("team/my__app", architecture=name) for name in ("amd64", "arm64")]
    index = hub.index("team/my__app", "1.0", *two)
    tag = parse_image(f"{hub.address}/team/my__app:1.0", "x")
    pinned = parse_image(f"{hub.address}/team/my__app:1.0@{two[1]['digest']}", "x")
    known = opened(hub)
    found, moved = registries.resolve({"tag": tag, "pinned": pinned}, known)
    assert found == {
        "tag": f"{hub.address}/team/my__app@{index}",
        "pinned": f"{hub.address}/team/my__app@{two[1]['digest']}",
    }
    assert moved == {}
    assert known[hub.address].platforms(tag, index) == {
        "linux/amd64": two[0]["digest"],
        "linux/arm64": two[1]["digest"],
    }
    assert known[hub.address].platforms(pinned, two[1]["digest"]) == {"linux/arm64": two[1]["digest"]}


def test_without_a_login_public_images_are_found_and_others_refused(hub: Shelf) -> None:
    public, private = hub.image("public/app", "1")["digest"], parse_image(f"{hub.address}/team/private:1", "x")
    hub.image("team/private", "1")
    image = parse_image(f"{hub.address}/public/app:1", "x")
    assert registries.resolve({"a": image}, opened(hub, login=False))[0] == {"a": f"{hub.address}/public/app@{public}"}
    with pytest.raises(RegistryError, match=rf"refuses team/private:1 \(401\).*registry_others.{hub.address}.login"):
        registries.resolve({"a": private}, opened(hub, login=False))
    with pytest.raises(RegistryError, match=rf"refuses team/private:1 \(401\); check the login in the secret {LOGIN}"):
        registries.resolve({"a": private}, opened(hub, password="wrong"))


class Host:
    """Podman with the files that Greenroom writes on hosts."""

    def __init__(self, folder: Path, hub: Shelf, required: dict[str, Any]) -> None:
        self.folder, self.hub = folder, hub
        # Where Podman looks before /etc/containers.
        place = folder / ".config/containers"
        (place / "registries.d").mkdir(parents=True)
        (place / f"certs.d/{hub.address}").mkdir(parents=True)
        (place / f"certs.d/{hub.address}/ca.crt").write_bytes(Path(hub.ca_file).read_bytes())
        (folder / "auth.json").write_text(registries.auth_file(OWN, others(hub), SECRETS))
        policy = signatures.policy(OWN, others(hub), required)
        (place / "policy.json").write_text(policy.replace(signatures.KEYS, str(folder)))
        for file in signatures.files(OWN, required):
            target = place / "registries.d/x.yaml" if "content" in file else folder / Path(file["dest"]).name
            target.write_text(file.get("content") or Path(file["src"]).read_text())

    def podman(self, *words: str) -> subprocess.CompletedProcess[str]:
        # That of the lab's hosts: other systems' Podman may be built without signatures.
        around = ("run", "--rm", "--privileged", "--network=host", f"--volume={self.folder}:{self.folder}")
        given = (f"--env=HOME={self.folder}", f"--env=REGISTRY_AUTH_FILE={self.folder}/auth.json")
        own = ("podman", f"--root={self.folder}/storage", "--storage-driver=vfs", *words)
        return subprocess.run(
            lab_podman.command(*around, *given, images.host(), *own),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def pull(self, repository: str, digest: str) -> str:
        """Pull an image; return why that failed."""
        done = self.podman("pull", "--quiet", f"{self.hub.address}/{repository}@{digest}")
        return done.stderr if done.returncode else ""


def test_podman_pulls_with_the_robots_login_and_only_what_is_signed(hub: Shelf, tmp_path: Path) -> None:
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "cosign.pub").write_bytes(ours.public_key().public_bytes(serialization.Encoding.PEM, form))
    key = {"keys": [str(tmp_path / "cosign.pub")]}
    host = Host(
        tmp_path,
        hub,
        {f"{hub.address}/signed": key, f"{hub.address}/copied": key | {"signed_as": "origin.test/copied"}},
    )
    plain = hub.image("team/plain", text="plain")["digest"]
    assert host.pull("team/plain", plain) == ""
    # One that is signed, and an index with a signature for each platform.
    one = hub.image("signed/app", text="one")
    hub.sign("signed/app", one["digest"], ours)
    assert host.pull("signed/app", one["digest"]) == ""
    index = hub.index("signed/app", "2", one)
    hub.sign("signed/app", index, ours)
    assert host.pull("signed/app", index) == ""
    # Not signed, signed by others, signed as another repository.
    for number, (text, signer, named) in enumerate(
        [
            ("no signature exists", None, ""),
            ("signature", theirs, ""),
            ("is not accepted", ours, "elsewhere.test/app"),
        ]
    ):
        digest = hub.image("signed/app", text=str(number))["digest"]
        if signer:
            hub.sign("signed/app", digest, signer, named)
        assert text in host.pull("signed/app", digest)
        assert host.podman("image", "exists", f"{hub.address}/signed/app@{digest}").returncode == 1
    copied = hub.image("copied", text="copied")["digest"]
    hub.sign("copied", copied, ours, "origin.test/copied")
    assert host.pull("copied", copied) == ""
