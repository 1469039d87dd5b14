# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Decide when to seed services' data again (records of the last seeding), and build the seeding commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

FOLDER = "/var/lib/greenroom/seed"
FILE_IN_CONTAINER = "/run/people.jsonl"


def records(
    services: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any], heads: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return one file {dest, content} for each service, with everything that its data depends on.

    `services` are the catalog's services with `seed`. `wanted` are their common settings {people, set, seed, volume,
    until}. `heads` are the query results {database: [rows]}; a database that was not queried is missing.
    """
    return [
        {
            "dest": f"{FOLDER}/data-{service['name']}.json",
            "content": _json({**_texts(wanted), "heads": heads.get(service["database"]) if service["heads"] else None}),
        }
        for service in services
    ]


def questions(services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the queries for `heads` of services: {database: query}."""
    return {service["database"]: service["heads"] for service in services if service["heads"]}


def settled(services: Iterable[Mapping[str, Any]], heads: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the results {database: [rows]} after the migrations that the candidate's start can't change.

    A service without `migrate` may migrate its database when it starts.
    """
    fixed = {service["database"] for service in services if service["heads"] and service["migrate"]}
    return {database: rows for database, rows in heads.items() if database in fixed}


def environment(wanted: Mapping[str, Any], state: str) -> dict[str, str]:
    """Return the environment variables of a service's seeding command. `state` is present or absent."""
    told = {key: value for key, value in _texts(wanted).items() if key != "people"}
    return {f"GREENROOM_SEED_{key.upper()}": value for key, value in {**told, "state": state}.items()}


def _texts(wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return the values as normalized strings (1, "1" and 1.0 are the same volume)."""
    return {key: f"{float(value):g}" if key == "volume" else str(value) for key, value in wanted.items()}


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str) + "\n"


def volumes(people_file: str | None) -> list[str]:
    """Return the volumes of a service's seeding command: the list of synthetic users, if there is one."""
    return [f"{people_file}:{FILE_IN_CONTAINER}:ro"] if people_file else []
