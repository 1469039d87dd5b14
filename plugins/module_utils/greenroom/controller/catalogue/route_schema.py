# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of `routes`, `redirects`, `tcp_routes` and `headers` in service.yml."""

from __future__ import annotations

from .schema_terms import DURATION, HEADER_VALUE, NAME, PORT_NUMBER, mapping, text

# The edge refuses paths that a service may read as another one. A route with such a path would serve nobody.
PUBLIC_PATH = text(
    r"^/(?!.*//)(?!(?:.*/)?\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&()*+,=:@/-]*\Z",
    "a path that starts with /, of letters, digits and ._~!$&()*+,=:@-, without // and the parts . and ..",
)
# Those that the edge sets if the service sends none.
SECURITY_HEADERS = (
    *("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"),
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A name, or all names one label below a domain, as certificates know them.
HOST_NAME = rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})+"
# What a template in it stands for is checked when it is rendered.
_TEMPLATE = r".*\{\{.*\}\}.*"
HOST = text(
    rf"^(?:{HOST_NAME}|{_TEMPLATE})\Z",
    "a host name in lowercase letters, such as shop.example.com, or *.example.com, without a port",
)
# One of them, or a list.
_HOSTS = {**HOST, "type": ["string", "array"], "items": HOST, "minItems": 1}
# Bytes, or K, M or G of 1024.
SIZE = text(r"^[1-9]\d{0,8}[KMG]?\Z", "a size like 500K, 10M or 1G")
REDIRECT_STATUSES = [301, 302, 307, 308]
# HAProxy's map contains it.
REDIRECT_TARGET = text(
    r"^(?:https?://(?:[A-Za-z0-9.-]|\{\{[^{}]*\}\})+(?::\d+)?|(?=/[^/]))(?:/[A-Za-z0-9._~!$&()*+,=:@/-]*)?\Z",
    "a URL or a path, such as https://example.com or /new, without ? and #",
)
ROUTE = mapping(
    {
        "host": _HOSTS,
        "path": PUBLIC_PATH,
        "exclude": {"type": "array", "items": PUBLIC_PATH},
        "port": NAME,
        "limit": {"type": "string"},
        "auth": {"type": "boolean"},
        "timeout": DURATION,
        "strip": {"type": "boolean"},
        "body": SIZE,
        "sticky": {"type": "boolean"},
        "http2": {"type": "boolean"},
        "client_certificate": {"enum": ["required"]},
    },
    ["path"],
)
REDIRECT = mapping(
    {"host": _HOSTS, "path": PUBLIC_PATH, "to": REDIRECT_TARGET, "status": {"enum": REDIRECT_STATUSES}}, ["to"]
)
TCP_ROUTE = mapping({"listen": PORT_NUMBER, "host": _HOSTS, "port": NAME, "timeout": DURATION}, ["listen"])

HEADERS = mapping(dict.fromkeys(SECURITY_HEADERS, HEADER_VALUE))
