# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""RabbitMQ on a host: version, virtual hosts, users, policies, exchanges and queues; never a password's hash."""

from __future__ import annotations

import json
from typing import Any

from .reading import Items, has, needs_root, output

_NAMES = {
    "users": ("name",),
    "vhosts": ("name",),
    "permissions": ("vhost", "user"),
    "topic_permissions": ("vhost", "user", "exchange"),
    "policies": ("vhost", "name"),
    "queues": ("vhost", "name"),
    "exchanges": ("vhost", "name"),
    "bindings": ("vhost", "source", "destination", "routing_key"),
    "parameters": ("vhost", "component", "name"),
    "global_parameters": ("name",),
}
"""{part of the definitions: what tells its entries apart}."""
_LEFT_OUT = {"password_hash", "hashing_algorithm", "metadata"}
# Made up when the cluster was.
_IDENTITIES = {"internal_cluster_id", "cluster_name", "cluster_tags"}


def broker() -> Items:
    """Yield what RabbitMQ's definitions say."""
    if not has("rabbitmqctl"):
        return
    needs_root()
    definitions: dict[str, Any] = json.loads(output("rabbitmqctl", "--quiet", "export_definitions", "-"))
    yield "version", definitions.get("rabbitmq_version", "")
    for part, names in _NAMES.items():
        for entry in definitions.get(part, []):
            name = " ".join(str(entry.get(key, "")) for key in names)
            if name not in _IDENTITIES:
                yield (
                    f"{part.replace('_', ' ')}: {name}",
                    {key: value for key, value in entry.items() if key not in _LEFT_OUT},
                )
