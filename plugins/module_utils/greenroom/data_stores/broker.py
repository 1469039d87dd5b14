# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""RabbitMQ's vhost, queues and logins: compute the definitions that are missing or differ.

Each queue has an exchange of the same name. Jobs that can't be done go through the exchange `<queue>.dead` to the
dead-letter queue of that name. Settings that may change later (limits, dead-letter exchange) are in a policy, because
a queue's own arguments can't change. A login has no configure permission: it can only publish to exchanges and consume
queues that the catalog names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

Definitions = dict[str, list[dict[str, Any]]]

HASHING = "rabbit_password_hashing_sha256"
SALT = 4
# The keys that identify a definition of each kind, in import order.
KEYS: dict[str, tuple[str, ...]] = {
    "vhosts": ("name",),
    "users": ("name",),
    "permissions": ("user", "vhost"),
    "exchanges": ("name", "vhost"),
    "queues": ("name", "vhost"),
    "bindings": ("source", "destination", "vhost"),
    "policies": ("name", "vhost"),
}


def queues(catalogue: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return all queues of the catalog, {queue: {delivery_limit: int}}."""
    return {name: dict(queue) for service in catalogue.values() for name, queue in service["queues"].items()}


def broker_url(
    name: str, slot: str, password: str, ca_file: str, *, host: str = "localhost", port: int = 5671, vhost: str = "/"
) -> str:
    """Return the broker's URL for the login `name` of `slot`. Clients verify the certificate with `ca_file`."""
    login = f"{quote(f'{name}_{slot}', safe='')}:{quote(password, safe='')}"
    return f"amqps://{login}@{host}:{port}/{quote(vhost, safe='')}?cafile={ca_file}"


def desired(
    catalogue: Mapping[str, Mapping[str, Any]],
    secrets_values: Mapping[str, Mapping[str, Any]],
    slots: Iterable[str],
    vhost: str,
    kept: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the desired state: {vhost, queues, logins, passwords, kept}.

    `queues` = {name: {delivery_limit}}, `logins` = {login: {write, read}}, `passwords` = {login: password}. It has
    only the logins of `slots`, so that the logins of the live slot can stay unchanged. Those of `kept` slots, listed in
    `kept`, are only created if they are missing, as on a new server. `write` are the queues that the login's services
    publish to, `read` the queues that they consume.
    """
    logins: dict[str, dict[str, list[str]]] = {}
    passwords: dict[str, str] = {}
    only_missing = list(kept)
    for slot in (*slots, *only_missing):
        for service in catalogue.values():
            for secret in service["secrets"].values():
                if secret["kind"] == "broker":
                    login = f"{secret['name']}_{slot}"
                    passwords[login] = secrets_values[f"{secret['owner']}/broker/{slot}"]["password"]
                    rights = logins.setdefault(login, {"write": [], "read": []})
                    rights["write"] = sorted({*rights["write"], *service["publishes"]})
                    rights["read"] = sorted({*rights["read"], *service["queues"]})
    names = [login for login in logins if login.rpartition("_")[2] in only_missing]
    return {"vhost": vhost, "queues": queues(catalogue), "logins": logins, "passwords": passwords, "kept": names}


def password_hash(password: str, salt: bytes | None = None) -> str:
    """Return RabbitMQ's hash of a password: the base64 of a 4-byte salt and the SHA-256 of salt and password."""
    salt = os.urandom(SALT) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def matches(stored: str, password: str) -> bool:
    """Return whether `stored` is a hash of `password`."""
    try:
        salt = base64.b64decode(stored, validate=True)[:SALT]
    except ValueError:
        return False
    return hmac.compare_digest(password_hash(password, salt), stored)


def plan(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> Definitions:
    """Return the definitions that are missing or differ, by kind; empty if there are none.

    `wanted` is the result of `desired`, `current` the broker's export. Definitions that are not wanted stay.
    """
    result: Definitions = {}
    for kind, definition in _definitions(wanted):
        found = _find(kind, definition, current)
        if _stays(kind, definition, wanted, current):
            continue
        if kind == "users":
            password = definition.pop("password")
            known = found is not None and found.get("hashing_algorithm") == HASHING
            kept = found["password_hash"] if found and known else ""
            definition["password_hash"] = kept if matches(kept, password) else password_hash(password)
        if found is None or any(found.get(key) != value for key, value in definition.items()):
            result.setdefault(kind, []).append(definition)
    return result


def _stays(kind: str, definition: Mapping[str, Any], wanted: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Return whether a definition is of a login that exists and that only another run may change."""
    login = {"users": definition.get("name"), "permissions": definition.get("user")}.get(kind)
    return login in wanted.get("kept", ()) and any(user["name"] == login for user in current.get("users", ()))


def strangers(current: Mapping[str, Any]) -> list[str]:
    """Return the broker's default users, whose password is public."""
    return [user["name"] for user in current.get("users", []) if user["name"] == "guest"]


def lines(definitions: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[str]:
    """Return each definition as one line, `<kind> <name>`, without secrets."""
    return [f"{kind} {_name(kind, item)}" for kind in KEYS for item in definitions.get(kind, ())]


def _name(kind: str, item: Mapping[str, Any]) -> str:
    return " ".join(str(item[key]) for key in KEYS[kind] if key != "vhost")


def _find(kind: str, definition: Mapping[str, Any], current: Mapping[str, Any]) -> Mapping[str, Any] | None:
    keys = KEYS[kind]
    same = (item for item in current.get(kind, ()) if all(item.get(key) == definition[key] for key in keys))
    return next(same, None)


def _pattern(names: Iterable[str]) -> str:
    """Return a regular expression for exactly these names; without names, one that matches only the empty name."""
    text = "|".join(re.escape(name) for name in names)
    return f"^({text})$" if text else "^$"


def _definitions(wanted: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    vhost = wanted["vhost"]
    here = {"vhost": vhost}
    yield "vhosts", {"name": vhost}
    for login, rights in wanted["logins"].items():
        yield "users", {"name": login, "password": wanted["passwords"][login], "hashing_algorithm": HASHING, "tags": []}
        write, read = _pattern(rights["write"]), _pattern(rights["read"])
        yield "permissions", {"user": login, "configure": "^$", "write": write, "read": read} | here
    for queue, options in wanted["queues"].items():
        dead = f"{queue}.dead"
        for name in (queue, dead):
            lasting = {"name": name, "durable": True, "auto_delete": False} | here
            yield "exchanges", lasting | {"type": "fanout", "arguments": {}}
            yield "queues", lasting | {"arguments": {"x-queue-type": "quorum"}}
            yield (
                "bindings",
                {"source": name, "destination": name, "destination_type": "queue", "routing_key": "", "arguments": {}}
                | here,
            )
        yield (
            "policies",
            {
                "name": queue,
                "pattern": _pattern([queue]),
                "apply-to": "quorum_queues",
                "priority": 0,
                "definition": {
                    "delivery-limit": options["delivery_limit"],
                    "dead-letter-exchange": dead,
                    # Keeps a job until the dead-letter queue has it. Requires that a full queue rejects new jobs.
                    "dead-letter-strategy": "at-least-once",
                    "overflow": "reject-publish",
                },
            }
            | here,
        )
