# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Outside services: the content of `providers/<name>/provider.yml`, in the mode that an environment chose for each.

Loading never fails on invalid content: `problems` reports it, with file and key, before any host is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from ..catalogue.catalogue import is_folder
from ..catalogue.service_secrets import Catalogue, Service, provider_key
from .schema import KINDS, OFF, SCHEMES, WEB_SCHEMES

FILE = "provider.yml"
Providers = Mapping[str, Mapping[str, Any]]
# What is known of each provider, besides the secrets and values of its mode.
PLAIN = ("mode", "url", "scheme", "host", "port", "tls")
# The URL with the secrets `user` and `password`.
LOGIN_URL = "login_url"
DEFAULT_FIELD = "key"
# Where the secrets are that Greenroom generates for providers.
GENERATED = "environment/value/"


def folders(path: str) -> dict[str, str]:
    """Return {provider: absolute folder} for each folder in `path` that has a provider.yml."""
    if not os.path.isdir(path):
        return {}
    found = {entry.name: os.path.abspath(entry.path) for entry in os.scandir(path) if is_folder(entry)}
    return {name: found[name] for name in sorted(found) if os.path.isfile(os.path.join(found[name], FILE))}


def load(path: str, read: Callable[[str], Any]) -> dict[str, Any]:
    """Return {provider: content of its provider.yml}; `read` loads a YAML file by its absolute path."""
    return {name: read(os.path.join(folder, FILE)) for name, folder in folders(path).items()}


def resolved(catalog: Mapping[str, Any], chosen: object, services: Catalogue) -> dict[str, dict[str, Any]]:
    """Return {provider: what it is here} for each that the environment uses; those that are off are missing.

    `catalog` is what `load` returns, `chosen` is `environment_providers`. The shape: {kind, mode, url, scheme, host,
    port, tls, hosts, addresses, budget, recipients, values, secrets: {field: path}, services: [user]}. `recipients` is
    None where nobody listed any.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, choice in (chosen if isinstance(chosen, Mapping) else {}).items():
        if mode := mode_of(catalog.get(name), choice):
            found[name] = _provider(catalog[name], mode, choice)
    for name, provider in found.items():
        provider["services"] = sorted(user for user, its in services.items() if name in names_of(its, found))
    return found


def mode_of(provider: object, choice: object) -> str | None:
    """Return the mode that an environment chose, None if the provider is off or has no such mode."""
    if not isinstance(provider, Mapping) or not isinstance(choice, Mapping) or choice.get("mode") in (None, OFF):
        return None
    modes = provider.get("modes")
    return str(choice["mode"]) if isinstance(modes, Mapping) and choice["mode"] in modes else None


def split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None if it is none."""
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError:
        return None
    return parts if parts.scheme and parts.hostname else None


def schemes(kind: str) -> Mapping[str, int]:
    """Return the schemes of the URL of a provider of this kind, with their usual ports."""
    return SCHEMES.get(kind, WEB_SCHEMES)


