# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Scheduled jobs: a container's unit in each slot, and on one host a timer for both slots.

The timer doesn't belong to a slot, so a cutover neither loses nor repeats its tick. The tick asks the edge hosts which
slot is live, and starts the unit of that slot (`switch/slot_jobs.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ...common.names import suggestion
from ..catalogue.job_schema import job_container
from .activation import first_host
from .description import Description, Groups, Service
from .files import QUADLET_FOLDER, for_templates

UNIT_FOLDER = "/etc/systemd/system"
_SECONDS = {"s": 1, "m": 60, "h": 3600}
# One try of `greenroom-job wait` lasts so long.
_TRY_SECONDS = 20


def job_files(services: Iterable[Service], folder: str, slot: str) -> list[dict[str, Any]]:
    """Return the containers' units of services' jobs in a bundle; see `files.files`."""
    return [
        {
            "src": "service.container.j2",
            "dest": f"{QUADLET_FOLDER}/{job_container(service['name'], name)}-{slot}.container",
            "vars": {
                "service": for_templates(service),
                "slot": slot,
                "folder": folder,
                "job": {**job, "name": name, "container": f"{job_container(service['name'], name)}-{slot}"},
            },
        }
        for service in services
        for name, job in sorted(service.get("schedule", {}).items())
    ]


def jobs_on(description: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return the jobs that `host` starts while the slot is live: {service, name, stem, calendar, timeout, persistent}.

    `stem` is the name of the job's containers without the slot. A service's jobs run on the first host of its group.
    """
    return [
        {**job, "service": service["name"], "name": name, "stem": job_container(service["name"], name)}
        for _, service in sorted(description.get("services", {}).items())
        if service.get("schedule") and first_host(description, service, groups) == host
        for name, job in sorted(service["schedule"].items())
    ]


def job_list(description: Description, folder: str, host: str, groups: Groups) -> list[dict[str, str]]:
    """Return the file with the jobs of `host` in a bundle, for `greenroom-job`; none if the slot has no jobs."""
    if not has_jobs(description):
        return []
    stems = [job["stem"] for job in jobs_on(description, host, groups)]
    return [{"dest": f"{folder}.jobs", "content": "".join(f"{stem}\n" for stem in stems)}]


def has_jobs(*descriptions: Description) -> bool:
    """Tell whether a slot has scheduled jobs, on any host."""
    return any(service.get("schedule") for each in descriptions for service in each.get("services", {}).values())


def timer(stem: str) -> str:
    """Return the name of a job's timer and of the unit that it starts, without their suffix."""
    return f"greenroom-{stem}"


def timer_files(description: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return the timers of `host` while the slot is live, and the units that they start."""
    return [
        {"src": f"jobs/job.{kind}.j2", "dest": f"{UNIT_FOLDER}/{timer(job['stem'])}.{kind}", "vars": {"job": job}}
        for job in jobs_on(description, host, groups)
        for kind in ("service", "timer")
    ]


def timer_units(description: Description, host: str, groups: Groups) -> list[dict[str, Any]]:
    """Return these timers as units that run. Only a change of the timer itself, such as of its time, restarts it."""
    return [
        {
            "name": f"{timer(job['stem'])}.timer",
            "state": "started",
            "enabled": "true",
            "on_change": "restart",
            "files": [f"{UNIT_FOLDER}/{timer(job['stem'])}.timer"],
        }
        for job in jobs_on(description, host, groups)
    ]


def slot_jobs(description: Description, host: str, groups: Groups) -> list[str]:
    """Return the units of a slot's jobs on `host`."""
    return [f"{job['stem']}-{description['slot']}.service" for job in jobs_on(description, host, groups)]


def wait_tries(description: Description, host: str, groups: Groups) -> int:
    """Return how often `greenroom-job wait` may be asked until the slot's longest job must have ended; 0 without jobs.

    systemd ends a job after its timeout.
    """
    seconds = [int(job["timeout"][:-1]) * _SECONDS[job["timeout"][-1]] for job in jobs_on(description, host, groups)]
    return max(seconds) // _TRY_SECONDS + 3 if seconds else 0


def hook_commands(
    description: Description, hook: str, host: str, groups: Groups, catalogue: Mapping[str, Service]
) -> list[dict[str, Any]]:
    """Return the commands of a hook that `host` runs, [{service, command, image}]: each on the first host of its group.

    A hook that is not in the catalog any more doesn't run: one that always fails would let no deploy remove it.
    """
    return [
        {"service": name, "command": list(words), "image": description.get("images", {}).get(service["image"], "")}
        for name, service in sorted(description.get("services", {}).items())
        if catalogue.get(name, {}).get("hooks", {}).get(hook)
        and (words := service.get("hooks", {}).get(hook))
        and first_host(description, service, groups) == host
    ]


def has_hook(hook: str, own: Mapping[str, str], *descriptions: Description) -> bool:
    """Tell whether something runs at a hook: tasks of the operator, `own` = {hook: file}, or a service's command."""
    return hook in own or any(
        service.get("hooks", {}).get(hook) for each in descriptions for service in each.get("services", {}).values()
    )


def run_problem(bundles: Mapping[str, Description], slot: str, service: str, command: object, groups: Groups) -> str:
    """Return why a one-time command can't run in a slot, and what to do, or ""."""
    services = bundles.get(slot, {}).get("services", {})
    if not slot:
        return "no slot is live yet; deploy a release with site.yml"
    if not services:
        return f"{slot} has no release; playbooks/status.yml shows what each slot runs"
    if service not in services:
        named = (
            f'{slot} has no service "{service}"{suggestion(service, services)}' if service else "no service is named"
        )
        return f"{named}; add -e service=<one of {', '.join(sorted(services))}>"
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        return (
            """no command is given; add -e '{"command": ["word", "word"]}', the arguments of the image's entry point"""
        )
    if not run_host(bundles[slot], service, groups):
        return f"no host of {services[service]['group']} has {slot}"
    return ""


def run_host_problem(host: str, hosts: Collection[str]) -> str:
    """Return why a one-time command can't run on `host`, or ""; `hosts` are those of this run."""
    return "" if host in hosts else f"it runs on {host}, which does not respond or is not one of those in --limit"


def run_host(description: Description, service: str, groups: Groups) -> str:
    """Return the host on which a one-time command of a service runs in a slot, "" if the slot doesn't have it."""
    own = description.get("services", {}).get(service)
    return str(first_host(description, own, groups) or "") if own else ""
