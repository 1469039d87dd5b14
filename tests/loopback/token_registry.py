# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Debian's docker-registry on loopback, with logins by token, as at most public registries, and with signed images.

The program is that of the lab's control host. The token server is a part of the tests.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from greenroom_lab import images, podman
from webserver import Asked, Authority, Reply, serve

from bench.common import free_port

# As Harbor and Quay name robots, with a password that only UTF-8 has.
ROBOT, PASSWORD = "robot$ci+pull", "p€ss:w{{x}}$rd+"
PUSHER = "pusher"
SERVICE = "registry.test"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Tokens:
    """The token server: the robot may pull everything, anybody may pull public/."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")]), datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        self.certificate = builder.not_valid_after(now + datetime.timedelta(days=2)).sign(self.key, hashes.SHA256())
        self.file = folder / "tokens.crt"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def respond(self, asked: Asked) -> Reply:
        """Give a token, or refuse a wrong login."""
        kind, _, login = asked.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(login).decode().partition(":") if kind == "Basic" else ("", "", "")
        if kind and (user, password) not in ((ROBOT, PASSWORD), (PUSHER, PASSWORD)):
            return Reply(401)
        access = []
        for scope in asked.query.get("scope", []):
            _, name, actions = scope.split(":")
            allowed = {ROBOT: {"pull"}, PUSHER: {"pull", "push"}}.get(
                user, {"pull"} if name.startswith("public/") else set()
            )
            access.append({"type": "repository", "name": name, "actions": sorted(allowed & set(actions.split(",")))})
        return Reply(200, json.dumps({"token": self.token(user, access)}), [("Content-Type", "application/json")])

    def token(self, user: str, access: list[dict[str, Any]]) -> str:
        """Return a signed token."""
        now = int(time.time())
        own = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        head = {"typ": "JWT", "alg": "ES256", "x5c": [own]}
        body = {"iss": "tests", "sub": user, "aud": SERVICE, "exp": now + 300, "nbf": now - 10, "iat": now - 10}
        text = ".".join(
            _base64(json.dumps(part).encode()) for part in (head, body | {"jti": str(time.time_ns()), "access": access})
        )
        numbers = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(b''.join(number.to_bytes(32) for number in numbers))}"


@dataclass
class Shelf:
    """The running registry, as a program that pushes sees it."""

    address: str
    ca_file: str
    tokens: Tokens

    def _send(self, method: str, repository: str, path: str, content: bytes = b"", kind: str = "") -> requests.Response:
        token = self.tokens.token(
            PUSHER, [{"type": "repository", "name": repository, "actions": ["pull", "push", "delete"]}]
        )
        url = path if path.startswith("https://") else f"https://{self.address}/v2/{repository}/{path}"
        headers = {"Authorization": f"Bearer {token}", **({"Content-Type": kind} if kind else {})}
        answer = requests.request(method, url, data=content, headers=headers, verify=self.ca_file, timeout=20)
        assert answer.ok, answer.text
        return answer

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Push a blob; return its size and digest."""
        place = self._send("POST", repository, "blobs/uploads/").headers["Location"]
        digest = _digest(content)
        self._send("PUT", repository, f"{place}&digest={digest}", content, "application/octet-stream")
        return {"size": len(content), "digest": digest}

    def manifest(self, repository: str, content: Mapping[str, Any], tag: str = "") -> str:
        """Push a manifest, by a tag or its digest; return its digest."""
        text = json.dumps(content).encode()
        self._send("PUT", repository, f"manifests/{tag or _digest(text)}", text, content["mediaType"])
        return _digest(text)

    def image(self, repository: str, tag: str = "", architecture: str = "amd64", text: str = "hello") -> dict[str, Any]:
        """Push an image with one file; return what an index says of it."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            info = tarfile.TarInfo("hello")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
        layer = archive.getvalue()
        config = {
            **{"os": "linux", "architecture": architecture, "config": {"Cmd": ["/hello"]}},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
        content = {
            **{"schemaVersion": 2, "mediaType": MANIFEST},
            "config": {"mediaType": CONFIG, **self.blob(repository, json.dumps(config).encode())},
            "layers": [{"mediaType": LAYER, **self.blob(repository, layer)}],
        }
        digest = self.manifest(repository, content, tag)
        size = len(json.dumps(content).encode())
        platform = {"os": "linux", "architecture": architecture}
        return {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform}

    def index(self, repository: str, tag: str, *listed: Mapping[str, Any]) -> str:
        """Push an index; return its digest."""
        return self.manifest(repository, {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(listed)}, tag)

    def sign(self, repository: str, digest: str, key: ec.EllipticCurvePrivateKey, named: str = "") -> None:
        """Sign an image as cosign does: with an image of its own beside it."""
        payload = {
            "critical": {
                "identity": {"docker-reference": named or f"{self.address}/{repository}"},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
        text = json.dumps(payload).encode()
        made = base64.b64encode(key.sign(text, ec.ECDSA(hashes.SHA256()))).decode()
        content = {
            **{"schemaVersion": 2, "mediaType": MANIFEST},
            "config": {"mediaType": CONFIG, **self.blob(repository, b"{}")},
            "layers": [
                {
                    "mediaType": SIGNATURE,
                    **self.blob(repository, text),
                    "annotations": {"dev.cosignproject.cosign/signature": made},
                }
            ],
        }
        self.manifest(repository, content, f"{digest.replace(':', '-')}.sig")


def _program(folder: Path) -> Path:
    """Return the registry's program, from the image of the lab's control host."""
    podman.setup()
    container = podman.call("create", images.control()).strip()
    try:
        podman.call("cp", f"{container}:/usr/bin/docker-registry", folder)
    finally:
        podman.call("rm", "--force", container)
    return folder / "docker-registry"


@contextlib.contextmanager
def shelf(folder: Path) -> Iterator[Shelf]:
    """Run the registry and its token server."""
    authority, tokens, port = Authority(folder), Tokens(folder), free_port()
    context = authority.context("127.0.0.1")
    chain = next(path for path in folder.glob("*.pem"))
    with serve(tokens.respond, context) as site:
        address = f"127.0.0.1:{port}"
        token = {
            "realm": f"{site.url}/token",
            "service": SERVICE,
            "issuer": "tests",
            "rootcertbundle": str(tokens.file),
        }
        settings = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": True}, "level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
            "http": {"addr": address, "tls": {"certificate": str(chain), "key": str(chain)}},
            "auth": {"token": token},
        }
        (folder / "registry.yml").write_text(yaml.safe_dump(settings))
        command = [str(_program(folder)), "serve", str(folder / "registry.yml")]
        with (folder / "registry.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                _wait(f"https://{address}/v2/", authority.ca_file, folder / "registry.log")
                yield Shelf(address, authority.ca_file, tokens)
            finally:
                process.kill()


def _wait(url: str, ca_file: str, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url, verify=ca_file, timeout=10)
            return
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
