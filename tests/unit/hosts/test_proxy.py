# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The proxy of hosts, in the forms that programs read."""

from __future__ import annotations

from ansible.module_utils.greenroom.controller.hosts.proxy import apt_lines, variables

URL = "http://proxy.example.org:3128"


def test_without_a_proxy_programs_get_nothing() -> None:
    assert variables("", ["198.18.10.11"], "staging.example.org", ["registry"]) == {}


def test_the_environments_own_hosts_and_names_need_no_proxy() -> None:
    found = variables(URL, ["198.18.10.11", "fd00::1"], "staging.example.org", ["registry", "198.18.10.11"])
    assert found["http_proxy"] == found["HTTPS_PROXY"] == URL
    assert found["no_proxy"] == "localhost,127.0.0.1,::1,198.18.10.11,fd00::1,.staging.example.org,registry"
    assert found["NO_PROXY"] == found["no_proxy"]


def test_apt_reaches_single_hosts_directly() -> None:
    assert apt_lines(URL, ["mirror", ".example.org", "10.0.0.0/8"]) == [
        f'Acquire::http::Proxy "{URL}";',
        f'Acquire::https::Proxy "{URL}";',
        'Acquire::http::Proxy::mirror "DIRECT";',
        'Acquire::https::Proxy::mirror "DIRECT";',
    ]
