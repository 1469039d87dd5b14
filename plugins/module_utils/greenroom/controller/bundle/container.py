# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""How a service's containers run: the options that its unit, its one-time commands and Podman's module get."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..catalogue.container_user import IDS, first_id, groups, in_namespace, user_and_group
from .description import Service


def container(service: Service, sizes: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Return the options of a service's containers; those that are empty are Podman's default.

    `sizes` = {service: {memory, cpus}} replaces sizes (`environment_sizes`). The result is {user, group, ids: what
    --uidmap and --gidmap take, groups, entrypoint: the program alone, arguments: those that come before the command's,
    capabilities, tmpfs: {path: options}, shm, ulimits, memory, cpus: text, cpu_percent: number}.
    """
    own = (sizes or {}).get(service["name"]) or {}
    user, group = user_and_group(service)
    cpus = own.get("cpus") or service["cpus"]
    return {
        "user": user,
        "group": group,
        "ids": [f"0:{first_id(service)}:{IDS}"] if in_namespace(service) else [],
        "groups": groups(service),
        "entrypoint": "".join(service["entrypoint"][:1]),
        "arguments": service["entrypoint"][1:],
        "capabilities": service["capabilities"],
        # Files that the image has there are copied. Its owner is the container's user.
        "tmpfs": {path: f"size={size.lower()},mode=0700,U" for path, size in service["writable"].items()},
        "shm": (service["shm"] or "").lower(),
        "ulimits": [f"{name}={_both(limit)}" for name, limit in service["ulimits"].items()],
        "memory": own.get("memory") or service["memory"],
        "cpus": f"{float(cpus):g}" if cpus else "",
        "cpu_percent": max(1, round(float(cpus) * 100)) if cpus else 0,
    }


def fit_options(services: Iterable[Service], images: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the options of `image_fit` for the services of a host; `images` = {image: reference}."""
    return [
        {
            "name": service["name"],
            "image": images[service["image"]],
            "user": str(service["user"]),
            "user_given": service["user_given"],
            "starts": bool(service["entrypoint"] or service["command"]),
            "ports": sorted(port["container"] for port in service["ports"].values()),
            "mounted": sorted(
                filter(
                    None,
                    [
                        *service["writable"],
                        service["config_path"],
                        *(each["path"] for each in service["volumes"].values()),
                    ],
                )
            ),
        }
        for service in services
    ]


def _both(limit: object) -> str:
    """Return a limit as soft:hard."""
    return str(limit) if ":" in str(limit) else f"{limit}:{limit}"
