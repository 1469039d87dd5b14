# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Who gets alerts: `monitoring_receivers` and `monitoring_routes`, and Alertmanager's configuration made from them.

A receiver is {name, mail: [address], webhook: url, chat: {url, channel}, secret: path of what $secret in its addresses
stands for}. A route is {receiver, match: {label: value or [value]}, repeat}. Runs only on the controller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema

from .schema_errors import lines
from .schema_terms import DURATION, mapping, named, text

Receivers = Sequence[Mapping[str, Any]]
Routes = Sequence[Mapping[str, Any]]

VARIABLES = ("monitoring_receivers", "monitoring_routes", "monitoring_watchdog_url")
"""What `problems` checks."""
NOBODY = "nobody"
"""The receiver of alerts that nobody asked for. They are in Alertmanager only."""
SWITCH = "watchdog"
"""The receiver of the alert that always fires: a dead man's switch."""
ALWAYS = "Watchdog"
"""The alert that always fires."""
SECRET = "$secret"

_ADDRESS = text(r"^[^@\s]+@[^@\s]+\Z", "a mail address")
_URL = text(r"^https?://[^\s/]+\S*\Z", "an address that starts with https:// or http://")
_PATH = text(r"^[a-z0-9_-]+(/[a-z0-9_-]+)+\Z", "a path such as environment/alerts")
_NAME = text(r"^[a-z][a-z0-9_-]{0,39}\Z", "a name of lowercase letters, digits, - and _")
_RECEIVER = mapping(
    {
        "name": _NAME,
        "mail": {"type": "array", "items": _ADDRESS},
        "webhook": _URL,
        "chat": mapping({"url": _URL, "channel": {"type": "string"}}, ["url"]),
        "secret": _PATH,
    },
    ["name"],
)
_VALUE = {"type": "string"}
_ROUTE = mapping(
    {
        "receiver": _NAME,
        "match": named(
            {"anyOf": [_VALUE, {"type": "array", "items": _VALUE}]}, r"^[a-z_][a-z0-9_]*\Z", "the name of a label"
        ),
        "repeat": DURATION,
    },
    ["receiver"],
)


def problems(receivers: object, routes: object, switch: object = "") -> Iterator[str]:
    """Yield what is wrong with `monitoring_receivers`, `monitoring_routes` and `monitoring_watchdog_url`.

    The check of types reports what is not a list or not text.
    """
    names: list[str] = []
    for number, receiver in enumerate(receivers if isinstance(receivers, list) else []):
        where = f"monitoring_receivers[{number}]"
        found = list(_schema_problems(where, receiver, _RECEIVER))
        yield from found or _receiver_problems(where, receiver, names)
        if not found:
            names.append(receiver["name"])
    for number, route in enumerate(routes if isinstance(routes, list) else []):
        where = f"monitoring_routes[{number}]"
        found = list(_schema_problems(where, route, _ROUTE))
        yield from found
        if not found and route["receiver"] not in names:
            known = ", ".join(names) or "none"
            yield f'{where}.receiver: "{route["receiver"]}" is not in monitoring_receivers, which has: {known}'
    if isinstance(switch, str) and switch and not re.match(_URL["pattern"], switch):
        yield f"monitoring_watchdog_url: write {_URL['description']}"


def _schema_problems(where: str, given: object, schema: Mapping[str, Any]) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(given):
        joint = "." if error.absolute_path or error.validator == "additionalProperties" else ": "
        yield from (f"{where}{joint}{line}" for line in lines(error))


