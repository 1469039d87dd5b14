# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What is wrong with providers, with what an environment sets for them, and with what services want of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...common.names import suggestion
from ..catalogue.service_secrets import Catalogue, Service
from .providers import FILE, Providers, fields, mode_of, named, references, resolved, schemes, split
from .schema import KINDS, choice_errors, provider_errors

VARIABLE = "environment_providers"
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)


def problems(
    files: tuple[Path, Path],
    load: Callable[[Path], Any],
    catalog: Mapping[str, Any],
    chosen: object,
    services: Catalogue,
    *,
    render: Callable[[Any], Any],
    protected: bool,
    also: str = "",
) -> Iterator[str]:
    """Yield everything that is wrong with providers, one line each.

    `files` are the folders of providers and of services, `load` returns the content of a YAML file. `catalog` is
    `provider_catalogue`, `chosen` is `environment_providers`. `services` fit the schema. `render` returns a value
    rendered for the environment; it raises ValueError with a reason. `protected` and `also`: see the functions below.
    """
    yield from file_problems(files[0], load)
    here: dict[str, Any] = dict(catalog)
    for name, choice in (chosen if isinstance(chosen, Mapping) else {}).items():
        if (mode := mode_of(catalog.get(name), choice)) and not provider_errors(catalog[name]):
            try:
                own = render(catalog[name]["modes"][mode])
            except ValueError as error:
                yield f"{files[0].name}/{name}/{FILE}: modes.{mode}: {error}"
                return
            here[name] = {**catalog[name], "modes": {**catalog[name]["modes"], mode: own}}
    wrong = list(choice_problems(here, chosen, protected))
    yield from wrong
    # A provider that is wrong has been reported; services would only repeat it.
    if not wrong:
        yield from use_problems(services, files[1].name, chosen, resolved(here, chosen, services), also)


def file_problems(folder: Path, load: Callable[[Path], Any]) -> Iterator[str]:
    """Yield what is wrong with the providers in `folder`, one line each; `load` returns the content of a YAML file."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        if not (entry / FILE).is_file():
            yield f"{folder.name}/{entry.name}: has no {FILE}"
            continue
        where, raw = f"{folder.name}/{entry.name}", load(entry / FILE)
        if not NAME.fullmatch(entry.name):
            yield f"{where}: the folder's name must have lowercase letters, digits and -, and start with a letter"
        errors = provider_errors(raw)
        yield from (f"{where}/{FILE}: {line}" for line in errors)
        if not errors and entry.name in KINDS and raw["kind"] != entry.name:
            yield f"{where}/{FILE}: kind: {raw['kind']} is not the kind {entry.name}; rename the folder"


def choice_problems(catalog: Mapping[str, Any], chosen: object, protected: bool) -> Iterator[str]:
    """Yield what is wrong with `environment_providers`; the check of types reports a value of another type.

    `protected` says whether runs in the environment must be confirmed.
    """
    for name, choice in (chosen if isinstance(chosen, Mapping) else {}).items():
        where = f"{VARIABLE}.{name}"
        if name not in catalog:
            yield f"{where}: unknown provider{suggestion(str(name), catalog)}"
            continue
        errors = choice_errors(choice)
        yield from (f"{where}.{line}" if not line.startswith("expected ") else f"{where}: {line}" for line in errors)
        if errors or choice["mode"] == "off" or provider_errors(catalog[name]):
            continue
        if mode_of(catalog[name], choice) is None:
            offered = ", ".join(catalog[name]["modes"])
            yield f"{where}.mode: {name} has no mode {choice['mode']}; it has {offered}, and off"
        elif choice["mode"] == "live" and not protected:
            yield (
                f"{where}.mode: live, but the environment is not protected, so it could reach real customers; choose "
                "another mode, or set environment_protected"
            )
        else:
            provider = resolved({name: catalog[name]}, {name: choice}, {})[name]
            yield from (f"{where}.{line}" for line in _place_problems(provider))


def _place_problems(provider: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the address of a provider, as it is in its mode here."""
    known = schemes(provider["kind"])
    if not provider["url"]:
        yield f"url: not set; the mode {provider['mode']} needs the address of your own, such as {next(iter(known))}://..."
        return
    parts = split(provider["url"])
    if not parts or parts.scheme not in known:
        yield f'url: "{_without_login(provider["url"])}" is not a URL that starts with {" or ".join(known)}://'
    elif parts.username or parts.password:
        yield "url: has a login; name it in `secrets`, as user and password"
    elif (provider["tls"] == "implicit") != (parts.scheme in ("https", "smtps", "ldaps")):
        yield f"tls: {provider['tls']} does not fit {parts.scheme}://; change one of them"
    elif provider["tls"] == "starttls" and parts.scheme not in ("smtp", "ldap"):
        yield f"tls: {parts.scheme}:// has no starttls; remove it"
    elif provider["kind"] == "mail" and provider["tls"] == "none" and provider["mode"] != "stub":
        yield "tls: none, but mail has codes and names; only a stub may go without TLS. Remove it, or use smtps://"
    for index, address in enumerate(provider["addresses"]):
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield f'addresses[{index}]: "{address}" is neither an address nor a network'
    for name in provider["hosts"][1:]:
        if not _HOST.fullmatch(name):
            yield f'hosts: "{name}" is not a host name; write only the name, such as api.example.com or *.example.com'


