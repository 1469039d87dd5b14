# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a proof of the egress guard says, from the attempts of hosts and what arrived."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.greenroom.controller.hosts import egress_proof

HOST, SHOP = "00000001", "00000002"
FOUND = [
    {
        "routes": ["HTTP", "ICMP"],
        "places": {HOST: "app1: root", SHOP: "app1: shop"},
        "impossible": [["ICMP", SHOP]],
        "refused": 3,
    }
]
LISTED = [f"GR0x{HOST}az 198.19.200.10", f"GR0x{SHOP}az 198.19.200.10"]
OPEN = [f"GR0x{HOST}bz 198.19.200.66", f"GR0x{SHOP}bz 198.19.200.66", f"GR1x{HOST}bz icmp"]


def result(lines: list[str], opened: bool = True, **changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = egress_proof.result([FOUND[0] | changed], "\n".join(lines), opened)
    return found


def test_all_arrive_without_the_rules_and_none_with_them() -> None:
    found = result(LISTED + OPEN)
    assert found["passed"]
    assert found["wrong"] == []
    assert all(line.startswith("ok ") for line in found["lines"])
    assert [place["name"] for place in found["places"]] == ["app1: root", "app1: shop"]
    http, icmp = found["routes"]
    assert (http["arrived"], http["tried"]) == ({"guarded": 0, "open": 2}, 2)
    # A place that can't try a route counts for nothing.
    assert (icmp["arrived"], icmp["tried"]) == ({"guarded": 0, "open": 1}, 1)
    assert [cell["style"] for cell in icmp["cells"]] == ["good", "none"]


def test_an_escape_fails_the_proof_and_is_named() -> None:
    for phase in "ac":
        found = result([*LISTED, *OPEN, f"GR0x{SHOP}{phase}z 198.19.200.66"])
        assert not found["passed"]
        assert found["wrong"] == ["Escaped: HTTP, from app1: shop"]
        assert found["routes"][0]["cells"][1] == {"guarded": "arrived", "open": "arrived", "style": "bad"}


def test_attempts_that_prove_nothing_fail_the_proof() -> None:
    found = result(LISTED + OPEN[:2])
    assert not found["passed"]
    assert found["wrong"] == ["Did not arrive without the rules: ICMP, from app1: root"]
    assert found["routes"][1]["cells"][0]["open"] == "lost"


def test_a_listed_call_that_fails_and_refusals_that_nobody_counts_fail_the_proof() -> None:
    found = result(LISTED[:1] + OPEN)
    assert not found["passed"]
    assert found["wrong"] == ["Did not reach the listed name: app1: shop"]
    assert not result(LISTED + OPEN, refused=0)["passed"]


def test_without_the_counter_check_the_report_says_so() -> None:
    found = result(LISTED, opened=False)
    assert found["passed"]
    assert "so nothing shows that attempts work" in found["lines"][-1]
    assert found["routes"][0]["cells"][0] == {"guarded": "refused", "open": "", "style": "good"}


def test_attempts_are_those_of_all_hosts() -> None:
    hostvars = {host: {"egress_proof_guarded": {"stdout": json.dumps({"places": {host: host}})}} for host in "ab"}
    assert [each["places"] for each in egress_proof.tries(hostvars, "ab")] == [{"a": "a"}, {"b": "b"}]