def _provider(provider: Mapping[str, Any], mode: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    own = _mapping(_mapping(provider["modes"])[mode])
    kind = str(provider.get("kind"))

    def setting(key: str, default: Any) -> Any:
        return next((its[key] for its in (choice, own) if its.get(key) is not None), default)

    url = str(setting("url", ""))
    parts = split(url)
    scheme = parts.scheme if parts else ""
    host = str(parts.hostname) if parts else ""
    tls = setting("tls", "starttls" if scheme == "smtp" else "implicit" if scheme.endswith("s") else "none")
    recipients = choice.get("recipients", provider.get("recipients"))
    return {
        "kind": kind,
        "mode": mode,
        "url": url,
        "scheme": scheme,
        "host": host,
        "port": (parts.port if parts else None) or schemes(kind).get(scheme, 0),
        "tls": tls,
        "hosts": list(dict.fromkeys([*([host] if host else []), *(str(name) for name in setting("hosts", []))])),
        "addresses": [str(address) for address in setting("addresses", [])],
        "budget": {**_mapping(provider.get("budget")), **_mapping(choice.get("budget"))},
        "recipients": None if recipients is None else [str(recipient) for recipient in recipients],
        "values": {**_mapping(own.get("values")), **_mapping(choice.get("values"))},
        "secrets": {field: _secret_path(_mapping(secret)) for field, secret in setting("secrets", {}).items()},
        "services": [],
    }


def named(name: str, providers: Providers) -> str | None:
    """Return which of the providers in use a service means: the one of this name, or the only one of this kind."""
    if name in providers:
        return name
    alike = [its for its, provider in providers.items() if provider["kind"] == name] if name in KINDS else []
    return alike[0] if len(alike) == 1 else None


def references(service: Service) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield (key, reference, whether it is a secret) of each provider that a service names in service.yml."""
    for variable, secret in service["secrets"].items():
        if secret["kind"] == "provider":
            reference = {"provider": secret["name"], "field": secret.get("field", DEFAULT_FIELD)}
            yield f"secrets.{variable}", reference | {"optional": secret.get("optional", False)}, True
    for variable, value in service["environment"].items():
        if isinstance(value, Mapping):
            yield f"environment.{variable}", {**value, "optional": "default" in value}, False


def names_of(service: Service, providers: Providers) -> set[str]:
    """Return the names of the providers in use that a service names."""
    wanted = [str(reference.get("provider")) for _key, reference, _secret in references(service)]
    return {found for name in [*wanted, *map(str, service["providers"])] if (found := named(name, providers))}


def in_bundles(providers: Providers) -> dict[str, dict[str, Any]]:
    """Return what of the providers in use bundles may contain, besides secrets; a change of it is a new release."""
    return {name: {key: its[key] for key in ("kind", *PLAIN, "values")} for name, its in providers.items()}


def provider_of(providers: Providers, name: str) -> Mapping[str, Any]:
    """Return the provider in use of this name, or the only one of this kind; an empty mapping without one."""
    found = named(name, providers)
    return providers[found] if found else {}


def secret_paths(providers: Providers) -> list[str]:
    """Return the sorted paths of what operators put for the providers in use, relative to `<environment>/`."""
    return [path for path in _paths(providers) if not path.startswith(GENERATED)]


def generated_paths(providers: Providers) -> list[str]:
    """Return the sorted paths of what Greenroom generates for the providers in use, relative to `<environment>/`."""
    return [path for path in _paths(providers) if path.startswith(GENERATED)]


def _paths(providers: Providers) -> list[str]:
    return sorted({str(path) for provider in providers.values() for path in provider["secrets"].values() if path})


def settable(services: Catalogue, providers: Providers) -> dict[str, bool]:
    """Return {path: whether it may have several lines} of the secrets of all providers in use.

    One that some service wants as a variable, or that nobody has as a file, has one line.
    """
    found = dict.fromkeys(secret_paths(providers), False)
    files: dict[str, list[bool]] = {}
    for service in services.values() if providers else ():
        for secret in service["secrets"].values():
            provider = provider_of(providers, str(secret["name"])) if secret["kind"] == "provider" else {}
            path = provider["secrets"].get(secret.get("field", DEFAULT_FIELD)) if provider else None
            if path in found:
                files.setdefault(path, []).append(bool(secret.get("file")))
    return found | {path: all(several) for path, several in files.items()}


def with_secrets(
    values: Mapping[str, Mapping[str, Any]], service: Service, providers: Providers
) -> Mapping[str, Mapping[str, Any]]:
    """Return the run's secrets, {path: content}, with those that a service gets from providers."""
    more = {}
    for _key, reference, secret in references(service):
        found = provider_of(providers, str(reference["provider"])) if secret else {}
        if found:
            text = _text(found, str(reference["field"]), values)
            more[provider_key(str(reference["provider"]), str(reference["field"]))] = {"value": text}
    return {**values, **more} if more else values


def with_all_secrets(
    values: Mapping[str, Mapping[str, Any]], services: Catalogue, providers: Providers
) -> Mapping[str, Mapping[str, Any]]:
    """Return the run's secrets, {path: content}, with those that all services get from providers."""
    for service in services.values() if providers else ():
        values = with_secrets(values, service, providers)
    return values


def environment(service: Service, providers: Providers) -> dict[str, Any]:
    """Return {environment variable: value} of a service, with what it takes from providers."""
    result = {}
    for variable, value in service["environment"].items():
        if not isinstance(value, Mapping):
            result[variable] = value
        elif found := provider_of(providers, str(value["provider"])):
            result[variable] = plain(found, str(value.get("field", "url")))
        elif "default" in value:
            result[variable] = value["default"]
    return result


def plain(provider: Mapping[str, Any], field: str) -> Any:
    """Return the value of a field that is not secret; validation refuses one that the provider doesn't have."""
    return provider[field] if field in PLAIN else provider["values"][field]


def fields(provider: Mapping[str, Any]) -> dict[str, bool]:
    """Return {field: whether it is a secret} of a provider in use."""
    found = dict.fromkeys((*PLAIN, *map(str, provider["values"])), False)
    # A URL with a login is a secret even where there is none.
    return {**found, **dict.fromkeys(map(str, provider["secrets"]), True), LOGIN_URL: True}


def login_url(provider: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the URL with the provider's user and password, as clients of mail servers and directories take it."""
    parts = split(provider["url"])
    if not parts:
        return str(provider["url"])
    login = [_text(provider, field, values) for field in ("user", "password") if field in fields(provider)]
    user = ":".join(quote(word, safe="") for word in login)
    host = f"[{provider['host']}]" if ":" in provider["host"] else provider["host"]
    place = f"{user}@{host}" if user else host
    query = "disable_starttls=true" if provider["kind"] == "mail" and provider["tls"] == "none" else parts.query
    return f"{parts.scheme}://{place}:{provider['port']}{parts.path or '/'}{'?' + query if query else ''}"


def _text(provider: Mapping[str, Any], field: str, values: Mapping[str, Mapping[str, Any]]) -> str:
    if field == LOGIN_URL:
        return login_url(provider, values)
    if path := provider["secrets"].get(field):
        return str(values.get(path, {}).get("value", ""))
    return str(plain(provider, field))


def _secret_path(secret: Mapping[str, Any]) -> str | None:
    return f"{GENERATED}{secret['value']}" if "value" in secret else secret.get("given")


def _mapping(value: object) -> dict[str, Any]:
    # Ansible renders an item when it is read, and a plain copy would not read it.
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}
