# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The proxy through which hosts reach packages and registries."""

from __future__ import annotations

from collections.abc import Iterable

LOCAL = ("localhost", "127.0.0.1", "::1")


def variables(url: str, addresses: Iterable[str], domain: str, others: Iterable[str]) -> dict[str, str]:
    """Return the environment variables that programs read, {} without a proxy.

    `addresses` and `domain` are the environment's own, `others` what else needs no proxy.
    """
    if not url:
        return {}
    direct = ",".join(dict.fromkeys([*LOCAL, *map(str, addresses), f".{domain}", *map(str, others)]))
    found = {"http_proxy": url, "https_proxy": url, "no_proxy": direct}
    # Some programs read only the one or the other form.
    return found | {name.upper(): value for name, value in found.items()}


def apt_lines(url: str, others: Iterable[str]) -> list[str]:
    """Return the lines of apt's configuration, which names each host on its own: it knows no domains or networks."""
    hosts = [name for name in map(str, others) if not name.startswith(".") and "/" not in name]
    direct = [f'Acquire::{kind}::Proxy::{host} "DIRECT";' for host in hosts for kind in ("http", "https")]
    return [f'Acquire::http::Proxy "{url}";', f'Acquire::https::Proxy "{url}";', *direct]
