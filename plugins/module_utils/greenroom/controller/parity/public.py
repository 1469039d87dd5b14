# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""An environment as a client sees it: TLS, certificate, redirects, and the headers of responses."""

from __future__ import annotations

import re
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from ...common.web import Answer, Deadline, Network, Request, WebError, request

SECONDS = 10.0
"""For a connection and a response."""
VERSIONS = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}
# They differ with each response.
_OWN = {"date", "x-request-id", "content-length", "etag", "last-modified", "age", "expires", "connection", "keep-alive"}
_NONCE = re.compile(r"nonce-[A-Za-z0-9+/=_-]+")

Part = dict[str, dict[str, Any]]


def look(
    name: str,
    paths: Sequence[str],
    network: Network,
    headers: Mapping[str, str],
    ports: tuple[int, int] = (443, 80),
) -> Part:
    """Return what `https://<name>` answers, as a part of a snapshot: {items, unread}.

    `ports` are the one with TLS and the one without. `headers` are sent with each request, such as the password of an
    environment that asks visitors for one.
    """
    items: dict[str, Any] = {}
    unread: dict[str, str] = {}
    secure, plain = f"https://{name}", f"http://{name}"
    if ports != (443, 80):
        secure, plain = f"{secure}:{ports[0]}", f"{plain}:{ports[1]}"
    reads: dict[str, Callable[[], Any]] = {
        **{f"handshake with {version}": partial(_handshake, name, ports[0], version, network) for version in VERSIONS},
        "certificate": partial(_certificate, name, ports[0], network),
        "port 80": partial(_answer, f"{plain}/", network, {}),
        **{f"GET {path}": partial(_answer, f"{secure}{path}", network, headers) for path in paths},
    }
    for item, read in reads.items():
        try:
            items[item] = read()
        except (WebError, OSError) as error:
            unread[item] = str(error) or type(error).__name__
    return {"items": items, "unread": unread}


def _handshake(name: str, port: int, version: str, network: Network) -> str:
    """Return the cipher, or `refused`."""
    context = ssl.create_default_context()
    # Which version the server speaks is asked, not whether to trust it.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # This machine's own policy must not refuse old versions in the server's place.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Old versions are what is looked for.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = VERSIONS[version]
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((network.address(name), port), timeout=SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=name) as secured:
                cipher = secured.cipher()
                return f"{cipher[0] if cipher else 'no cipher'}, {secured.selected_alpn_protocol() or 'no ALPN'}"
        except (ssl.SSLError, ConnectionResetError):
            return "refused"


def _certificate(name: str, port: int, network: Network) -> dict[str, Any]:
    """Return issuer and names of the certificate, if clients trust it; else why they don't."""
    context = ssl.create_default_context(cafile=network.ca_file)
    with socket.create_connection((network.address(name), port), timeout=SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=name) as secured:
                found = secured.getpeercert() or {}
        except ssl.SSLCertVerificationError as error:
            return {"trusted": error.verify_message}
    issuer: Any = found.get("issuer", ())
    names: Any = found.get("subjectAltName", ())
    return {
        "trusted": "yes",
        "issuer": ", ".join("=".join(pair) for group in issuer for pair in group),
        "names": sorted(each for _kind, each in names),
    }


def _answer(url: str, network: Network, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return status and headers of a response."""
    found = request(Request("GET", url, dict(headers)), network, Deadline(SECONDS))
    if found.status == HTTPStatus.UNAUTHORIZED and not headers:
        raise WebError("it asks visitors for a password; give snapshot_headers")
    return {"status": found.status, **dict(_headers(found))}


def _headers(found: Answer) -> Iterator[tuple[str, list[str]]]:
    for name in sorted({name.lower() for name in found.headers.keys()} - _OWN):  # noqa: SIM118 - a message, not a dict
        values = [_NONCE.sub("nonce-…", value) for value in found.headers.get_all(name) or []]
        if name == "set-cookie":
            # The value is the visitor's own; name and attributes are the service's. Kratos' name has a random part.
            names = (re.sub(r"^([^=]+)=[^;]*", r"\1", value) for value in values)
            values = sorted(re.sub(r"[0-9a-f]{32,}", "…", name) for name in names)
        yield name, values
