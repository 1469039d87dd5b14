"""A run that would lock the controller out of hosts is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.validate.lockout import Login, lockout_problems, source_address

ADDRESSES = {"ops": ["198.51.100.7"]}
HOSTS = ("app1", "app2")


def problems(sources: Any, own: str = "", user: str = "operator", applies: bool = True) -> list[str]:
    logins = {host: Login("127.0.0.1", user, sources, seen=own) for host in HOSTS}
    return list(lockout_problems(logins, ADDRESSES, applies))


def test_no_source_at_all_locks_everybody_out() -> None:
    for applies in (True, False):
        (line,) = problems([], applies=applies)
        assert line.startswith("firewall_ssh_sources: empty, ")
        assert line.endswith("(on app1, app2)")


@pytest.mark.parametrize("sources", [["203.0.113.0/24"], ["ops"], ["::1/128"]])
def test_sources_without_the_controller_are_refused(sources: list[str]) -> None:
    # This machine reaches 127.0.0.1 from 127.0.0.1.
    (line,) = problems(sources)
    assert line.startswith("firewall_ssh_sources: the controller's address 127.0.0.1 is not in it")
    assert "firewall_controller_address" in line


@pytest.mark.parametrize("sources", [["127.0.0.0/8"], ["203.0.113.9", "127.0.0.1"], ["0.0.0.0/0"]])
def test_sources_with_the_controller_are_right(sources: list[str]) -> None:
    assert problems(sources) == []


def test_hosts_may_see_another_address_of_the_controller() -> None:
    assert problems(["203.0.113.0/24"], own="203.0.113.5") == []
    assert problems(["ops"], own="198.51.100.7") == []
    assert len(problems(["127.0.0.0/8"], own="203.0.113.5")) == 1


def test_only_hosts_behind_a_jump_host_see_another_address() -> None:
    logins = {
        "edge1": Login("127.0.0.1", "operator", ["127.0.0.0/8"]),
        "app1": Login("127.0.0.2", "operator", ["10.1.0.9/32"], seen="10.1.0.9"),
    }
    assert list(lockout_problems(logins, ADDRESSES, True)) == []


def test_a_run_that_changes_no_firewall_may_come_from_anywhere() -> None:
    assert problems(["203.0.113.0/24"], applies=False) == []


def test_other_checks_report_sources_of_another_shape() -> None:
    assert problems(None) == problems("203.0.113.1") == problems(["198.18.20.300"]) == []


def test_a_login_as_root_is_refused() -> None:
    (line,) = problems(["127.0.0.1"], user="root", applies=False)
    assert line.startswith("ansible_user: ")
    assert "root" in line


def jumping(options: str, forwards: Any = (), applies: bool = True) -> list[str]:
    """The problems of two hosts, of which one is reached through the other, or through neither."""
    logins = {
        "ops1": Login("127.0.0.1", "operator", ["127.0.0.1"], forwards=forwards),
        "app1": Login("127.0.0.2", "operator", ["127.0.0.0/8"], options),
    }
    return list(lockout_problems(logins, ADDRESSES, applies))


@pytest.mark.parametrize(
    "options",
    [
        "-o IdentitiesOnly=yes -J ops1",
        "-J operator@127.0.0.1:22",
        "-o ProxyJump=ops1",
        "-oProxyJump=bastion.example.org,ssh://ops1",
        "-o 'ProxyJump ops1'",
        "-o 'ProxyCommand=ssh -i key -W %h:%p operator@ops1'",
        '-o ProxyCommand="ssh -W [%h]:%p 127.0.0.1 -l operator"',
    ],
)
def test_a_host_through_which_the_controller_jumps_must_forward(options: str) -> None:
    assert jumping(options) == [
        "base_forward_to: empty for ops1, through which the controller logs in, so no later run could log in; "
        'set ["*:22"] there (on app1)'
    ]
    assert jumping(options, ["*:22"]) == []
    assert jumping(options, applies=False) == []


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-J bastion.example.org",
        "-o ProxyJump=none",
        "-o ProxyCommand=nc ops1 22",
        "-o 'ProxyCommand=ssh -W %h:%p gate'",
    ],
)
def test_other_ways_are_not_known_to_end(options: str) -> None:
    assert jumping(options) == []


def test_the_way_to_an_unknown_host_is_unknown() -> None:
    assert source_address("127.0.0.1") == "127.0.0.1"
    assert source_address("a" * 300) == ""
