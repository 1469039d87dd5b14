# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Where services, releases and providers are: in the checkout, or in folders elsewhere, such as git checkouts."""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Mapping
from pathlib import Path

DEFAULTS = {"services_path": "services", "releases_path": "releases", "providers_path": "providers"}
# Ansible doesn't read files with this ending as inventories.
FILE = "greenroom.cfg"
SECTION = "greenroom"


class PlaceError(Exception):
    """What is wrong with a path, and where it is set."""


def of_inventories(inventories: Iterable[str]) -> dict[str, str]:
    """Return the paths that the files `greenroom.cfg` beside the inventories' hosts set, as absolute ones.

    Raises PlaceError.
    """
    found: dict[str, str] = {}
    for inventory in inventories:
        folder = Path(inventory) if Path(inventory).is_dir() else Path(inventory).parent
        file = folder / FILE
        if not file.is_file():
            continue
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise PlaceError(f"{file}: can't be read: {error}") from error
        given = parser[SECTION] if parser.has_section(SECTION) else {}
        if unknown := [*(set(given) - set(DEFAULTS)), *(set(parser.sections()) - {SECTION})]:
            raise PlaceError(f"{file}: unknown: {unknown[0]}; it has [{SECTION}] with {', '.join(DEFAULTS)}")
        found |= {key: _folder(str(folder.resolve() / value), f"{file}: {key}") for key, value in given.items()}
    return found


def places(
    project: Path, environment: Mapping[str, str], shared: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """Return the path for each key of DEFAULTS: from environment variables, an inventory, ansible.cfg, or the checkout.

    `own` is what of_inventories returns. Raises PlaceError.
    """
    found = {}
    for key, name in DEFAULTS.items():
        variable = f"GREENROOM_{name.upper()}"
        if given := environment.get(variable):
            found[key] = _folder(str(Path(given).absolute()), variable)
        elif key in own:
            found[key] = own[key]
        elif given := shared.get(key):
            found[key] = _folder(given, f"ansible.cfg: {key}")
        else:
            found[key] = str(project / name)
    return found


def _folder(path: str, where: str) -> str:
    """Return a path; a run without services would remove them all. Raises PlaceError."""
    if not Path(path).is_dir():
        raise PlaceError(f"{where}: there is no folder {path}")
    return path
