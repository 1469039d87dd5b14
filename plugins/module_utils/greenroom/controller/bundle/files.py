# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The files of a bundle: configuration, units and environments of its services, and the mounts of containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..catalogue.container_user import owner
from ..catalogue.volumes import mounts as volume_mounts
from .description import Service

QUADLET_FOLDER = "/etc/containers/systemd"
CA_FILE = "/etc/greenroom/ca.crt"
DATABASE_CA_FILE = "/etc/greenroom/database-ca.crt"


def trees(
    services: Iterable[Service], folder: str, slot: str, catalogue: Mapping[str, Service]
) -> list[dict[str, Any]]:
    """Return the template trees of a bundle: one for each service with configuration files.

    `services` run on the host, `folder` is the slot's folder there. The files come from the service's `config_of` in
    `catalogue`. Only the container's user can read them.
    """
    return [
        {
            "src": f"{catalogue[service['config_of']]['folder']}/config",
            "dest": f"{folder}/{service['name']}/config",
            "vars": {"slot": slot, "service": for_templates(service)},
            **owner(service),
        }
        for service in services
        if service["config_path"] and catalogue[service["config_of"]]["has_config"]
    ]


def files(services: Iterable[Service], folder: str, slot: str) -> list[dict[str, Any]]:
    """Return the single files of a bundle: the unit of each service, its environment and its secrets.

    Only the container's user can read a secret that is a file.
    """
    items: list[dict[str, Any]] = []
    for service in services:
        variables = {"service": for_templates(service), "slot": slot, "folder": folder, "job": None}
        items += [
            {
                "src": "service.container.j2",
                "dest": f"{QUADLET_FOLDER}/{service['name']}-{slot}.container",
                "vars": variables,
            },
            {
                "src": "environment.j2",
                "dest": f"{folder}/{service['name']}/environment",
                "vars": variables,
                "mode": "0600",
            },
            {
                "src": "secrets.j2",
                "dest": f"{folder}/{service['name']}/secrets",
                "vars": variables,
                "mode": "0600",
                "secret": True,
            },
            *(
                {
                    "src": "secret.j2",
                    "comment": "",
                    "dest": secret_file(service, folder, variable),
                    "vars": variables | {"variable": variable},
                    **owner(service),
                    "secret": True,
                }
                for variable, secret in service["secrets"].items()
                if secret.get("file")
            ),
        ]
    return items


def volumes(service: Service, folder: str, database_ca: str = "") -> list[str]:
    """Return the mounts of a service's container, as `source:destination:options`; the folder's name is the slot's.

    With `database_ca`, the database has another CA, which those need that log in there.
    """
    mounts = [f"{CA_FILE}:{CA_FILE}:ro"]
    if database_ca and any(secret["kind"] == "login" for secret in service["secrets"].values()):
        mounts.append(f"{DATABASE_CA_FILE}:{DATABASE_CA_FILE}:ro")
    if service["config_path"]:
        mounts.append(f"{folder}/{service['name']}/config:{service['config_path']}:ro")
    for variable, secret in service["secrets"].items():
        if secret.get("file"):
            mounts.append(f"{secret_file(service, folder, variable)}:{secret['file']}:ro")
    return [*mounts, *volume_mounts(service, folder.rpartition("/")[2])]


def secret_file(service: Service, folder: str, variable: str) -> str:
    """Return where a host has a secret that its container gets as a file."""
    return f"{folder}/{service['name']}/secret-files/{variable}"


def for_templates(service: Service) -> dict[str, Any]:
    """Return the service without its checks: only a smoke check can render their templates."""
    return {key: value for key, value in service.items() if key != "checks"}
