# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Whether the release in a slot would start again on the present database schema.

A release that runs goes on when a later one migrates the databases. But many programs refuse to start on a schema that
is newer than their own, so a slot with such a release is a way back only as long as it runs. Each app host has a record
of each slot, beside its bundle: {schema_of: slot, heads: {database: rows}, starts, reason}. `heads` are the results of
the services' queries of that name when the release was last started; `starts` is whether it became ready.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...switch.bluegreen import SLOTS
from .activation import first_host
from .description import Description, Groups, Service, facts
from .health_checks import health_check
from .units import slot_services, unit_name

Record = Mapping[str, Any]
Heads = Mapping[str, Any]


def schemas(texts: Iterable[str]) -> dict[str, Record]:
    """Return {slot: record} from the local facts of hosts, one text per host.

    If hosts differ because a run died, a record that says that the release would not start counts.
    """
    found: dict[str, Record] = {}
    for text in texts:
        for fact in facts(text):
            slot = fact.get("schema_of")
            if slot in SLOTS and {"heads", "starts"} <= set(fact) and (slot not in found or not fact["starts"]):
                found[slot] = fact
    return found


def not_starting(records: Mapping[str, Record]) -> dict[str, str]:
    """Return the slots whose release would not start again, {slot: reason}. An empty record is none."""
    return {slot: str(found["reason"]) for slot, found in records.items() if found and not found["starts"]}


def warning(records: Mapping[str, Record], slot: str, bundles: Mapping[str, Description]) -> str:
    """Return what an operator must know about a slot whose release would not start again."""
    release = bundles.get(slot, {}).get("release", "unknown")
    return (
        f"Release {release} in {slot} does not start on the present database schema ({not_starting(records)[slot]}). "
        f"A rollback to it works as long as {slot} keeps running; after a stop or a restart it does not."
    )


def untried(record: Record | None, heads: Heads) -> list[str]:
    """Return the databases whose schema the release of a slot has not been started on; `heads` are the present ones."""
    known = record["heads"] if record and record["starts"] else {}
    return sorted(database for database, rows in heads.items() if known.get(database) != rows)


def trials(
    description: Description, databases: Sequence[str], host: str, groups: Groups, public_name: str
) -> list[dict[str, Any]]:
    """Return the containers of a slot that `slot_trial` starts on `host` to try its release on these databases.

    They are those of all services that log in to one of the databases and have a health check. Each is tried on the
    first host of its group. Background services are not tried, because a second one would do their jobs.
    """
    return [
        {
            "name": unit_name(service["name"], description["slot"]).removesuffix(".service"),
            "image": description["images"][service["image"]],
            **health_check(
                service["health"],
                public_name,
                {name: port["container"] for name, port in service["ports"].items()},
            ),
        }
        for service in slot_services(description, host, groups)
        if service["activation"] == "always"
        and service["health"]
        and _logs_in(service, databases)
        and first_host(description, service, groups) == host
    ]


def _logs_in(service: Service, databases: Sequence[str]) -> bool:
    return any(secret["kind"] == "login" and secret["name"] in databases for secret in service["secrets"].values())


def record(slot: str, heads: Heads, tried: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the record of a slot after a start on `heads`, from the results of `slot_trial` on all hosts.

    Without results, the whole slot was started. The record is empty if the trial could not tell whether it starts.
    """
    results = list(tried)
    refused = "; ".join(f"{result['name']} {result['reason']}" for result in results if result["starts"] is False)
    if not refused and any(result["starts"] is None for result in results):
        return {}
    return {"schema_of": slot, "heads": dict(heads), "starts": not refused, "reason": refused}


def record_files(found: Record, folder: str) -> list[dict[str, str]]:
    """Return the file with a slot's record for `template_tree`; none for an empty record or without any database."""
    if not found.get("heads"):
        return []
    content = json.dumps(found, sort_keys=True, default=str)
    return [{"dest": f"{folder}.schema", "content": f"{content}\n", "mode": "0600"}]


def down(result: Mapping[str, Any]) -> list[str]:
    """Return the units that don't run, from the result of `systemctl is-active <unit>...` on a host."""
    return [unit for unit, state in _states(result).items() if state != "active"]


def down_everywhere(hostvars: Mapping[str, Mapping[str, Any]], task: str, hosts: Iterable[str]) -> list[str]:
    """Return the units that run on none of `hosts`, from the results of `systemctl is-active` registered as `task`."""
    states = [_states(hostvars[host].get(task) or {}) for host in hosts]
    running = {unit for of_host in states for unit, state in of_host.items() if state == "active"}
    return sorted({unit for of_host in states for unit in of_host} - running)


def _states(result: Mapping[str, Any]) -> dict[str, str]:
    # systemctl writes one line for each unit, in their order.
    units = list(result.get("cmd") or [])[2:]
    return dict(zip(units, [*result.get("stdout_lines", []), *[""] * len(units)], strict=False))
