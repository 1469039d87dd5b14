"""Tags become digests, and every error is one line that says what to do."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import urllib3
from ansible.module_utils.greenroom.controller.catalogue import registries
from ansible.module_utils.greenroom.controller.catalogue.registry import Registry, RegistryError, Settings
from ansible.module_utils.greenroom.controller.catalogue.release import Image
from requests.auth import HTTPBasicAuth

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
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
    # requests would send text as Latin-1, and Podman sends UTF-8.
    assert found.session.auth == HTTPBasicAuth(b"user", b"password")
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


class Tokens:
    """A registry that wants a token of another server."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        realm: str = "https://auth.test/token",
        code: int = 200,
        offer: str = 'Bearer realm="{realm}",service="registry.test",error="none"',
    ) -> None:
        self.offer = offer.format(realm=realm)
        self.asked: list[Any] = []
        self.code = code
        self.found = Registry(
            "registry.test", None, ("user", "password"), "api.test:8443", Settings("registry_others.x", "the secret")
        )
        monkeypatch.setattr(self.found.session, "head", self.head)
        monkeypatch.setattr(self.found.session, "get", self.get)

    def head(self, url: str, timeout: float, verify: Any, auth: Any = None) -> requests.Response:
        if auth is None:
            response = answer(401)
            response.headers["WWW-Authenticate"] = self.offer
            return response
        request = auth(requests.Request("HEAD", url).prepare())
        self.asked.append((url, request.headers["Authorization"]))
        return answer(200, DIGEST)

    def get(self, url: str, params: Any, timeout: float, verify: Any) -> requests.Response:
        self.asked.append((url, params))
        response = answer(self.code)
        response._content = b'{"access_token": "abc"}'
        return response


def test_a_token_is_fetched_where_the_registry_says(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(monkeypatch)
    assert tokens.found.resolve(SHOP) == {"shop": DIGEST}
    assert tokens.asked == [
        ("https://auth.test/token", {"service": "registry.test", "scope": "repository:demo/shop:pull"}),
        ("https://api.test:8443/v2/demo/shop/manifests/1.0", "Bearer abc"),
    ]


def test_the_login_goes_to_no_server_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(monkeypatch, "http://auth.test/token")
    message = r'registry\.test requires a token from "http://auth.test/token", which is not'
    with pytest.raises(RegistryError, match=message):
        tokens.found.resolve(SHOP)
    assert tokens.asked == []


def test_a_refused_login_names_the_registrys_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(monkeypatch, code=401)
    with pytest.raises(
        RegistryError, match=r"registry registry\.test refuses demo/shop:1\.0 \(401\); check the secret"
    ):
        tokens.found.resolve(SHOP)


def test_each_registry_is_asked_for_its_own_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(self: Registry, images: dict[str, Image]) -> dict[str, str]:
        self.moved = dict.fromkeys(images, "moved") if self.api == "api.test" else {}
        login = self.session.auth and list(vars(self.session.auth).values())
        return dict.fromkeys(images, f"{self.api} {login} {self.verify}")

    monkeypatch.setattr(Registry, "resolve", resolve)
    images = {
        "plain": Image("a", "1", "x"),
        "other": Image("team/b", "2", "x", "two.test"),
        "third": Image("c", "3", "x", "three.test:5000"),
    }
    others = {"two.test": {"login": "environment/two"}, "three.test:5000": {"api": "api.test", "ca_file": "/ca"}}
    logins = registries.logins(others, {"environment/two": {"username": "u", "password": "p", "more": "x"}})
    own = {"registry": "own.test", "ca_file": "/own", "username": None, "password": None}
    opened = registries.opened({**own, "others": others, "logins": logins})
    assert registries.resolve(images, opened) == (
        {
            "plain": "own.test/a@own.test None /own",
            "other": "two.test/team/b@two.test [b'u', b'p'] True",
            "third": "three.test:5000/c@api.test None /ca",
        },
        {"third": "moved"},
    )


@pytest.mark.parametrize("now", [OTHER, ""])
def test_a_locked_image_has_the_digest_of_its_lock_and_a_moved_tag_is_noted(
    monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    locked = {"shop": replace(SHOP["shop"], locked=DIGEST)}
    same, asked = registry(monkeypatch, {"1.0": answer(200, DIGEST)})
    # One request, as without a lock.
    assert (same.resolve(locked), same.moved, len(asked)) == ({"shop": DIGEST}, {}, 1)
    tag = answer(200, now) if now else answer(404)
    found, _ = registry(monkeypatch, {"1.0": tag, DIGEST: answer(200, DIGEST)})
    assert (found.resolve(locked), found.moved) == ({"shop": DIGEST}, {"shop": now})
    gone, _ = registry(monkeypatch, {"1.0": tag, DIGEST: answer(404)})
    with pytest.raises(RegistryError, match=rf"has no demo/shop@{DIGEST} .*copy a locked image without a change"):
        gone.resolve(locked)


def test_a_token_is_found_among_other_ways_to_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(monkeypatch, offer='Basic realm="x", Bearer realm="{realm}",service="registry.test"')
    assert tokens.found.resolve(SHOP | {"again": SHOP["shop"]}) == {"shop": DIGEST, "again": DIGEST}
    # One token for both.
    assert [url for url, _ in tokens.asked].count("https://auth.test/token") == 1


def test_podman_gets_the_logins_and_cas_of_all_registries() -> None:
    others = {"two.test": {"login": "environment/two"}, "three.test:5000": {"ca_file": "/three"}, "four.test": {}}
    secrets = {
        "environment/registry": {"username": "a", "password": "b"},
        "environment/two": {"username": "c", "password": "d:e"},
    }
    assert json.loads(registries.auth_file("own.test", others, secrets)) == {
        "auths": {"own.test": {"auth": "YTpi"}, "two.test": {"auth": "YzpkOmU="}}
    }
    assert registries.ca_files("own.test", "/own", others) == [
        {"src": "/own", "dest": "/etc/containers/certs.d/own.test/ca.crt"},
        {"src": "/three", "dest": "/etc/containers/certs.d/three.test:5000/ca.crt"},
    ]
    assert registries.secret_paths(others) == ["environment/two"]


def test_wrong_settings_of_registries_are_reported() -> None:
    right = {"registry.test": {}, "a:5000": {"login": "environment/registry-a", "api": "b.test:1", "ca_file": "x"}}
    assert list(registries.problems(right)) == []
    wrong = {"https://x.test": {}, "y.test": {"logn": "x"}, "z.test": {"login": "secret"}, "w.test": None}
    assert list(registries.problems(wrong)) == [
        'registry_others.https://x.test: "https://x.test" is not a registry; write host or host:port, as in the names '
        "of its images",
        'registry_others.y.test.logn: unknown key; did you mean "login"?',
        'registry_others.z.test.login: "secret" is not a path such as environment/registry-team',
        "registry_others.w.test: expected a mapping, got nothing",
    ]
    assert list(registries.problems(["x"])) == []
