# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""A service's commands besides its own: scheduled jobs, hooks and the console. Their schema, defaults and rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .calendar_words import calendars
from .schema_terms import DURATION, WORDS, mapping, named, text

HOOKS = (
    *("before_deploy", "before_migrate", "after_migrate", "after_deploy"),
    *("before_cutover", "after_cutover"),
)
"""When a hook runs, in the order of a run."""
JOB = text(r"^[a-z][a-z0-9-]{0,29}\Z", "a name of at most 30 lowercase letters, digits and -")
TIMEOUT = "1h"

SCHEDULE = named(
    mapping(
        {
            "command": WORDS,
            "at": text(r"\S", "a calendar expression, or the five fields of cron"),
            "timeout": DURATION,
            "persistent": {"type": "boolean"},
        },
        ["command", "at"],
    ),
    JOB["pattern"],
    JOB["description"],
)
HOOK_COMMANDS = mapping(dict.fromkeys(HOOKS, WORDS))


def scheduled(raw: object) -> dict[str, dict[str, Any]]:
    """Return the jobs of a service with all defaults filled in: {job: {command, at, calendar, timeout, persistent}}.

    `calendar` are expressions of systemd; none if `at` is wrong.
    """
    found = {}
    for name, job in raw.items() if isinstance(raw, Mapping) else ():
        own = job if isinstance(job, Mapping) else {}
        at = str(own.get("at", ""))
        try:
            calendar = calendars(at)
        except ValueError:
            calendar = []
        found[str(name)] = {
            "command": list(own["command"]) if isinstance(own.get("command"), list) else [],
            "at": at,
            "calendar": calendar,
            "timeout": own.get("timeout", TIMEOUT),
            "persistent": own.get("persistent") is True,
        }
    return found


def job_problems(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a service's scheduled jobs, hooks and console, as `<key>: <problem>`."""
    for name, job in service["schedule"].items():
        try:
            calendars(job["at"])
        except ValueError as error:
            yield f"schedule.{name}.at: {error}"
        if not job["command"]:
            yield f"schedule.{name}.command: is empty, so the job would start the service itself; name its arguments"
    for name, words in service["hooks"].items():
        if not words:
            yield f"hooks.{name}: is empty, so the hook would start the service itself; name its arguments"


def job_commands(service: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the commands of scheduled jobs, hooks and the console, {key in service.yml: arguments}."""
    return {
        **{f"schedule.{name}.command": job["command"] for name, job in service["schedule"].items()},
        **{f"hooks.{name}": words for name, words in service["hooks"].items()},
        "console": service["console"],
    }


def job_container(service: str, job: str) -> str:
    """Return the name that the containers of a scheduled job have, without the slot."""
    return f"{service}-job-{job}"


def described_jobs(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a bundle's description says of these commands: the keys that the service has."""
    schedule = {
        name: {key: job[key] for key in ("calendar", "timeout", "persistent")}
        for name, job in service.get("schedule", {}).items()
    }
    found = {"schedule": schedule, "hooks": service.get("hooks"), "console": service.get("console")}
    # A one-time command comes after them, as the service's own command does.
    found["entry_arguments"] = service.get("entrypoint", [])[1:]
    # Services without them keep the description of earlier versions, so an update is no new bundle.
    return {key: value for key, value in found.items() if value}
