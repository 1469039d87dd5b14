# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Convert how a service is reached: ports, labels of proxies, health checks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from plugins.module_utils.greenroom.controller.catalogue.route_schema import PUBLIC_PATH
from plugins.module_utils.greenroom.controller.catalogue.schema_terms import PATH

from .container import seconds
from .known import NO_WEB_PORTS, supported
from .project import Draft, Project
from .reading import Key

_HEALTH_URL = re.compile(
    r"(?:https?://|(?<=\s))(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|\$\{?HOSTNAME\}?)(?::(\d+))?(/[^\s\"'|;&)]*)?"
)
_RULE = re.compile(r"(Host|PathPrefix|Path)\(([^)]*)\)")


def ports(project: Project, draft: Draft) -> None:
    """Find the ports of a service, and the one that the edge serves."""
    service = project.services[draft.source]
    published = list(_published(project, draft))
    _proxy_labels(project, draft, _labels(service.get("labels")))
    virtual = _labels(service.get("environment")).get("VIRTUAL_PORT", "")
    if draft.public is None and virtual.isdecimal():
        draft.public = int(virtual)
        draft.port(draft.public)
    if draft.public is None and published:
        draft.public = published[0]
        for number in published[1:]:
            project.drop(("services", draft.source, "ports"), f"{number} is a second port; give it a route of its own")
    if draft.public is None and draft.paths:
        draft.public = next(iter(draft.ports), None)
        if draft.public is None:
            project.drop(("services", draft.source, "labels"), "no port; set `ports` and `routes`")
            draft.paths = []


def _published(project: Project, draft: Draft) -> Iterator[int]:
    """Give the service its ports, and yield those that a browser may ask for."""
    service = project.services[draft.source]
    given = [(key, *pair) for key in ("ports", "expose") for pair in enumerate(service.get(key) or [])]
    for key, index, item in given:
        place: tuple[Key, ...] = ("services", draft.source, key, index)
        number, protocol = _port(item)
        if number is None:
            project.drop(place, f"{item}: a range of ports; name single ones in `ports`")
        elif protocol != "tcp":
            project.drop(place, f"{item}: {protocol} reaches no service")
        else:
            draft.port(number)
            if key == "ports" and number in NO_WEB_PORTS:
                project.drop(place, f"{number} is not a port for a browser, and the edge serves HTTP only; set `from`")
            elif key == "ports":
                yield number


def _port(item: Any) -> tuple[int | None, str]:
    """Return the container's port of an entry, None for a range, and the protocol."""
    if isinstance(item, dict):
        number, protocol = str(item.get("target")), str(item.get("protocol") or "tcp")
    else:
        text, _, protocol = str(item).partition("/")
        number = text.rpartition(":")[2]
    return (int(number) if number.isdecimal() else None), protocol or "tcp"


def _labels(given: Any) -> dict[str, str]:
    if isinstance(given, dict):
        return {str(key): str(value) for key, value in given.items()}
    pairs = (str(item).partition("=") for item in given or [])
    return {key: value for key, _, value in pairs}


def _proxy_labels(project: Project, draft: Draft, labels: dict[str, str]) -> None:
    """Read the routes that labels for Traefik describe."""
    place: tuple[Key, ...] = ("services", draft.source, "labels")
    for label, value in labels.items():
        if re.fullmatch(r"traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port", label) and value.isdecimal():
            draft.public = int(value)
            draft.port(draft.public)
        elif re.fullmatch(r"traefik\.http\.routers\.[^.]+\.rule", label):
            found = {key: re.findall(r"[`\"']([^`\"']+)[`\"']", inside) for key, inside in _RULE.findall(value)}
            hosts = found.get("Host", [])
            for path in [*found.get("PathPrefix", []), *found.get("Path", [])] or ["/"]:
                _route(project, draft, place, path, hosts)
        elif label == "traefik.enable" or re.search(r"\.(entrypoints|tls|tls\.certresolver|service)$", label):
            continue
        elif label.startswith("traefik."):
            project.drop(place, f"{label}: no counterpart; see docs/edges.md for what the edge does")
    others = [label for label in labels if not label.startswith("traefik.")]
    if others:
        project.note(place, f"{', '.join(others)}: nothing here reads them")


def _route(project: Project, draft: Draft, place: tuple[Key, ...], path: str, hosts: list[str]) -> None:
    if not re.match(PUBLIC_PATH["pattern"], path):
        project.drop(place, f"{path}: can't be a route")
        return
    route: dict[str, Any] = {"path": path}
    if hosts and supported("routes[].host"):
        route["host"] = hosts[0] if len(hosts) == 1 else hosts
    elif hosts:
        project.drop(place, f"the host name {', '.join(hosts)}: the service gets the environment's public name")
    if route not in draft.paths:
        draft.paths.append(route)


def health(project: Project, draft: Draft) -> None:
    """Convert `healthcheck`; without one, a service is healthy when its port accepts connections."""
    given = project.services[draft.source].get("healthcheck") or {}
    place: tuple[Key, ...] = ("services", draft.source, "healthcheck")
    test = given.get("test")
    words = ["CMD-SHELL", test] if isinstance(test, str) else [str(word) for word in test or []]
    number = draft.public or next(iter(draft.ports), None)
    found: dict[str, Any] | None = None
    if words and words[0] in ("CMD", "CMD-SHELL") and not given.get("disable"):
        found = _from_test(draft, words, number)
    elif number is not None:
        project.drop(
            place if given else ("services", draft.source),
            "no health check: the service counts as ready when its port accepts connections; better name a page",
        )
    if found is None and number is not None:
        found = {"port": draft.port(number), "tcp": True}
    elif found and "command" in found and draft.public is not None:
        project.note((*place, "test"), "a command; the edge can't run it, so better name a page (`path`)")
    if found is None:
        return
    period = seconds(given.get("start_period", "0s")) or 0
    if period:
        found["start_period"] = min(period, 3600)
    for key in ("interval", "timeout", "retries", "start_interval"):
        if key in given:
            project.note((*place, key), "the edge checks each second")
    if found.get("path") not in (None, "/") and draft.public is not None:
        project.note(place, f"the edge serves {found['path']} to nobody; give it a route if visitors need it")
    draft.keys["health"] = found


def _from_test(draft: Draft, words: list[str], number: int | None) -> dict[str, Any]:
    for url in _HEALTH_URL.finditer(" ".join(words[1:])):
        asked, path = int(url[1] or 80), url[2] or "/"
        if (asked in draft.ports or asked == number) and re.match(PATH["pattern"], path):
            return {"port": draft.port(asked), "path": path}
    if words[0] == "CMD-SHELL":
        simple = not re.search(r"[|&;<>()$`\n]", words[1])
        return {"command": shlex.split(words[1]) if simple else ["/bin/sh", "-c", words[1].strip()]}
    return {"command": words[1:]}