def use_problems(
    services: Catalogue, folder: str, chosen: object, providers: Providers, also: str = ""
) -> Iterator[str]:
    """Yield what services want of providers and don't get, and which providers nobody uses.

    `services` fit the schema, `folder` is the name of their folder, `providers` is what `resolved` returns. `also` is
    the provider that the environment itself uses.
    """
    known = {*KINDS, *(chosen if isinstance(chosen, Mapping) else {})}
    for user, service in services.items():
        where = f"{folder}/{user}/service.yml"
        for index, name in enumerate(service["providers"]):
            if reason := _unknown(str(name), providers, known):
                yield f"{where}: providers[{index}]: {reason}"
        yield from (f"{where}: {line}" for line in _reference_problems(service, providers, known))
    for name, provider in providers.items():
        # A stub reaches nobody, so an inventory can name one for services that come later.
        if not provider["services"] and name != also and provider["mode"] != "stub":
            yield f"{VARIABLE}.{name}: no service uses it; set its mode to off, or name it in `providers` of a service"


def _reference_problems(service: Service, providers: Providers, known: set[str]) -> Iterator[str]:
    for key, reference, secret in references(service):
        name = str(reference["provider"])
        found = named(name, providers)
        if found is None:
            several = _alike(name, providers)
            if several or not reference["optional"]:
                yield f"{key}.provider: {_unknown(name, providers, known)}"
            continue
        has = fields(providers[found])
        field = str(reference.get("field", "url"))
        usable = [its for its, hidden in has.items() if secret or not hidden]
        if field not in has:
            mode = providers[found]["mode"]
            yield f'{key}.field: {found} has no "{field}" in the mode {mode}{suggestion(field, usable)}'
        elif has[field] and not secret:
            yield f"{key}.field: {field} of {found} is secret; name it in `secrets`"


def _unknown(name: str, providers: Providers, known: set[str]) -> str:
    """Return why a name is no provider in use, or ""."""
    if named(name, providers):
        return ""
    if several := _alike(name, providers):
        return f"{' and '.join(several)} are both of the kind {name}; name one of them"
    hint = "" if name in known else suggestion(name, known)
    return f"{name} is off in this environment; set its mode in {VARIABLE}{hint}"


def _alike(name: str, providers: Providers) -> Sequence[str]:
    found = [its for its, provider in providers.items() if provider["kind"] == name]
    return found if name not in providers and len(found) > 1 else []


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//...@", url)
