"""Tags become digests, and every error is one line that says what to do."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import urllib3
from ansible.module_utils.greenroom.controller.catalogue.registry import Registry, RegistryError
from ansible.module_utils.greenroom.controller.catalogue.release import Image

DIGEST = "sha256:" + "a" * 64
UNTRUSTED = requests.exceptions.SSLError(
    urllib3.exceptions.MaxRetryError(cast(Any, None), "/", ssl.SSLError(1, "certificate verify failed"))
)
SHOP = {"shop": Image("demo/shop", "1.0", "releases/1.yml")}


def answer(status: int, digest: str = "") -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers["Docker-Content-Digest"] = digest
    return response


def registry(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> tuple[Registry, list[str]]:
    asked: list[str] = []

    def head(url: str, timeout: float, verify: str) -> requests.Response:
        assert verify == "/ca.crt"
        asked.append(url)
        if isinstance(outcome, Exception):
            raise outcome
        response: requests.Response = outcome[url.rsplit("/", 1)[1]]
        return response

    found = Registry("registry:5000", "/ca.crt", ("user", "password"))
    monkeypatch.setattr(found.session, "head", head)
    return found, asked


def test_a_tag_becomes_its_digest_with_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = registry(monkeypatch, {"1.0": answer(200, DIGEST)})
    assert found.resolve(SHOP) == {"shop": DIGEST}
    assert asked == ["https://registry:5000/v2/demo/shop/manifests/1.0"]
    assert found.session.auth == ("user", "password")
    assert "application/vnd.oci.image.index.v1+json" in str(found.session.headers["Accept"])


def test_all_missing_images_are_reported_with_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = registry(monkeypatch, {"1.0": answer(404), DIGEST: answer(404)})
    with pytest.raises(RegistryError) as error:
        found.resolve(SHOP | {"mail": Image("demo/mail", DIGEST, "release_images")})
    assert str(error.value) == (
        "registry registry:5000 has no demo/shop:1.0 (shop in releases/1.yml), "
        f"no demo/mail@{DIGEST} (mail in release_images); push each missing image, or name one that exists"
    )


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        ({"1.0": answer(401)}, " refuses demo/shop:1.0 (401); check the login in the secret environment/registry"),
        ({"1.0": answer(403)}, " refuses demo/shop:1.0 (403); check the login in the secret environment/registry"),
        ({"1.0": answer(500)}, " returned status 500 without a digest for demo/shop:1.0; check its log"),
        ({"1.0": answer(200)}, " returned status 200 without a digest for demo/shop:1.0; check its log"),
        (
            requests.exceptions.ReadTimeout("timed out"),
            " can't be reached (timed out); check that the registry runs, and check registry_address",
        ),
        (
            UNTRUSTED,
            ": its certificate is not trusted (certificate verify failed); "
            "check registry_address and environment_ca_file",
        ),
        (OSError("no CA certificate /ca.crt"), ": no CA certificate /ca.crt; check environment_ca_file"),
    ],
)
def test_every_error_is_one_line(monkeypatch: pytest.MonkeyPatch, outcome: Any, line: str) -> None:
    found, _ = registry(monkeypatch, outcome)
    with pytest.raises(RegistryError) as error:
        found.resolve(SHOP)
    assert str(error.value) == f"registry registry:5000{line}"


def test_an_unreachable_registry_and_a_missing_ca_file_are_reported(tmp_path: Path) -> None:
    with pytest.raises(
        RegistryError, match=r"can't be reached .*refused.*; check that the registry runs, and check registry_address"
    ):
        Registry("127.0.0.1:1").resolve(SHOP)
    with pytest.raises(RegistryError, match=r"invalid path.*; check environment_ca_file"):
        Registry("127.0.0.1:1", str(tmp_path / "none")).resolve(SHOP)
