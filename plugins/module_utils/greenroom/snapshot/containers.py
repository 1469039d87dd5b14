# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Containers: image, user, limits, mounts. Of the environment only the names, because values may be secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .reading import Items, needs_root, output
from .units import momentary

_OWN_NAMES = {"HOSTNAME", "HOME", "container", "PATH", "TERM"}


def containers(program: str = "podman") -> Items:
    """Yield each container that runs, apart from those of jobs."""
    needs_root()
    names = output(program, "ps", "--format", "{{.Names}}").split()
    if not names:
        return
    all_of_them = json.loads(output(program, "inspect", "--type", "container", *names))
    units = {
        found["Name"]: (found["Config"].get("Labels") or {}).get("PODMAN_SYSTEMD_UNIT", "") for found in all_of_them
    }
    passing = momentary(sorted({unit for unit in units.values() if unit}))
    for found in all_of_them:
        if units[found["Name"]] in passing:
            continue
        yield str(found["Name"]).lstrip("/"), _container(found)


def _container(found: Mapping[str, Any]) -> dict[str, Any]:
    config, host = found["Config"], found["HostConfig"]
    digest = found.get("ImageDigest") or found.get("Image") or ""
    return {
        "image": str(found.get("ImageName") or config.get("Image") or "").partition("@")[0],
        "digest": str(digest),
        "user": config.get("User") or "",
        "entrypoint": config.get("Entrypoint") or [],
        "command": config.get("Cmd") or [],
        "environment": sorted({entry.partition("=")[0] for entry in config.get("Env") or []} - _OWN_NAMES),
        "read-only": bool(host.get("ReadonlyRootfs")),
        "privileged": bool(host.get("Privileged")),
        "capabilities added": sorted(host.get("CapAdd") or []),
        "capabilities dropped": sorted(host.get("CapDrop") or []),
        "security options": sorted(host.get("SecurityOpt") or []),
        "network": host.get("NetworkMode") or "",
        "memory in bytes": host.get("Memory") or 0,
        "processors": (host.get("NanoCpus") or 0) / 10**9 or round((host.get("CpuQuota") or 0) / 100_000, 3),
        "processes": host.get("PidsLimit") or 0,
        "restart": (host.get("RestartPolicy") or {}).get("Name") or "",
        "ports": sorted(_ports(host.get("PortBindings") or {})),
        "mounts": sorted(
            f"{one.get('Source') or one.get('Type')} on {one.get('Destination')} ({'rw' if one.get('RW') else 'ro'})"
            for one in found.get("Mounts") or []
        ),
        "log driver": (host.get("LogConfig") or {}).get("Type") or "",
    }


def _ports(bindings: Mapping[str, Any]) -> list[str]:
    return [
        f"{one.get('HostIp') or '*'}:{one.get('HostPort')} to {inner}"
        for inner, ones in bindings.items()
        for one in ones or []
    ]
