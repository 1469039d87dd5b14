# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Rules for secrets that nothing here generates, for secrets in files, and for databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .secret_schema import SECRET_KINDS

Service = Mapping[str, Any]
# What containers have at these paths already.
_TAKEN = {"/etc/greenroom": "Greenroom mounts the CA there", "/run/people.jsonl": "a seed command gets users there"}
# The first part of the paths of the environment's own secrets.
_OWN = "environment"


def given_problems(variable: str, secret: Mapping[str, Any], catalogue: Mapping[str, Service]) -> Iterator[str]:
    """Yield why a given secret can't be at its path: Greenroom generates the one that is there."""
    path = str(secret["name"])
    first, *rest = path.split("/")
    if first == _OWN:
        yield f'secrets.{variable}.given: "{path}" is among the environment\'s own secrets; choose another path'
    elif first in catalogue and rest and rest[0] in SECRET_KINDS:
        yield f'secrets.{variable}.given: "{path}" is the path of a generated secret of {first}; choose another path'


def file_problems(service: Service) -> Iterator[str]:
    """Yield why a secret can't be a file at its path."""
    files: dict[str, str] = {}
    for variable, secret in service["secrets"].items():
        path = secret.get("file")
        if path is None:
            continue
        where, config = f"secrets.{variable}.file", service["config_path"]
        if config and _inside(path, config):
            yield f"{where}: {path} is in `config_path`, which is read-only; choose another folder"
        for taken, why in _TAKEN.items():
            if _inside(path, taken):
                yield f"{where}: {path} is taken ({why}); choose another path"
        for other, its in files.items():
            if _inside(path, its) or _inside(its, path):
                yield f"{where}: {path} is in the way of the file of {other}; choose another path"
        files[variable] = path


def database_problems(service: Service) -> Iterator[str]:
    """Yield what is wrong with the databases of a service, as `<key>: <problem>`."""
    if service["extensions"] and not service["database"]:
        yield "extensions: they are of `database`, which is missing; name those of `databases` there"
    if service["database"] in service["databases"]:
        yield f'databases: "{service["database"]}" is also in `database`; remove one of them'


def _inside(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")