def _receiver_problems(where: str, receiver: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    name = receiver["name"]
    if name in names:
        yield f'{where}.name: there is another receiver "{name}"'
    if name in (NOBODY, SWITCH):
        yield f'{where}.name: "{name}" has a meaning already; choose another name'
    if not (receiver.get("mail") or receiver.get("webhook") or receiver.get("chat")):
        yield f"{where}: set mail, webhook or chat, or nobody gets its alerts"
    uses = any(SECRET in url for url in _urls(receiver))
    if uses and not receiver.get("secret"):
        yield f"{where}.secret: set the path of the secret that {SECRET} stands for"
    if receiver.get("secret") and not uses:
        yield f"{where}.secret: write {SECRET} where the secret belongs in the address of webhook or chat"


def _urls(receiver: Mapping[str, Any]) -> list[str]:
    return [str(url) for url in (receiver.get("webhook"), (receiver.get("chat") or {}).get("url")) if url]


def secret_paths(receivers: Receivers, mail_secret: str = "") -> list[str]:
    """Return the paths of the secrets of receivers and of the login to the mail server, which others issue."""
    found = {str(receiver["secret"]) for receiver in receivers if receiver.get("secret")}
    return sorted(found | ({mail_secret} if mail_secret else set()))


def config(
    receivers: Receivers, routes: Routes, secrets: Mapping[str, Mapping[str, Any]], **settings: Any
) -> dict[str, Any]:
    """Return Alertmanager's configuration.

    `secrets` maps paths to the run's secrets. `settings` are `mail` = {host, port, sender, tls, user, secret}, `switch`
    (the address that the alert that always fires is sent to, or ""), `wait`, `interval` (seconds) and `repeat`.
    """
    mail: Mapping[str, Any] = settings["mail"]
    first = receivers[0]["name"] if receivers else NOBODY
    waits = {"group_wait": f"{settings['wait']}s", "group_interval": f"{settings['interval']}s"}
    return {
        "global": {
            "smtp_smarthost": f"{mail['host'] or 'localhost'}:{mail['port']}",
            "smtp_from": mail["sender"],
            "smtp_require_tls": bool(mail["tls"]),
            **_login(mail, secrets),
        },
        "templates": ["/etc/prometheus/alertmanager/*.tmpl"],
        "route": {
            "receiver": first,
            "group_by": ["alertname", "slot"],
            **waits,
            "repeat_interval": settings["repeat"],
            "routes": [
                _always(settings["switch"]),
                *(_route(route) for route in routes),
                # What can wait is not said again every few hours.
                {"receiver": first, "matchers": ['severity="info"'], "repeat_interval": "5d"},
            ],
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [
            {"name": NOBODY},
            {"name": SWITCH, **_switch(settings["switch"])},
            *(_receiver(receiver, secrets) for receiver in receivers),
        ],
    }


def _login(mail: Mapping[str, Any], secrets: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    if not mail.get("user"):
        return {}
    return {
        "smtp_auth_username": str(mail["user"]),
        "smtp_auth_password": str((secrets.get(mail.get("secret", "")) or {}).get("value", "")),
    }


def _always(switch: str) -> dict[str, Any]:
    """Return the route of the alert that always fires: nobody reads it, a switch elsewhere gets it every minute."""
    route: dict[str, Any] = {"receiver": SWITCH if switch else NOBODY, "matchers": [f'alertname="{ALWAYS}"']}
    return {**route, "group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"} if switch else route


def _switch(url: str) -> dict[str, Any]:
    return {"webhook_configs": [{"url": url, "send_resolved": False}]} if url else {}


def _route(route: Mapping[str, Any]) -> dict[str, Any]:
    matchers = [_matcher(label, value) for label, value in sorted((route.get("match") or {}).items())]
    more = {"repeat_interval": route["repeat"]} if route.get("repeat") else {}
    return {"receiver": route["receiver"], "matchers": matchers, **more}


def _matcher(label: str, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return f'{label}="{_quoted(value)}"'
    return f'{label}=~"{_quoted("|".join(map(_exactly, value)))}"'


def _exactly(text_: str) -> str:
    """Return a regular expression (RE2) of exactly this text."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text_)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _receiver(receiver: Mapping[str, Any], secrets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    secret = str((secrets.get(receiver.get("secret") or "") or {}).get("value", ""))
    found: dict[str, Any] = {"name": receiver["name"]}
    if receiver.get("mail"):
        found["email_configs"] = [{"to": address, "send_resolved": True} for address in receiver["mail"]]
    if receiver.get("webhook"):
        url = str(receiver["webhook"]).replace(SECRET, secret)
        found["webhook_configs"] = [{"url": url, "send_resolved": True}]
    if chat := receiver.get("chat"):
        channel = {"channel": chat["channel"]} if chat.get("channel") else {}
        found["slack_configs"] = [
            {"api_url": str(chat["url"]).replace(SECRET, secret), **channel, "send_resolved": True}
        ]
    return found


def _inhibitions() -> list[dict[str, Any]]:
    """Return which alerts say nothing new while another one fires."""
    return [
        {
            "source_matchers": ['alertname="HostDown"'],
            "target_matchers": ['alertname!="HostDown"'],
            "equal": ["host"],
        },
        {
            "source_matchers": ['alertname="SlotDown"'],
            "target_matchers": ['alertname=~"RouteDown|RouteErrors|RouteSlow"'],
            "equal": ["slot"],
        },
    ]
