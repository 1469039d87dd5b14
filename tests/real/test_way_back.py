# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The way back on a bad day: with hosts, Vault and the registry gone, from a candidate that is broken or unfinished."""

from __future__ import annotations

from environment import Environment, Probe, until

MARK = "/etc/greenroom/slots/{slot}.unfinished"


def workers(environment: Environment, slot: str) -> set[str]:
    """The hosts on which background services of a slot run."""
    return {host for host, name in environment.processes(slot) if name.startswith("portal-worker-")}


def test_a_rollback_works_without_vault_registry_ops_host_and_one_app_host(both_slots: Environment) -> None:
    old, new = both_slots.live(), both_slots.idle()
    both_slots.go_back(new)
    assert workers(both_slots, new) == {"app1", "app2"}
    # The visitors' password is in Vault.
    assert both_slots.get("/version")[0] == 200
    with both_slots.gone("control1", "ops1", "app2"):
        # Requests that a host holds when it dies are lost; those after that must not be.
        until(lambda: "UP" not in both_slots.health("app2"), 60, "the edge hosts have noticed that app2 is gone")
        with Probe(both_slots) as probe:
            run = both_slots.play("playbooks/rollback.yml")
        assert run.code == 0, run.output
        for edge in both_slots.groups["edge"]:
            assert both_slots.state(edge)["live"] == old
            assert both_slots.ask(edge, "ls /run/greenroom/lock.json.guard").stdout, "each edge host had the lock"
    assert probe.failures == []
    assert set(probe.slots) == {old, new}
    for host in ("ops1", "app2"):
        assert f"{host} does not answer: nothing was changed or checked there" in run.summary
    assert "checks that need a secret: Vault at" in run.summary
    # The silent host still runs those of the slot that was left, and says so nowhere but in the summary.
    assert workers(both_slots, new) == {"app2"}
    later = both_slots.play("playbooks/cutover.yml")
    assert later.code == 0, later.output
    assert (workers(both_slots, new), workers(both_slots, old)) == (set(), {"app1", "app2"})


def test_no_traffic_moves_to_a_slot_that_is_unfinished_or_has_no_healthy_server(both_slots: Environment) -> None:
    live, idle = both_slots.live(), both_slots.idle()
    epoch = both_slots.state()["epoch"]
    mark = MARK.format(slot=idle)
    both_slots.ssh("app2", f"""echo '{{"unfinished": "{idle}", "release": "1.1", "run": "a"}}' > {mark}""")
    try:
        refused = both_slots.play("playbooks/cutover.yml", "-e", f"to={idle}")
        assert refused.code != 0
        assert f"{idle} gets no traffic: the deploy of release 1.1 did not finish on app2" in refused.errors
        status = both_slots.play("playbooks/status.yml")
        assert (
            "the deploy of release 1.1 did not finish on app2. playbooks/deploy.yml -e release_name=1.1 completes it"
            in " ".join(status.output.split())
        )
    finally:
        both_slots.ssh("app2", f"rm {mark}")
    for host in both_slots.groups["app"]:
        both_slots.ssh(host, f"systemctl stop portal-{idle}")
    try:
        refused = both_slots.play("playbooks/cutover.yml", "-e", f"to={idle}", "-e", "smoke_wanted=false")
        assert refused.code != 0
        assert f"No traffic was moved: {idle} can't serve: portal-{idle}.service does not run (app1: " in refused.errors
        # Before it changed anything, and with the hosts and the reason.
        assert sum(refused.changed.values()) == 0, refused.output
    finally:
        for host in both_slots.groups["app"]:
            both_slots.ssh(host, f"systemctl start portal-{idle}")
    assert (both_slots.live(), both_slots.state()["epoch"]) == (live, epoch)


def test_an_app_host_that_boots_starts_the_background_services_of_the_slot_that_is_live_now(
    both_slots: Environment,
) -> None:
    old, new = both_slots.live(), both_slots.idle()
    both_slots.power("stop", "app2")
    run = both_slots.play("playbooks/cutover.yml", "-e", f"to={new}")
    assert run.code == 0, run.output
    both_slots.boot("app2")
    until(lambda: "app2" in workers(both_slots, new), 120, "app2 runs the live slot's background services")
    assert "app2" not in workers(both_slots, old)
    until(lambda: both_slots.health("app2") == {"UP"}, 120, "the edge hosts send requests to app2 again")
    both_slots.go_back(old)
