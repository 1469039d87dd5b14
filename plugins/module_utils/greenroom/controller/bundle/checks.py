# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The checks of a slot that run on a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...common.masking import Mask
from ..catalogue.smoke_checks import check_hosts
from .activation import live_only
from .description import Description, Groups, Service
from .health_checks import health_check
from .units import unit_name


def ready_checks(services: Iterable[Service], slot: str, public_name: str) -> list[dict[str, Any]]:
    """Return the containers of services with a health check, for `slot_ready` on the services' host."""
    return [
        {
            "name": unit_name(service["name"], slot).removesuffix(".service"),
            **health_check(
                service["health"], public_name, {name: port["host"][slot] for name, port in service["ports"].items()}
            ),
        }
        for service in services
        if service["health"] and service["activation"] == "always"
    ]


def singleton_checks(live: Description, host: str, groups: Groups, public_name: str) -> list[dict[str, Any]]:
    """Return the containers of the live slot's singletons with a health check that run on `host`, for `slot_ready`."""
    services = live["services"]
    own = [services[name] for name in live_only(live, host, groups) if services[name]["activation"] == "singleton"]
    # `ready_checks` leaves out background services, which a candidate doesn't run.
    return ready_checks([{**service, "activation": "always"} for service in own], live["slot"], public_name)


def not_ready(results: Iterable[Mapping[str, Any]], secrets: Any) -> str:
    """Return which containers are not ready and why, with their last log lines, "" if all are.

    `results` are the `containers` that `slot_ready` returns. `secrets` are the run's secrets, at any depth, which the
    text doesn't contain; without any, a run that doesn't read them leaves the log lines out.
    """
    failed = [result for result in results if not result["ready"]]
    if not secrets:
        return "\n".join(
            f"{result['unit']}: {result['reason']}; journalctl -u {result['unit']} on this host says more"
            for result in failed
        )
    lines = [": ".join(filter(None, (result["unit"], result["reason"], result["output"]))) for result in failed]
    for result in failed:
        lines += [f"The last lines of {result['unit']}:"]
        lines += [f"  {line}" for line in result["journal"] or ["(none)"]]
    return Mask(_texts(secrets)).clean("\n".join(lines))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (value, *value.split(","), *value.splitlines())
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def smoke_checks(
    checks_of_slot: Iterable[Mapping[str, Any]], host: str, groups: Groups, silent: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the checks of a slot that run on `host`: each runs on the first host of its group `on` that answers.

    Without that group, the app hosts take its place.
    """
    return [
        {key: value for key, value in check.items() if key != "on"}
        for check in checks_of_slot
        if [member for member in check_hosts(check["on"], groups) if member not in silent][:1] == [host]
    ]
