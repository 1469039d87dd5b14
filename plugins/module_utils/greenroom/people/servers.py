# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The identity servers that modules can ask, by the value of their option `server`."""

from __future__ import annotations

from .keycloak import Keycloak
from .kratos import Kratos
from .scim import Scim
from .server import Server

SERVERS: dict[str, type[Server]] = {"kratos": Kratos, "keycloak": Keycloak, "scim": Scim}
