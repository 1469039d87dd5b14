# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Resolve image tags to digests with one request each (registry API v2).

Runs only on the controller (needs the requests package).
"""

from __future__ import annotations

from collections.abc import Mapping

import requests

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


class Registry:
    """A registry at `address` (host[:port]), with TLS verified by `ca_file` and an optional login."""

    def __init__(self, address: str, ca_file: str | None = None, login: tuple[str, str] | None = None) -> None:
        self.address = address
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
        url = f"https://{self.address}/v2/{image.repository}/manifests/{image.reference}"
        try:
            answer = self.session.head(url, timeout=TIMEOUT, verify=self.verify)
        except requests.exceptions.SSLError as error:
            raise self._error(tls_problem(error, "registry_address")) from error
        except requests.exceptions.RequestException as error:
            line = f" can't be reached ({innermost(error)}); check that the registry runs, and check registry_address"
            raise self._error(line) from error
        except OSError as error:  # requests raises this for a missing CA file
            raise self._error(f": {error}; check environment_ca_file") from error
        code, digest = answer.status_code, answer.headers.get("Docker-Content-Digest", "")
        if code == requests.codes.not_found:
            return None
        if code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._error(f" refuses {image} ({code}); check the login in the secret environment/registry")
        if not answer.ok or not DIGEST.match(digest):
            raise self._error(f" returned status {code} without a digest for {image}; check its log")
        return digest

    def _error(self, line: str) -> RegistryError:
        return RegistryError(f"registry {self.address}{line}")
