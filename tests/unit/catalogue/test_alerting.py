# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Receivers and routes of alerts: mistakes are named before a run, and Alertmanager's configuration has the secrets."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.catalogue import alerting

TEAM = {"name": "team", "mail": ["a@example.test"]}
PATH = "environment/alerts"
HOOK = {"name": "hook", "webhook": "https://hooks.test/$secret", "secret": PATH}
CHAT = {"name": "chat", "chat": {"url": "https://chat.test/$secret", "channel": "#ops"}, "secret": PATH}
MAIL = {"host": "mail.test", "port": 25, "sender": "greenroom@test", "tls": False, "user": "", "secret": ""}


def config(receivers: Any, routes: Any = (), **more: Any) -> dict[str, Any]:
    given = {"mail": MAIL, "switch": "", "wait": 5, "interval": 60, "repeat": "4h"} | more
    found: dict[str, Any] = alerting.config(receivers, routes, {PATH: {"value": "s3cret"}}, **given)
    return found


def test_receivers_and_routes_that_fit_have_no_problem() -> None:
    routes = [{"receiver": "chat", "match": {"severity": "critical", "alertname": ["DiskFull"]}, "repeat": "30m"}]
    assert list(alerting.problems([TEAM, HOOK, CHAT], routes, "https://switch.test/x")) == []
    # The check of types names what is no list.
    assert list(alerting.problems(None, "x", None)) == []


@pytest.mark.parametrize(
    ("receivers", "routes", "line"),
    [
        ([{"name": "x"}], [], "monitoring_receivers[0]: set mail, webhook or chat, or nobody gets its alerts"),
        ([{**TEAM, "mial": []}], [], 'monitoring_receivers[0].mial: unknown key; did you mean "mail"?'),
        ([{**TEAM, "mail": ["nobody"]}], [], 'monitoring_receivers[0].mail[0]: "nobody" is not a mail address'),
        ([TEAM, TEAM], [], 'monitoring_receivers[1].name: there is another receiver "team"'),
        (
            [{**TEAM, "name": "nobody"}],
            [],
            'monitoring_receivers[0].name: "nobody" has a meaning already; choose another name',
        ),
        (
            [{"name": "x", "webhook": "https://x/$secret"}],
            [],
            "monitoring_receivers[0].secret: set the path of the secret that $secret stands for",
        ),
        (
            [{**TEAM, "secret": PATH}],
            [],
            "monitoring_receivers[0].secret: write $secret where the secret belongs in the address of webhook or chat",
        ),
        (
            [TEAM],
            [{"receiver": "taem"}],
            'monitoring_routes[0].receiver: "taem" is not in monitoring_receivers, which has: team',
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(receivers: Any, routes: Any, line: str) -> None:
    assert list(alerting.problems(receivers, routes)) == [line]


def test_a_switch_that_is_no_address_is_named() -> None:
    [line] = alerting.problems([], [], "switch")
    assert line.startswith("monitoring_watchdog_url: write an address")


def test_without_a_receiver_nobody_gets_alerts_and_alertmanager_has_them() -> None:
    found = config([])
    assert found["route"]["receiver"] == alerting.NOBODY
    assert {"name": alerting.NOBODY} in found["receivers"]


def test_the_first_receiver_gets_what_no_route_matches() -> None:
    found = config([TEAM, CHAT], [{"receiver": "chat", "match": {"host": ["a.b", "c"], "severity": 'x"y'}}])
    assert found["route"]["receiver"] == "team"
    always, route, later = found["route"]["routes"]
    assert always == {"receiver": "nobody", "matchers": ['alertname="Watchdog"']}
    assert route == {"receiver": "chat", "matchers": ['host=~"a\\\\.b|c"', 'severity="x\\"y"']}
    assert later["matchers"] == ['severity="info"']


def test_addresses_have_their_secret() -> None:
    found = {one["name"]: one for one in config([HOOK, CHAT])["receivers"]}
    assert found["hook"]["webhook_configs"] == [{"url": "https://hooks.test/s3cret", "send_resolved": True}]
    assert found["chat"]["slack_configs"][0]["api_url"] == "https://chat.test/s3cret"
    assert alerting.secret_paths([TEAM, HOOK, CHAT], "environment/mail") == [PATH, "environment/mail"]


def test_the_mail_server_gets_its_login() -> None:
    found = config([TEAM], mail={**MAIL, "tls": True, "user": "greenroom", "secret": PATH})["global"]
    assert (found["smtp_auth_username"], found["smtp_auth_password"]) == ("greenroom", "s3cret")
    assert "smtp_auth_username" not in config([TEAM])["global"]


def test_a_dead_mans_switch_gets_the_alert_that_always_fires_each_minute() -> None:
    found = config([TEAM], switch="https://switch.test/x")
    assert found["route"]["routes"][0] | {"receiver": ""} == {
        "receiver": "",
        "matchers": ['alertname="Watchdog"'],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "1m",
    }
    assert {
        "name": "watchdog",
        "webhook_configs": [{"url": "https://switch.test/x", "send_resolved": False}],
    } in found["receivers"]
