# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a canary's interval brings, for tests of a step: results of modules, bundles, limits."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible.module_utils.greenroom.canary import figures
from ansible.module_utils.greenroom.canary.limits import Limits

from bench.canary import simulate

# The role's defaults.
LIMITS = Limits(**dataclasses.asdict(simulate.LIMITS))
PLAN = {"slot": "green", "weight": 5, "began": 1000.0, "seconds": 60.0, "interval": 15.0}
HOSTS = [{"name": "app1", "address": "198.18.10.21"}, {"name": "app2", "address": "198.18.10.22"}]


def counted(requests: int, failed: int = 0, route: str = "/") -> dict[str, Any]:
    """Figures of requests to one route."""
    result: dict[str, Any] = figures.empty()
    for number in range(requests):
        figures.note(result, route, 500 if number < failed else 200, 20)
    return result


def probed(**changes: Any) -> dict[str, Any]:
    """The result of canary_probe: both slots respond well, and there are no metrics pages."""
    probes = {"live": counted(100), "candidate": counted(100)}
    return {"probes": probes, "watched": {"live": [], "candidate": []}, "notes": [], "seconds": 15.2, **changes}


def traffic(blue: Any = None, green: Any = None, **changes: Any) -> dict[str, Any]:
    """The results of canary_traffic on one edge host."""
    slots = {"blue": blue or figures.empty(), "green": green or figures.empty()}
    found = {"slots": slots, "mark": {"place": "c7"}, "gaps": [], "waiting": {}, "seconds": 600.0, **changes}
    return {"edge1": found}


def bundle(slot: str, port: int, more: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A slot's description: the service `shop` with a metrics page, and `more` services by name."""
    shop = {
        "activation": "always",
        "metrics": {"port": "metrics", "path": "/metrics"},
        "ports": {"metrics": {"host": {slot: port}, "bind": "0.0.0.0"}},
        **changes,
    }
    services = {
        name: {"name": name, "group": "app", "metrics": None, "ports": {}, **service}
        for name, service in {"shop": shop, **(more or {})}.items()
    }
    return {"slot": slot, "release": "1.0", "hosts": {"app": HOSTS}, "services": services}
