# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What is wrong with the settings of a run: hosts, sign-in providers, toggles, hooks, shared address, cutover, lock."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...canary import weights
from ...common.names import suggestion
from ...data_stores.databases import own_databases
from ..catalogue import providers
from ..catalogue.image_schema import size_errors
from ..catalogue.job_schema import HOOKS
from ..hosts import vrrp
from ..hosts.networks import networks_of

LONGEST = 86400
"""Seconds that a step or a bake may take at most."""
# Options of the login to Vault that have a variable of their own.
_OF_LOGIN = {"ca_cert": "environment_ca_file", "environment_name": "environment_name"}
_OF_LOGIN |= {"mount": "secrets_mount", "url": "secrets_url"}


def limit_problems(hosts: Collection[str], in_play: Collection[str]) -> Iterator[str]:
    """Yield a line if `--limit` leaves out hosts of a run that changes the whole environment."""
    left_out = sorted(set(hosts) - set(in_play))
    if left_out:
        yield (
            f"--limit leaves out {', '.join(left_out)}. This playbook must change all hosts of the environment: the "
            "slots and the firewalls of its hosts depend on each other. Run it again without --limit."
        )


def data_problems(
    hosts: Sequence[str], catalogue: Mapping[str, Mapping[str, Any]], elsewhere: bool = False
) -> Iterator[str]:
    """Yield a line if the group `data` has a second host: it would get databases that nothing uses.

    Without any, no service can have a cache, nor a database unless the inventory names a server `elsewhere`.
    """
    for name, service in catalogue.items() if not hosts else ():
        if not elsewhere and (database := next(iter(own_databases(service)), None)):
            yield (
                f'services/{name}/service.yml: database: {database} has no server: the group "data" has no host; add '
                "one, or name a server elsewhere with database_host or database_address (docs/data-stores.md)"
            )
        if service.get("cache"):
            yield (
                f'services/{name}/service.yml: cache: its server needs a host in the group "data", which has none; add '
                "one, or remove `cache` and give the service the URL of a server of yours as a given secret"
            )
    if len(hosts) > 1:
        yield (
            f"data: one host, not {len(hosts)} ({', '.join(hosts)}): PostgreSQL and the broker run on the first one, "
            "and there is no replication. Take the others out of the group"
        )


def provider_problems(given: object) -> Iterator[str]:
    """Yield what is wrong with `identity_providers`; the check of types reports a value of another type."""
    if isinstance(given, Sequence) and all(isinstance(provider, Mapping) for provider in given):
        yield from providers.setting_problems(given)


