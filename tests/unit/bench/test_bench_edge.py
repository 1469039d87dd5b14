# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The two configurations that bench/edge compares."""

from __future__ import annotations

import re

from bench.edge.configure import full, plain, sections
from bench.edge.run import Times, quantile

EDGE = """\
# Managed by Greenroom
global
    maxconn 4000
    stats socket /run/haproxy/admin.sock mode 660 level admin

defaults
    mode http

frontend plain
    bind :80

frontend public
    bind :443 ssl crt certificates/edge.pem alpn h2,http/1.1
    # The slot
    http-request set-var(txn.switch) str(staging),map(/etc/haproxy/maps/live.map)
    http-request deny deny_status 429 if { sc_http_req_rate(0,limit_default) gt 6000 }

frontend peers
    bind :8406 ssl crt certificates/edge.pem

backend nowhere
    http-request return status 404
"""
SLOT = """\
# Backends of the {slot} slot
backend kratos_public_{slot}
    server app1 10.0.0.1:14433

backend portal_http_{slot}
    option httpchk
    http-response set-header X-Greenroom-Slot {slot}
    default-server check port {port}
    server app1 10.0.0.1:{port}
    server app2 10.0.0.2:{port}
"""


def test_the_edges_own_configuration_moves_to_loopback_and_turns_nobody_away() -> None:
    text = full(EDGE, "/run/bench", 18501)
    assert list(sections(text)) == ["global", "defaults", "frontend public", "backend nowhere"]
    assert re.findall(r"bind .*", text) == ["bind 127.0.0.1:18501 ssl crt certificates/edge.pem alpn h2,http/1.1"]
    assert "map(/run/bench/live.map)" in text
    assert "stats socket /run/bench/full.sock mode 660" in text
    assert "gt 1000000000 }" in text


def test_the_plain_configuration_has_the_same_tls_and_servers_and_no_more() -> None:
    slots = {"green": (SLOT.format(slot="green", port=2), 75), "blue": (SLOT.format(slot="blue", port=1), 25)}
    found = sections(plain(EDGE, slots, "portal_http", "/run/bench", 18502))
    assert list(found) == ["global", "defaults", "frontend public", "backend everything"]
    assert found["frontend public"].splitlines()[1:4] == [
        "    bind 127.0.0.1:18502 ssl crt certificates/edge.pem alpn h2,http/1.1",
        "    option httplog",
        "    default_backend everything",
    ]
    assert [line.strip() for line in found["backend everything"].splitlines()[1:]] == [
        "option httpchk",
        "default-server check port 2",
        "server green_app1 10.0.0.1:2 weight 75",
        "server green_app2 10.0.0.2:2 weight 75",
        "default-server check port 1",
        "server blue_app1 10.0.0.1:1 weight 25",
        "server blue_app2 10.0.0.2:1 weight 25",
    ]


def test_quantiles_and_their_interval() -> None:
    assert quantile(range(100), 0.99) == 99
    assert quantile([1], 0.99) == 1
    times = Times(list(range(200, 400)), list(range(100, 300)))
    low, high = times.interval(50)
    assert low <= times.ratio() == 398 / 298 <= high
