# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Scheduled jobs and hooks in a bundle: on one host, described so that older bundles and catalogs still work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle import jobs
from ansible.module_utils.greenroom.controller.bundle.calls import calls
from ansible.module_utils.greenroom.controller.bundle.description import describe
from ansible.module_utils.greenroom.controller.bundle.description_schema import problem
from ansible.module_utils.greenroom.controller.catalogue import derived_names
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.slots.job_status import job_command, job_lines

GROUPS = {"app": ["app1", "app2"], "extra": ["app2"]}
ROLES = Path(__file__).parents[3] / "roles"
MEMBERS = {"app": {"app1": "192.0.2.1", "app2": "192.0.2.2"}, "extra": {"app2": "192.0.2.2"}}
RELEASE = {"name": "1.0", "id": "0", "images": {"shop": "registry/shop@sha256:0"}}
SCHEDULE = {"nightly": {"command": ["tidy"], "at": "0 2 * * *", "timeout": "30m", "persistent": True}}


def service(name: str, **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise(name, {"image": "shop", **keys}, f"/services/{name}")
    return found


def described(*services: dict[str, Any], slot: str = "blue") -> dict[str, Any]:
    found: dict[str, Any] = describe({each["name"]: each for each in services}, slot, RELEASE, MEMBERS)
    assert problem(found) == ""
    return found


def test_a_service_without_jobs_keeps_the_description_of_earlier_versions() -> None:
    found = described(service("shop"))["services"]["shop"]
    assert not {"schedule", "hooks", "console"} & set(found)
    assert not jobs.has_jobs(described(service("shop")))
    assert jobs.job_list(described(service("shop")), "/slots/blue", "app1", GROUPS) == []


def test_a_job_runs_on_the_first_host_of_its_group_only() -> None:
    found = described(service("shop", schedule=SCHEDULE), service("mail", group="extra", schedule=SCHEDULE))
    assert [job["stem"] for job in jobs.jobs_on(found, "app1", GROUPS)] == ["shop-job-nightly"]
    assert [job["stem"] for job in jobs.jobs_on(found, "app2", GROUPS)] == ["mail-job-nightly"]
    [listed] = jobs.job_list(found, "/slots/blue", "app1", GROUPS)
    assert listed == {"dest": "/slots/blue.jobs", "content": "shop-job-nightly\n"}
    assert jobs.slot_jobs(found, "app2", GROUPS) == ["mail-job-nightly-blue.service"]


def test_the_timer_belongs_to_no_slot_and_only_its_own_file_restarts_it() -> None:
    blue, green = (described(service("shop", schedule=SCHEDULE), slot=slot) for slot in ("blue", "green"))
    assert jobs.timer_files(blue, "app1", GROUPS) == jobs.timer_files(green, "app1", GROUPS)
    [unit] = jobs.timer_units(blue, "app1", GROUPS)
    assert (unit["name"], unit["files"]) == (
        "greenroom-shop-job-nightly.timer",
        ["/etc/systemd/system/greenroom-shop-job-nightly.timer"],
    )


def test_a_deploy_waits_for_as_long_as_the_longest_job_may_take() -> None:
    longer = {**SCHEDULE, "weekly": {"command": ["x"], "at": "weekly", "timeout": "2h"}}
    found = described(service("shop", schedule=longer))
    assert jobs.wait_tries(found, "app1", GROUPS) * 20 > 7200
    assert jobs.wait_tries(found, "app2", GROUPS) == 0


def test_jobs_and_hooks_may_call_what_their_service_calls() -> None:
    shop = service("shop", calls=["mail.smtp"], schedule=SCHEDULE, hooks={"after_deploy": ["warm"]})
    mail = service("mail", ports={"smtp": {"container": 25, "from": []}}, health={"command": ["x"]})
    found = {call["caller"] for call in calls({"shop": shop, "mail": mail}, {})}
    assert {"shop-job-nightly-green", "shop-after_deploy", "shop-run", "shop-console"} <= found


def test_the_container_of_a_job_is_no_other_service() -> None:
    catalogue = {each["name"]: each for each in (service("shop", schedule=SCHEDULE), service("shop-job-nightly"))}
    assert list(derived_names.equal(catalogue))


def test_a_hook_runs_once_in_services_that_the_catalog_has() -> None:
    hooks = {"before_cutover": ["check"]}
    found = described(service("shop", hooks=hooks), service("gone", hooks=hooks))
    catalogue = {"shop": service("shop", hooks={"before_cutover": ["check", "--more"]})}
    asked = jobs.hook_commands(found, "before_cutover", "app1", GROUPS, catalogue)
    assert asked == [{"service": "shop", "command": ["check"], "image": "registry/shop@sha256:0"}]
    assert not jobs.hook_commands(found, "before_cutover", "app2", GROUPS, catalogue)
    # One that always fails could never be removed otherwise.
    assert not jobs.hook_commands(found, "before_cutover", "app1", GROUPS, {"shop": service("shop")})
    assert jobs.has_hook("before_cutover", {}, found)
    assert jobs.has_hook("after_cutover", {"after_cutover": "x.yml"}, found)
    assert not jobs.has_hook("after_cutover", {}, found)


@pytest.mark.parametrize(
    ("slot", "name", "command", "problem"),
    [
        ("", "shop", ["x"], "no slot is live yet"),
        ("green", "shop", ["x"], "green has no release"),
        ("blue", "shpo", ["x"], 'blue has no service "shpo"; did you mean "shop"?'),
        ("blue", "", ["x"], "no service is named; add -e service=<one of shop>"),
        ("blue", "shop", [], "no command is given"),
        ("blue", "shop", "x", "no command is given"),
        ("blue", "shop", ["x"], ""),
    ],
)
def test_a_one_time_command_that_cannot_run_is_refused(slot: str, name: str, command: Any, problem: str) -> None:
    found = jobs.run_problem({"blue": described(service("shop"))}, slot, name, command, GROUPS)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_a_one_time_command_is_not_skipped_without_a_word_if_its_host_is_not_there() -> None:
    host = jobs.run_host(described(service("shop")), "shop", GROUPS)
    assert jobs.run_host_problem(host, ["app1", "app2"]) == ""
    assert jobs.run_host_problem(host, ["app2"]).startswith("it runs on app1, which does not respond")


def test_a_one_time_command_knows_the_first_arguments_of_the_entry_point() -> None:
    shop = described(service("shop", entrypoint=["/usr/bin/tini", "--", "manage"]))["services"]["shop"]
    assert shop["entry_arguments"] == ["--", "manage"]
    assert "entry_arguments" not in described(service("shop", entrypoint=["/init"]))["services"]["shop"]


def test_a_description_from_a_host_cannot_write_into_timers() -> None:
    found = described(service("shop", schedule=SCHEDULE))
    found["services"]["shop"]["schedule"]["nightly"]["calendar"] = ["daily\n[Service]"]
    assert problem(found) == "services.shop.schedule.nightly.calendar[0] is not valid"


TIMER = "Id=greenroom-shop-job-nightly.timer\nActiveState={}\nLastTriggerUSec={}\nNextElapseUSecRealtime=@1767229200"
UNIT = "Id=greenroom-shop-job-nightly.service\nActiveState={}\nResult={}\n{}"
TIMES = "ExecMainStartTimestamp=@1767142800\nExecMainExitTimestamp=@1767142860"


@pytest.mark.parametrize(
    ("timer", "unit", "line"),
    [
        (("active", ""), ("inactive", "success", ""), "not run yet, next 2026-01-01T01:00:00Z"),
        (("active", "@1767142800"), ("inactive", "success", ""), "last 2025-12-31T01:00:00Z, next 2026-01-01"),
        (("active", ""), ("inactive", "success", TIMES), "last 2025-12-31T01:00:00Z, succeeded, next 2026-01-01"),
        (("active", ""), ("failed", "exit-code", TIMES), "failed (exit-code; journalctl -u 'shop-job-nightly-*'"),
        (("active", ""), ("activating", "success", TIMES), "running since 2025-12-31T01:00:00Z"),
        (("inactive", ""), ("inactive", "success", ""), "greenroom-shop-job-nightly.timer is inactive; run playbooks"),
    ],
)
def test_the_status_has_the_last_run_its_result_and_the_next(
    timer: tuple[str, str], unit: tuple[str, str, str], line: str
) -> None:
    bundles = {"blue": described(service("shop", schedule=SCHEDULE))}
    assert job_command(bundles, "blue", "app2", GROUPS) == []
    assert "greenroom-shop-job-nightly.timer" in job_command(bundles, "blue", "app1", GROUPS)
    said = f"{TIMER.format(*timer)}\n\n{UNIT.format(*unit)}\n"
    found = job_lines({"app1": {"asked": {"stdout": said}}, "app2": {}}, "asked", bundles, "blue", GROUPS)
    assert list(found) == ["shop nightly"]
    assert found["shop nightly"].startswith("on app1: ")
    assert line in found["shop nightly"]
    assert job_lines({"app1": {}}, "asked", bundles, "blue", GROUPS) == {"shop nightly": "on app1: unknown"}


def test_hosts_export_what_the_alert_for_jobs_reads() -> None:
    rule = (ROLES / "monitoring/templates/etc/prometheus/rules/jobs.yml.j2").read_text()
    exporter = (ROLES / "node_exporter/templates/etc/default/prometheus-node-exporter.j2").read_text()
    [units] = re.findall(r'node_systemd_unit_state\{name=~"([^"]+)"', rule)
    assert re.fullmatch(units, f"{jobs.timer('shop-job-nightly')}.service")
    [exported] = re.findall(r"--collector.systemd.unit-include=([^ \"]+)", exporter)
    assert all(re.fullmatch(exported, f"{jobs.timer('shop-job-nightly')}.{kind}") for kind in ("service", "timer"))