def toggle_problems(given: object, catalogue: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with `environment_toggles`; the check of types reports a value of another type."""
    known = {name for service in catalogue.values() for name in service["toggles"]}
    for name, value in (given if isinstance(given, Mapping) else {}).items():
        if name not in known:
            yield f"environment_toggles.{name}: no service has this toggle{suggestion(str(name), known)}"
        elif not isinstance(value, bool):
            shown = f'"{value}"' if isinstance(value, str) else "nothing" if value is None else value
            yield f"environment_toggles.{name}: expected true or false, got {shown}"


def size_problems(given: object, catalogue: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with `environment_sizes`; the check of types reports a value of another type."""
    for name, sizes in (given if isinstance(given, Mapping) else {}).items():
        if name not in catalogue:
            yield f"environment_sizes.{name}: unknown service{suggestion(str(name), catalogue)}"
        else:
            yield from (f"environment_sizes.{name}{line}" for line in size_errors(sizes))


def hook_problems(given: object, folder: str) -> Iterator[str]:
    """Yield what is wrong with {hook: file with tasks}; relative paths start at `folder`, that of the inventory.

    The check of types reports a value of another type.
    """
    for name, path in (given if isinstance(given, Mapping) else {}).items():
        if name not in HOOKS:
            yield f"environment_hooks.{name}: unknown hook{suggestion(str(name), HOOKS)}; known are {', '.join(HOOKS)}"
        elif not isinstance(path, str) or not path:
            yield f"environment_hooks.{name}: expected the path of a file with tasks"
        elif not (Path(folder) / path).is_file():
            yield f"environment_hooks.{name}: there is no file {Path(folder) / path}"


def people_problems(count: object, **people: object) -> Iterator[str]:
    """Yield which variables want more synthetic users than `seed_count` (`count`); None is a variable not set.

    The check of types reports what is not a number.
    """
    for name, value in people.items():
        if str(value).isdecimal() and str(count).isdecimal() and int(str(value)) > int(str(count)):
            yield f"{name}: {value} synthetic users, but seed_count is {count}; raise seed_count, or lower {name}"


def login_problems(given: object) -> Iterator[str]:
    """Yield what is wrong with the keys of `secrets_auth`; its values may be secret."""
    for key, variable in _OF_LOGIN.items():
        if isinstance(given, Mapping) and key in given:
            yield f"secrets_auth.{key}: set {variable} instead"


def secrets_problems(file: object, url: object, login: object) -> Iterator[str]:
    """Yield why a run doesn't know where secrets are: `secrets_file`, or `secrets_url` and `secrets_auth`."""
    yield from login_problems(login)
    if file and url:
        yield "secrets_file: secrets_url is set, too; remove one of them: secrets are in a file or in Vault"
    elif not file and not url:
        yield "secrets_url: not set; set Vault's address, or secrets_file for an environment without Vault"
    elif url and not login:
        yield "secrets_auth: not set; set the login to Vault (docs/secrets.md)"


def group_problems(wanted: Collection[str], groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield which groups (`wanted`) a playbook needs and the inventory doesn't have; `groups` = {group: [host]}."""
    for group in wanted:
        if not groups.get(group):
            yield f'this playbook needs a host in the group "{group}", which has none; add one to hosts.yml'


def shared_address_problems(address: object, network: object, hosts: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with `keepalived_address`; `hosts` = {host: its own address}."""
    if isinstance(address, str) and isinstance(network, str):
        yield from vrrp.shared_address_problems(address, network, hosts)


def ipv6_address_problems(address: object, shared: object) -> Iterator[str]:
    """Yield what is wrong with `keepalived_ipv6_address` besides `keepalived_address` (`shared`)."""
    if isinstance(address, str):
        yield from vrrp.ipv6_address_problems(address, str(shared or ""))


def balancer_problems(
    given: Mapping[str, object], addresses: Mapping[str, Sequence[str]], hosts: Mapping[str, str]
) -> Iterator[str]:
    """Yield why who may name a visitor's address is not only load balancers, one line each.

    `given` = {variable: its groups, addresses and networks}, `addresses` = {group: [address]}, `hosts` = {host that is
    no load balancer: its address}. Other checks report what is not an address.
    """
    advice = "name only the load balancers' own addresses"
    for name, sources in given.items():
        for source in sources if isinstance(sources, Sequence) and not isinstance(sources, str) else ():
            for network in _networks(str(source), addresses):
                inside = [host for host, own in hosts.items() if any(map(network.overlaps, _networks(own, {})))]
                if not network.prefixlen:
                    yield f"{name}: {source} contains all addresses, so any client could claim any address; {advice}"
                elif inside:
                    yield f"{name}: {source} contains {', '.join(inside)}, no load balancer; {advice}"


def lock_problems(seconds: Mapping[str, float]) -> Iterator[str]:
    """Yield what is wrong with the times of the lock; `seconds` = {name: environment_lock_<name>_seconds}, or {}."""
    for name, value in seconds.items():
        if value <= 0:
            yield f"environment_lock_{name}_seconds: set a number of seconds above 0"
    if seconds and seconds["expire"] <= 2 * seconds["renew"]:
        yield (
            "environment_lock_expire_seconds: set more than twice environment_lock_renew_seconds "
            f"({seconds['renew']:g} s), or a run loses its lock because of one late renewal"
        )


def cutover_problems(canary: Any, step_seconds: Any, watched_seconds: Any, **seconds: Any) -> Iterator[str]:
    """Yield what is wrong with the options of a cutover, which a deploy may precede; None is an option not set.

    `canary` is the option, `step_seconds` is `cutover_step_seconds`, `watched_seconds` is `canary_seconds`, which only
    a cutover sets. `seconds` are further options whose value is a number of seconds, or 0, by name.
    """
    if canary is not None:
        try:
            weights.weights(canary)
        except ValueError as error:
            yield str(error)
    if step_seconds is not None and not (_whole(step_seconds) and int(step_seconds) > 0):
        yield (
            f"cutover_step_seconds={step_seconds}: set the length of a step to a whole number of seconds above 0, "
            f"{LONGEST} (a day) at most"
        )
    for name, value in seconds.items():
        # The check of types reports what is not a number.
        if str(value).removeprefix("-").isdecimal() and not _whole(value):
            yield f"{name}={value}: set a whole number of seconds, 0 or more, and {LONGEST} (a day) at most"
    if watched_seconds is not None:
        yield "canary_seconds: set cutover_step_seconds for the length of a step, and bake for the time after it"


def _networks(source: str, addresses: Mapping[str, Sequence[str]]) -> list[Any]:
    """Return the networks of a source, none of what is not an address."""
    with contextlib.suppress(ValueError):
        return list(networks_of(source, addresses, ""))
    return []


def _whole(seconds: Any) -> bool:
    """Whether it is a whole number of seconds, a day at most."""
    text = str(seconds)
    return text.isascii() and text.isdecimal() and int(text) <= LONGEST
