# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One request, followed through the hosts."""

from __future__ import annotations

from environment import Environment


def test_a_request_is_followed_from_the_edge_to_the_service(staging: Environment) -> None:
    code, headers, _body = staging.get("/version")
    assert code == 200
    request = headers["x-request-id"]
    run = staging.play("playbooks/logs.yml", "-e", f"request={request}", "-e", "since=10m")
    assert run.quiet
    # The edge logs a request when it has ended.
    found = {line.split()[3]: line.split()[2] for line in run.output.splitlines() if request in line}
    assert found.keys() == {"haproxy", f"portal-{staging.live()}"}
    assert found["haproxy"] == staging.active_edge()
