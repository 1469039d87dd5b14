# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The schema of `routes` and `headers` in service.yml."""

from __future__ import annotations

from .schema_terms import DURATION, HEADER_VALUE, NAME, mapping, text

# The edge refuses paths that a service may read as another one. A route with such a path would serve nobody.
PUBLIC_PATH = text(
    r"^/(?!.*//)(?!(?:.*/)?\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&()*+,=:@/-]*\Z",
    "a path that starts with /, of letters, digits and ._~!$&()*+,=:@-, without // and the parts . and ..",
)
# Those that the edge sets if the service sends none.
SECURITY_HEADERS = (
    *("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"),
)
ROUTE = mapping(
    {
        "path": PUBLIC_PATH,
        "exclude": {"type": "array", "items": PUBLIC_PATH},
        "port": NAME,
        "limit": {"type": "string"},
        "auth": {"type": "boolean"},
        "timeout": DURATION,
    },
    ["path"],
)

HEADERS = mapping(dict.fromkeys(SECURITY_HEADERS, HEADER_VALUE))
