# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Resolve image tags to digests with one request each, and read what platforms images are for (registry API v2).

Runs only on the controller (needs the requests package).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import parse_dict_header

from ..vault.refusals import innermost, tls_problem
from .release import DIGEST, Image

TIMEOUT = 10
ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)
_BEARER = re.compile(r"(?:^|,)\s*Bearer\s+(.*)", re.IGNORECASE)


class RegistryError(Exception):
    """A registry failed or rejected a request; the message is one line that says what to do."""


@dataclass(frozen=True)
class Settings:
    """The names of what an operator sets for a registry: its address, its login's secret, its CA."""

    address: str = "registry_address"
    secret: str = "the login in the secret environment/registry"
    ca_file: str = "environment_ca_file"


class _Bearer(AuthBase):
    """A token in place of the session's login."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Registry:
    """A registry at `address` (host[:port]), with TLS verified by `ca_file` and an optional login.

    `api` is the host[:port] that answers requests if it isn't that in the images' names.
    """

    def __init__(
        self,
        address: str,
        ca_file: str | None = None,
        login: tuple[str, str] | None = None,
        api: str | None = None,
        settings: Settings = Settings(),
    ) -> None:
        self.address = address
        self.api = api or address
        self.settings = settings
        self.session = requests.Session()
        # As bytes: requests sends only these as UTF-8, as Podman does.
        self.session.auth = HTTPBasicAuth(login[0].encode(), login[1].encode()) if login else None
        self.tokens: dict[str, _Bearer] = {}
        self.moved: dict[str, str] = {}
        # Passed with each request, because REQUESTS_CA_BUNDLE overrides a session's setting.
        self.verify = ca_file or True
        self.session.headers["Accept"] = ACCEPT

    def resolve(self, images: Mapping[str, Image]) -> dict[str, str]:
        """Return {name: digest} of all images; of a locked one its lock's, and a tag that differs goes to `moved`.

        Raises RegistryError: at once if the registry doesn't respond, and at the end with all missing images.
        """
        digests, missing = {}, []
        for name, image in images.items():
            wanted, digest = image, self._digest(image)
            if image.locked and digest != image.locked:
                self.moved[name] = digest or ""
                wanted = replace(image, reference=image.locked)
                digest = self._digest(wanted)
            if digest is None:
                missing.append(f"{wanted} ({name} in {image.source})")
            else:
                digests[name] = digest
        if missing:
            copied = "; copy a locked image without a change (skopeo copy --all --preserve-digests)"
            hint = copied if any(image.locked for image in images.values()) else ""
            raise self._error(
                f" has no {', no '.join(missing)}; push each missing image, or name one that exists{hint}"
            )
        return digests

    def platforms(self, image: Image, digest: str) -> dict[str, str]:
        """Return {os/architecture[/variant]: digest} of an image: an index has several. Raises RegistryError."""
        content = self._json(image, f"manifests/{digest}", digest)
        if "manifests" not in content:
            found = self._json(image, f"blobs/{content['config']['digest']}", content["config"]["digest"])
            return {_platform(found): digest}
        named = {_platform(each.get("platform") or {}): str(each["digest"]) for each in content["manifests"]}
        # Build tools put what they say about an image beside it.
        return {name: own for name, own in sorted(named.items()) if "unknown" not in name}

    def _digest(self, image: Image) -> str | None:
        answer = self._answer("head", image, f"manifests/{image.reference}")
        code, digest = answer.status_code, answer.headers.get("Docker-Content-Digest", "")
        if code == requests.codes.not_found:
            return None
        if not answer.ok or not DIGEST.match(digest):
            raise self._error(f" returned status {code} without a digest for {image}; check its log")
        return digest

    def _json(self, image: Image, path: str, digest: str) -> dict[str, Any]:
        """Return the content of a manifest or blob that its digest names."""
        answer = self._answer("get", image, path)
        if not answer.ok or f"sha256:{hashlib.sha256(answer.content).hexdigest()}" != digest:
            raise self._error(f" returned something else than {image} (status {answer.status_code}); check its log")
        try:
            content = answer.json()
        except requests.exceptions.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            raise self._error(f" has no image at {image}; push one in the format of OCI or Docker")
        return content

    def _answer(self, method: str, image: Image, path: str) -> requests.Response:
        """Ask about an image; what keeps the registry from answering is an error of one line."""
        own = self.settings
        try:
            answer = self._ask(method, image.repository, path)
        except requests.exceptions.SSLError as error:
            line = tls_problem(error, own.address).replace("environment_ca_file", own.ca_file)
            raise self._error(line) from error
        except requests.exceptions.RequestException as error:
            line = f" can't be reached ({innermost(error)}); check that the registry runs, and check {own.address}"
            raise self._error(line) from error
        except OSError as error:  # requests raises this for a missing CA file
            raise self._error(f": {error}; check {own.ca_file}") from error
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._error(f" refuses {image} ({answer.status_code}); check {own.secret}")
        if answer.status_code == requests.codes.too_many_requests:
            raise self._error(f" limits requests (429); wait, or set a login: check {own.secret}")
        return answer

    def _ask(self, method: str, repository: str, path: str) -> requests.Response:
        """Send a request, with a token if the registry wants one that another server gives (Bearer)."""
        url = f"https://{self.api}/v2/{repository}/{path}"
        token = self.tokens.get(repository)
        answer = self._send(method, url, **({"auth": token} if token else {}))
        # A registry may offer several ways to log in, in any order.
        offered = _BEARER.search(answer.headers.get("WWW-Authenticate", ""))
        if answer.status_code != requests.codes.unauthorized or not offered:
            return answer
        challenge: dict[str, str] = parse_dict_header(offered[1])  # type: ignore[no-untyped-call]
        realm = challenge.get("realm", "")
        # The login goes there.
        if not realm.startswith("https://"):
            raise self._error(
                f' requires a token from "{realm}", which is not an https URL; check {self.settings.address}'
            )
        asked = {"scope": f"repository:{repository}:pull"}
        asked |= {key: challenge[key] for key in ("service", "scope") if key in challenge}
        given = self._send("get", realm, params=asked)
        if not given.ok:
            return given
        content = given.json()
        text = (content.get("token") or content.get("access_token")) if isinstance(content, Mapping) else None
        self.tokens[repository] = token = _Bearer(str(text))
        return self._send(method, url, auth=token)

    def _send(self, method: str, url: str, **more: Any) -> requests.Response:
        answer: requests.Response = getattr(self.session, method)(url, timeout=TIMEOUT, verify=self.verify, **more)
        return answer

    def _error(self, line: str) -> RegistryError:
        return RegistryError(f"registry {self.address}{line}")


def _platform(content: Mapping[str, Any]) -> str:
    """Return what an index or an image's configuration says of its platform, such as linux/arm64."""
    return "/".join(str(content[key]) for key in ("os", "architecture", "variant") if content.get(key))
