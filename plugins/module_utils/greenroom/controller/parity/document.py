# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The snapshot of an environment: a JSON document made of what its hosts said, and read again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema

from ...snapshot.reading import ALL

FORMAT = 1
"""Documents of another format can't be compared with this one."""
CLOCK_OFF = 120.0
"""Seconds. Hosts answer one after the other, so a smaller difference says nothing."""
CLIENTS = "what clients see"
"""Stands for a host: what clients see belongs to no host alone."""
SCHEMA = Path(__file__).with_name("snapshot.schema.json")

Document = dict[str, Any]


class DocumentError(Exception):
    """The document can't be used. The message says which, why, and what to do."""


def document(
    results: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    known: Mapping[str, Any],
    public: Mapping[str, Any],
    began: float,
) -> Document:
    """Return the document of an environment.

    `results` = {host: result of host_snapshot, or one with `unreachable` or `failed`}, `groups` = {group: its hosts},
    `known` = {environment, names: {what: [texts]}, addresses: {host: address}, sizes: {host: size}}, `public` the
    parts that clients see, none without a public name, `began` the controller's time when the hosts were asked.
    """
    now = time.time()
    grouped = {group: set(hosts) for group, hosts in groups.items() if group not in ("all", known["environment"])}
    return {
        "format": FORMAT,
        "environment": known["environment"],
        "taken": datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "names": {name: sorted({str(text) for text in texts if text}) for name, texts in known["names"].items()},
        "hosts": {
            host: {
                "groups": sorted(group for group, hosts in grouped.items() if host in hosts),
                "address": known["addresses"].get(host, ""),
                "size": known["sizes"].get(host, ""),
                **_host(result, began, now),
            }
            for host, result in results.items()
        }
        | (
            {CLIENTS: {"groups": ["public"], "address": "", "size": "", "silent": "", "parts": public}}
            if public
            else {}
        ),
    }


def _host(result: Mapping[str, Any], began: float, now: float) -> dict[str, Any]:
    if "parts" not in result:
        return {"silent": str(result.get("msg") or "it was not asked").strip().splitlines()[0][:300], "parts": {}}
    ahead = max(result["clock"] - now, result["clock"] - began, key=abs) if not began <= result["clock"] <= now else 0.0
    off = round(ahead) if abs(ahead) > CLOCK_OFF else 0
    return {"silent": "", "parts": result["parts"], "clock off by": off}


def write(folder: Path, found: Document) -> Path:
    """Write a document as `<environment>-<time>.json`, readable by its owner and group; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{found['environment']}-{found['taken'].replace(':', '').replace('-', '')}.json"
    path.touch(mode=0o640)
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def unread(found: Document) -> list[str]:
    """Return what could not be read, a line for each reason, with its hosts."""
    reasons: dict[str, list[str]] = {}
    for name, host in found["hosts"].items():
        for part, content in host["parts"].items():
            for item, reason in content["unread"].items():
                what = part if item == ALL else f"{part}: {item}"
                reasons.setdefault(f"{what}: {reason}", []).append(name)
    return [f"{reason} ({', '.join(hosts)})" for reason, hosts in reasons.items()]


def newest(folder: Path, wanted: str) -> Path:
    """Return the file that `wanted` means: a path, or an environment, whose newest snapshot is taken."""
    if not wanted:
        raise DocumentError("Say what to compare: -e parity_of=<environment or file> -e parity_with=<the other one>.")
    if "/" in wanted or wanted.endswith(".json"):
        return Path(wanted)
    found = sorted(path for path in folder.glob(f"{wanted}-*.json") if path.stem.rpartition("-")[0] == wanted)
    if not found:
        raise DocumentError(f"There is no snapshot of {wanted} in {folder}. Take one: playbooks/snapshot.yml.")
    return found[-1]


def read(path: Path) -> Document:
    """Return a checked document. Raises DocumentError."""
    try:
        found: Document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DocumentError(f"{path}: {error.strerror}. Take a snapshot: playbooks/snapshot.yml.") from error
    except ValueError as error:
        raise DocumentError(f"{path} is no snapshot, or only a part of one: {error}. Take it again.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        said = found.get("format") if isinstance(found, dict) else None
        raise DocumentError(f"{path} has format {said}, and this version compares format {FORMAT}. Take it again.")
    try:
        jsonschema.validate(found, json.loads(SCHEMA.read_text(encoding="utf-8")))
    except jsonschema.ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_path) or "the document"
        raise DocumentError(f"{path}: {where}: {error.message[:200]}. Take the snapshot again.") from error
    return found
