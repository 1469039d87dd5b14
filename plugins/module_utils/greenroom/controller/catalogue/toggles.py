# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""The feature toggles of services, and their values in an environment.

`given` is the variable `environment_toggles`, {toggle: value}; what it doesn't name has the service's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def toggle_values(catalogue: Mapping[str, Mapping[str, Any]], given: Mapping[str, bool] | None) -> dict[str, bool]:
    """Return {toggle: value} for the toggles of all services, sorted by name."""
    found = {
        name: bool((given or {}).get(name, toggle["default"]))
        for service in catalogue.values()
        for name, toggle in service["toggles"].items()
    }
    return dict(sorted(found.items()))


def toggle_variables(service: Mapping[str, Any], given: Mapping[str, bool] | None) -> dict[str, str]:
    """Return the environment variables of a service's container for its toggles: {variable: "true" or "false"}."""
    values = toggle_values({"": service}, given)
    return {toggle["variable"]: str(values[name]).lower() for name, toggle in service["toggles"].items()}
