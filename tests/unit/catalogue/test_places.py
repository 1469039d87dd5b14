# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Where services and releases are: variables win over the inventory's file, which wins over ansible.cfg."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.greenroom.controller.catalogue.places import PlaceError, of_inventories, places


def made(folder: Path, *names: str) -> list[str]:
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return [str(folder / name) for name in names]


def test_the_nearest_setting_wins(tmp_path: Path) -> None:
    variable, own, shared = made(tmp_path, "variable", "own", "shared")
    usual = {f"{name}_path": str(tmp_path / name) for name in ("services", "releases", "providers")}
    assert places(tmp_path, {}, {}, {}) == usual
    assert places(tmp_path, {}, {"services_path": shared}, {}) == usual | {"services_path": shared}
    inventory = usual | {"services_path": own, "releases_path": own}
    assert places(tmp_path, {}, {"services_path": shared}, inventory) == inventory
    given = {"GREENROOM_SERVICES": variable, "GREENROOM_RELEASES": ""}
    assert places(tmp_path, given, {}, inventory) == inventory | {"services_path": variable}


def test_an_inventory_names_folders_relative_to_itself(tmp_path: Path) -> None:
    services, inventory = made(tmp_path, "platform/services", "inventories/acme")
    (tmp_path / "inventories/acme/greenroom.cfg").write_text("[greenroom]\nservices_path = ../../platform/services\n")
    (tmp_path / "inventories/acme/hosts.yml").touch()
    for name in (inventory, f"{inventory}/hosts.yml"):
        (found,) = of_inventories([name]).values()
        assert Path(found).resolve() == Path(services)
    assert of_inventories([str(tmp_path)]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[greenroom]\nservices_path = nowhere\n", "services_path: there is no folder"),
        ("[greenroom]\nservice_path = .\n", "unknown: service_path; it has"),
        ("[green]\n", "unknown: green"),
        ("services_path = .\n", "can't be read"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "greenroom.cfg").write_text(text)
    with pytest.raises(PlaceError, match=message) as refused:
        of_inventories([str(tmp_path)])
    assert str(refused.value).startswith(f"{tmp_path}/greenroom.cfg: ")


def test_a_folder_that_is_not_there_is_no_empty_catalog(tmp_path: Path) -> None:
    """A run without any service would remove them all."""
    with pytest.raises(PlaceError, match="GREENROOM_SERVICES: there is no folder /nowhere"):
        places(tmp_path, {"GREENROOM_SERVICES": "/nowhere"}, {}, {})
