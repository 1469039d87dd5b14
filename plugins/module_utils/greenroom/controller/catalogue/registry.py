# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Resolve image tags to digests with one request each (registry API v2).

Runs only on the controller (needs the requests package).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import requests
from requests.auth import AuthBase
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
        self.session.auth = login
        # Passed with each request, because REQUESTS_CA_BUNDLE overrides a session's setting.
        self.verify = ca_file or True
        self.session.headers["Accept"] = ACCEPT

    def resolve(self, images: Mapping[str, Image]) -> dict[str, str]:
        """Return {name: digest} of all images.

        Raises RegistryError: at once if the registry doesn't respond, and at the end with all missing images.
        """
        digests, missing = {}, []
        for name, image in images.items():
            digest = self._digest(image)
            if digest is None:
                missing.append(f"{image} ({name} in {image.source})")
            else:
                digests[name] = digest
        if missing:
            raise self._error(f" has no {', no '.join(missing)}; push each missing image, or name one that exists")
        return digests

    def _digest(self, image: Image) -> str | None:
        own = self.settings
        try:
            answer = self._ask(image)
        except requests.exceptions.SSLError as error:
            line = tls_problem(error, own.address).replace("environment_ca_file", own.ca_file)
            raise self._error(line) from error
        except requests.exceptions.RequestException as error:
            line = f" can't be reached ({innermost(error)}); check that the registry runs, and check {own.address}"
            raise self._error(line) from error
        except OSError as error:  # requests raises this for a missing CA file
            raise self._error(f": {error}; check {own.ca_file}") from error
        code, digest = answer.status_code, answer.headers.get("Docker-Content-Digest", "")
        if code == requests.codes.not_found:
            return None
        if code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._error(f" refuses {image} ({code}); check {own.secret}")
        if not answer.ok or not DIGEST.match(digest):
            raise self._error(f" returned status {code} without a digest for {image}; check its log")
        return digest

    def _ask(self, image: Image) -> requests.Response:
        """Ask for an image's digest, with a token if the registry wants one that another server gives (Bearer)."""
        url = f"https://{self.api}/v2/{image.repository}/manifests/{image.reference}"
        answer = self.session.head(url, timeout=TIMEOUT, verify=self.verify)
        scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        if answer.status_code != requests.codes.unauthorized or scheme.lower() != "bearer":
            return answer
        challenge: dict[str, str] = parse_dict_header(rest)  # type: ignore[no-untyped-call]
        realm = challenge.pop("realm", "")
        # The login goes there.
        if not realm.startswith("https://"):
            raise self._error(f' wants a token from "{realm}", which is no https URL; check {self.settings.address}')
        asked = {"scope": f"repository:{image.repository}:pull", **challenge}
        asked.pop("error", None)
        given = self.session.get(realm, params=asked, timeout=TIMEOUT, verify=self.verify)
        if not given.ok:
            return given
        content = given.json()
        token = (content.get("token") or content.get("access_token")) if isinstance(content, Mapping) else None
        return self.session.head(url, timeout=TIMEOUT, verify=self.verify, auth=_Bearer(str(token)))

    def _error(self, line: str) -> RegistryError:
        return RegistryError(f"registry {self.address}{line}")
