# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who called whom, what was refused, and what is left of the budgets."""

from __future__ import annotations

import json

from ansible.module_utils.greenroom.controller.hosts import egress, egress_report

JOURNAL = """
[NOTICE] (1) : New worker (2) forked
{"reason":"none","caller":"shop","from":"192.0.2.1","name":"api.pay.test","target":"pay","address":"198.51.100.1","port":443,"bytes":9}
{"reason":"none","caller":"shop","from":"192.0.2.1","name":"api.pay.test","target":"pay","address":"198.51.100.1","port":443,"bytes":9}
{"reason":"name","caller":"host","from":"192.0.2.2","name":"evil.test","target":"-","address":"-","port":80,"bytes":0}
{"reason":"budget","caller":"shop","from":"192.0.2.1","name":"api.pay.test","target":"pay","address":"-","port":443,"bytes":0}
"""
NAMES = """
dnsmasq[1]: 7 192.0.2.1/4242 query[A] data.evil.test from 192.0.2.1
dnsmasq[1]: 7 192.0.2.1/4242 config data.evil.test is NXDOMAIN
dnsmasq[1]: 8 192.0.2.1/4242 config api.pay.test is 192.0.2.9
dnsmasq[1]: 9 192.0.2.1/4242 config api.pay.test is NODATA-IPv6
"""
COUNTS = """
# table: minute, type: string, size:10240, used:2
0x1: key=pay:99 use=0 exp=1 shard=0 gpc0=60
0x2: key=pay:100 use=0 exp=1 shard=0 gpc0=2
# table: day, type: string, size:10240, used:1
0x3: key=pay:7 use=0 exp=1 shard=0 gpc0=62
"""
GUARD = {"journal": JOURNAL, "names": NAMES, "counts": COUNTS, "now": {"minute": 100, "day": 7}}
ELEMENT = {"val": {"concat": ["192.0.2.1", "203.0.113.9", "tcp", 25]}, "counter": {"packets": 3, "bytes": 180}}
OTHER = {"val": {"concat": ["10.89.10.7", "203.0.113.9", "icmp"]}, "counter": {"packets": 1, "bytes": 84}}
FIREWALL = json.dumps(
    {"nftables": [{"set": {"elem": [{"elem": ELEMENT}]}}, {"set": {"elem": [{"elem": OTHER}]}}, {"set": {}}]}
)
HOSTS = [("192.0.2.1", "app1"), ("192.0.2.2", "data1")]


def test_the_report_names_callers_targets_and_what_is_left() -> None:
    wanted = egress.targets({"pay": {"hosts": ["api.pay.test"], "budget": {"minute": 60, "day": 1000}}})
    read = {"app1": FIREWALL}
    found = egress_report.summary(GUARD, read, wanted, HOSTS)
    assert found["calls"] == [{"host": "app1", "caller": "shop", "target": "pay", "times": 2}]
    assert egress_report.table(found) == [
        "Budgets:",
        "  pay: 58 of 60 calls left in this minute",
        "  pay: 938 of 1000 calls left in this day",
        "Calls that passed:",
        "  2 x shop on app1: pay",
        "Calls that the guard refused:",
        "  1 x shop on app1: api.pay.test:443 (budget spent)",
        "  1 x host on data1: evil.test:80 (not listed)",
        "Names that it did not resolve:",
        "  1 x app1: data.evil.test",
        "Packets that firewalls refused:",
        "  3 x app1 on app1: tcp 203.0.113.9:25",
        "  1 x 10.89.10.7 on app1: icmp 203.0.113.9",
    ]


def test_a_long_list_is_cut_and_an_empty_one_says_so() -> None:
    found = egress_report.summary(GUARD | {"journal": "", "names": "", "counts": ""}, {}, [], [])
    assert egress_report.table(found)[0] == "Budgets: none"
    found["names"] = [{"host": "app1", "name": f"{number}.test", "times": 1} for number in range(3)]
    assert "  and 1 more (egress_report_file has all)" in egress_report.table(found, most=2)


def test_only_hosts_whose_firewall_was_read_count() -> None:
    read = {"app1": {"egress_report_firewall": {"stdout": "{}"}}, "app2": {}}
    assert egress_report.firewalls(read, ["app1", "app2"]) == {"app1": "{}"}
