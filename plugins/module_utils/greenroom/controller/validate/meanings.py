# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the meaning of a variable's value: the end of its name says whether it is an address or a port."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..catalogue.service_checks import LARGEST_PORT

_SIZE = re.compile(r"[1-9]\d*(\.\d+)?\s?(([KMGT]i?|k)B?|B|%)?", re.I)
# As sshd's PermitOpen.
_FORWARD = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+|\*):(?P<port>\d+|\*)", re.ASCII)
# A name, or a domain with all names in it.
_PLACE = re.compile(r"\.?\w[\w.-]*(:\d+)?", re.ASCII)
# The kinds of a second place for backups, and their options that hold a secret.
_PLACES = {
    **{"azure": "azure-key", "gcs": "gcs-key", "posix": "", "s3": "s3-key-secret"},
    "sftp": "sftp-private-key-file",
}
# What pgBackRest needs to know of a place. Without it, all its commands fail, also the archive's.
_PLACE_NEEDS = {
    "azure": ("azure-account", "azure-container"),
    "gcs": ("gcs-bucket",),
    "s3": ("s3-bucket", "s3-endpoint", "s3-region"),
    "sftp": ("sftp-host", "sftp-host-user", "sftp-host-key-hash-type", "sftp-host-key-check-type"),
}
_PLACE_OPTION = re.compile(r"(type|path|bundle|block|retention|storage|azure|gcs|s3|sftp)(-[a-z0-9]+)*", re.ASCII)
# Their values have another form.
_OTHERS = frozenset({"registry_address"})


def meaning_problems(name: str, value: Any, groups: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a value of the right type, one line each; an empty value is always allowed.

    `groups` are the inventory's groups, which a source may be.
    """
    if value in (None, "") or name in _OTHERS:
        return
    if name == "edge_limits":
        for key, limit in value.items():
            if not _is_number(limit, 1):
                yield f"{name}.{key}: expected a number of requests per minute, 1 or more"
    elif name == "firewall_ports":
        for item in value:
            yield from _sources(f'{name} "{item.get("name")}": from', item.get("from"), groups)
            yield from (
                f'{name} "{item.get("name")}": {port!r} is not a port (1 to {LARGEST_PORT})'
                for port in item.get("ports") or ()
                if not _is_port(port)
            )
    elif name.endswith(("_sources", "_exempt")):
        yield from _sources(name, value, groups)
    elif name.endswith("_networks") or name == "firewall_container_targets":
        yield from _sources(name, value.values() if isinstance(value, Mapping) else value, ())
    elif name in _NAMED:
        yield from _NAMED[name](name, value)
    for ending, (fits, wanted) in _ENDINGS.items():
        if name.endswith(ending) and not fits(value):
            yield f"{name}: expected {wanted}"


def _forwards(name: str, value: Any) -> Iterator[str]:
    yield from (
        f'{name}: "{place}" is not host:port, such as localhost:5432 or *:22'
        for place in value
        if not _is_forward(place)
    )


def _proxy(name: str, value: Any) -> Iterator[str]:
    if "@" in str(value):
        yield f"{name}: everyone on the hosts could read the password; use a proxy that knows the hosts by address"


def _proxy_exceptions(name: str, value: Any) -> Iterator[str]:
    yield from (f'{name}: "{place}" is not a name or an address' for place in value if not _is_place(place))


def _second_place(name: str, value: Mapping[str, Any]) -> Iterator[str]:
    if value and value.get("type") not in _PLACES:
        yield f"{name}.type: expected one of {', '.join(sorted(_PLACES))}"
    for key in sorted(value):
        if key in _PLACES.values() or key.startswith("cipher-"):
            yield f"{name}.{key}: leave it out; the secret is third-party/backup in Vault (playbooks/secret.yml)"
        elif not _PLACE_OPTION.fullmatch(key):
            yield f'{name}: "{key}" is not an option of pgBackRest; write it without "repo1-", such as s3-bucket'
    needed = list(_PLACE_NEEDS.get(str(value.get("type")), ()))
    if value.get("type") == "s3" and value.get("s3-key-type", "shared") == "shared":
        needed.append("s3-key")
    if value.get("type") == "sftp" and value.get("sftp-host-key-check-type") == "fingerprint":
        needed.append("sftp-host-fingerprint")
    for key in needed:
        if not value.get(key):
            yield f"{name}.{key}: missing; pgBackRest needs it for the type {value['type']}"


def _sources(where: str, sources: Any, groups: Collection[str]) -> Iterator[str]:
    known = "neither an address nor a group" if groups else "not an address or network"
    for source in sources or ():
        if source not in groups and not _is_network(source):
            yield f'{where}: "{source}" is {known}'


def _is_network(value: object) -> bool:
    try:
        ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        return False
    return True


def _is_address(value: object) -> bool:
    return _is_network(value) and "/" not in str(value)


def _is_number(value: object, least: float) -> bool:
    try:
        return not isinstance(value, bool) and least <= float(str(value)) < float("inf")
    except ValueError:
        return False


def _is_port(value: object) -> bool:
    return str(value).isdecimal() and 1 <= int(str(value)) <= LARGEST_PORT


def _is_forward(value: object) -> bool:
    found = _FORWARD.fullmatch(str(value))
    return found is not None and (found["port"] == "*" or _is_port(found["port"]))


def _is_place(value: object) -> bool:
    return _is_network(value) or bool(_PLACE.fullmatch(str(value)))


def _is_size(value: object) -> bool:
    return bool(_SIZE.fullmatch(str(value)))


def _is_url(value: object) -> bool:
    try:
        parts = urlsplit(str(value))
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_ENDINGS: dict[str, tuple[Callable[[object], bool], str]] = {
    "_address": (_is_address, "an IP address"),
    "_network": (_is_network, "a network, such as 192.0.2.0/24"),
    "_port": (_is_port, f"a port (1 to {LARGEST_PORT})"),
    "_url": (_is_url, "a URL that starts with https:// or http://"),
    "_per_second": (lambda value: _is_number(value, 1), "a number, 1 or more"),
    **dict.fromkeys(
        ("_memory", "_size", "_max_use", "_shared_buffers"), (_is_size, "a size, such as 256M, 1G or 128MB")
    ),
    **dict.fromkeys(
        ("_seconds", "_minutes", "_hours", "_days", "_ms", "_percent", "_keep"),
        (lambda value: _is_number(value, 0), "a number, 0 or more"),
    ),
}

_NAMED: dict[str, Callable[[str, Any], Iterator[str]]] = {
    "base_forward_to": _forwards,
    "environment_proxy_except": _proxy_exceptions,
    "environment_proxy_url": _proxy,
    "pgbackrest_second": _second_place,
}
