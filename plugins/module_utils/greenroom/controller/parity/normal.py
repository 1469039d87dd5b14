# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What two environments call by different names is called by the same one: domains, addresses, hosts, slots."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ...switch.bluegreen import SLOTS
from .document import Document

LIVE = "<slot>"
SELF = "<this host>"
# What stands in lists and names and has nothing to be compared with: the idle slot, hosts that the other side lacks.
_NOTHING = "<not compared>"
_SUBNET = "[Network] | Subnet"
_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
# In a set of a firewall rule, only that element is left out.
_IN_SET = re.compile(rf"(?<=\{{ ){_NOTHING}, |, {_NOTHING}(?=[,; ])")


class Normal:
    """Makes the values of one document comparable.

    `ranks` = {host: its name in the comparison, such as `app 1`}; `shared` are the ranks that both documents have.
    Entries about other hosts are left out, because the difference in topology is a finding of its own.
    """

    def __init__(self, found: Document, other: Document, ranks: Mapping[str, str], shared: Collection[str]) -> None:
        # The firewall of each environment refuses the network of the other one.
        self._replaced = {text: f"<other {name}>" for name, texts in other["names"].items() for text in texts}
        self._replaced |= {text: f"<{name}>" for name, texts in found["names"].items() for text in texts}
        for name, host in found["hosts"].items():
            self._replaced |= {text: f"<{ranks[name]}>" for text in (name, host["address"]) if text}
        self._alone = [f"<{rank}>" for rank in ranks.values() if rank not in shared]
        if slot := live(found):
            self._replaced |= {one: LIVE if one == slot else _NOTHING for one in SLOTS}
            self._replaced |= _bundles(found, slot) | _places((found, other), slot)
        # The longest first: 198.51.100.0/24 before 198.51.100.0.
        choices = "|".join(re.escape(text) for text in sorted(self._replaced, key=len, reverse=True))
        # Addresses that belong to no host, such as the controller's, begin like the network.
        begins = {begin: f"<{name}>." for name, texts in found["names"].items() for begin in _begins(texts)}
        self._replaced |= begins
        inside = "|".join(re.escape(begin) for begin in begins) or "(?!)"
        self._pattern = re.compile(rf"(?<![A-Za-z0-9])(?:(?:{choices})(?![A-Za-z0-9])|(?:{inside})(?=[0-9]))")
        self._known: dict[str, str] = {}

    def text(self, said: str, rank: str) -> str:
        """Return a text of the host with this rank. Most texts are the same on many hosts: each is searched once."""
        if said not in self._known:
            # Hardware addresses are made up; which container has which is told by the comment or the file.
            replaced = self._pattern.sub(lambda match: self._replaced[match[0]], said)
            self._known[said] = _IN_SET.sub("", _MAC.sub("<MAC>", replaced))
        named = self._known[said].replace(f"<{rank}>", SELF)
        return _NOTHING if any(other in named for other in self._alone) else named

    def value(self, value: Any, rank: str) -> Any:
        """Return a value with common names."""
        if isinstance(value, str):
            return self.text(value, rank)
        if isinstance(value, list):
            return [one for one in (self.value(each, rank) for each in value) if not _nothing(one)]
        if isinstance(value, dict):
            named = {self.text(name, rank): self.value(inner, rank) for name, inner in value.items()}
            return {name: inner for name, inner in named.items() if not (_nothing(name) or _nothing(inner))}
        return value


def _nothing(value: Any) -> bool:
    return isinstance(value, str) and _NOTHING in value


def _bundles(found: Document, slot: str) -> dict[str, str]:
    """Return what stands for the IDs of bundles, which count the environment's own values, too."""
    said = [host["parts"].get("slots", {}).get("items", {}) for host in found["hosts"].values()]
    ids = {(items[item], item) for items in said for item in items if item.startswith("bundle of ") and items[item]}
    live_ones = {one for one, item in ids if item == f"bundle of {slot}"}
    return {one: "<bundle>" if one in live_ones else _NOTHING for one, _item in ids}


def _places(documents: Iterable[Document], slot: str) -> dict[str, str]:
    """Return what stands for the ports and the networks of containers: each slot has its own.

    Both documents are asked, because an idle slot may be empty; its ports are in rules nevertheless.
    """
    found = {}
    for host in (host for document in documents for host in document["hosts"].values()):
        for name, container in host["parts"].get("containers", {}).get("items", {}).items():
            # Such as `0.0.0.0:14433 to 4433/tcp`.
            for published in container.get("ports", []) if (owner := _owner(name)) else []:
                outer, _to, inner = published.partition(" to ")
                said = f"<port {inner} of {name.replace(owner, LIVE)}>"
                found[outer.rpartition(":")[2]] = said if owner == slot else _NOTHING
        for path, file in host["parts"].get("files", {}).get("items", {}).items():
            for network in file.get("settings", {}).get(_SUBNET, []) if (owner := _owner(path)) else []:
                found[network] = f"<network of {LIVE}>" if owner == slot else _NOTHING
    # A short number may be anything.
    return {text: said for text, said in found.items() if len(text) > 3}


def _owner(name: str) -> str:
    """Return the slot that a name has in it, "" if it has none."""
    return next((slot for slot in SLOTS if re.search(rf"(?<![a-z]){slot}(?![a-z])", name)), "")


def _begins(texts: Collection[str]) -> list[str]:
    """Return `198.51.100.` for 198.51.100.0/24. Networks of other lengths than whole bytes have no such text."""
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            network = ipaddress.ip_network(text)
            if network.version == 4 and network.prefixlen in (8, 16, 24):
                parts = str(network.network_address).split(".")[: network.prefixlen // 8]
                found.append(".".join(parts) + ".")
    return found


def live(found: Document) -> str:
    """Return the live slot, as most edge hosts say; "" if none does."""
    said = [host["parts"].get("slots", {}).get("items", {}).get("live", "") for host in found["hosts"].values()]
    named = [slot for slot in said if slot in SLOTS]
    return max(SLOTS, key=named.count) if named else ""
