# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ops hosts back up a database that hosts find by DNS, and files without any database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
NOTHING = {"database_address": "", "database_admin": "", "catalogue": {}, "edge_visitors_only": False}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, False),
        ({"database_address": "192.0.2.50"}, True),
        ({"database_admin": "greenroom"}, True),
        ({"catalogue": {"shop": {"database": "shop", "identities": None}}}, True),
    ],
)
def test_the_login_of_the_backup_has_a_password_if_there_is_a_database(given: dict[str, Any], wanted: bool) -> None:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    names = {"databases": lambda catalogue: [each["database"] for each in catalogue.values()], "bool": bool}
    environment.filters |= names
    defaults = yaml.safe_load((ROLES / "secrets/defaults/main.yml").read_text())
    found = environment.from_string(defaults["secrets_environment_values"]).render(NOTHING | given)
    assert ("'backup'" in found) == wanted


def test_a_backup_of_files_alone_has_no_password() -> None:
    template = (ROLES / "backup/templates/etc/greenroom/backup/pgpass.j2").read_text()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    assert environment.from_string(template).render(secrets_values={}) == "*:*:*:backup:"
