# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The host names of routes, which may be templates: what they are in this environment, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..catalogue.closed_paths import OWN
from ..catalogue.route_schema import HOST, HOST_NAME, REDIRECT_TARGET

_NAME = re.compile(rf"{HOST_NAME}")
_TARGET = re.compile(REDIRECT_TARGET["pattern"])
KEYS = ("routes", "redirects", "tcp_routes")
Services = Mapping[str, Mapping[str, Any]]


class Names:
    """Services that fit the schema, with the host names of their routes as they are here (`services`).

    `lines` says what is wrong with those. `render` renders a value, `value` returns a variable.
    """

    def __init__(self, given: Services, render: Callable[[Any], Any], value: Callable[[str], Any]) -> None:
        own_names = value("edge_public_names") or [value("environment_public_name")]
        self.services, self.lines = rendered(given, render, own_names)

    def without_ca(self, variables: Mapping[str, Any]) -> Iterator[str]:
        """Yield a line for each route that needs client certificates, if the environment has no CA for them."""
        return certificate_problems(self.services, variables)


def rendered(
    services: Services, render: Callable[[Any], Any], own_names: Collection[str]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return services that fit the schema with their routes' names and targets as they are here, and what is wrong.

    `render` renders a value; it raises ValueError with a reason. Names in `own_names` become OWN.
    """
    lines: list[str] = []

    def name(service: Mapping[str, Any], where: str, host: Any) -> str:
        found = str(_value(service, where, host))
        if found and not _NAME.fullmatch(found):
            lines.append(f'{_file(service)}: {where}: "{found}" is not {HOST["description"]}')
        return OWN if found in own_names else found

    def target(service: Mapping[str, Any], where: str, value: Any) -> str:
        found = str(_value(service, where, value))
        if found and not _TARGET.match(found):
            lines.append(f'{_file(service)}: {where}: "{found}" is not {REDIRECT_TARGET["description"]}')
        return found

    def _value(service: Mapping[str, Any], where: str, value: Any) -> Any:
        try:
            return render(value)
        except ValueError as error:
            lines.append(f"{_file(service)}: {where}: {error}")
            return ""

    def route(service: Mapping[str, Any], where: str, each: Mapping[str, Any]) -> dict[str, Any]:
        known = {"hosts": [name(service, f"{where}.host", host) for host in each["hosts"]]}
        return {**each, **known, **({"to": target(service, f"{where}.to", each["to"])} if "to" in each else {})}

    found = {
        key: {
            **service,
            **{kind: [route(service, f"{kind}[{i}]", each) for i, each in enumerate(service[kind])] for kind in KEYS},
        }
        for key, service in services.items()
    }
    return found, lines


def certificate_problems(services: Services, variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each route that needs client certificates, if the environment has no CA for them."""
    if variables.get("edge_client_ca"):
        return
    for service in services.values():
        for index, route in enumerate(service["routes"]):
            if route["client_certificate"]:
                yield (f"{_file(service)}: routes[{index}].client_certificate: no client has one; set edge_client_ca")


def _file(service: Mapping[str, Any]) -> str:
    folder = Path(service["folder"])
    return f"{folder.parent.name}/{folder.name}/service.yml"
