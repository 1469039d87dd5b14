# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Units of systemd: what is enabled, when timers run, limits, failures, and processes older than their files."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict

from .reading import Items, Unread, UnreadError, has, is_root, output

_PROPERTIES = (
    "CPUQuotaPerSecUSec",
    "LimitNOFILE",
    "LimitNPROC",
    "MemoryHigh",
    "MemoryMax",
    "NoNewPrivileges",
    "PrivateTmp",
    "ProtectSystem",
    "Restart",
    "TasksMax",
    "User",
)
"""What changes how a service runs, or what it may do."""
# Where programs and libraries are.
_FOLDERS = ("/usr/", "/opt/", "/lib", "/bin", "/sbin")
# They depend on the hardware, or on who is logged in.
_OF_THE_MACHINE = re.compile(r"^(user@|user-runtime-dir@|(serial-)?getty@|systemd-(udevd|fsck|backlight|hostnamed))")


def units() -> Items:
    """Yield `enabled <unit>`, `timer <unit>`, `failed <unit>`, and the limits of each service that runs."""
    if not has("systemctl"):
        raise UnreadError("this host has no systemd")
    listed = output("systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain", "--no-pager")
    for line in listed.splitlines():
        yield f"enabled {line.split()[0]}", "yes"
    for line in output("systemctl", "list-units", "--failed", "--no-legend", "--plain", "--no-pager").splitlines():
        yield f"failed {line.split()[0]}", "yes"
    timers = _names("timer", "active")
    for timer, shown in _shown(timers, ("TimersCalendar", "TimersMonotonic", "RandomizedDelayUSec")).items():
        # Behind the rule stands when it runs next.
        rules = [re.sub(r" ; next_elapse=.*", "", rule).strip("{ }") for rule in shown if "next_elapse" in rule]
        yield f"timer {timer}", sorted(rules) + [rule for rule in shown if rule.startswith("Randomized")]
    services = [name for name in _names("service", "running") if not _OF_THE_MACHINE.match(name)]
    passing = momentary(services)
    for service, shown in _shown(services, _PROPERTIES).items():
        if service not in passing:
            yield service, dict(sorted(line.partition("=")[::2] for line in shown))


def momentary(services: list[str]) -> set[str]:
    """Return the services that run now and then: jobs, and what a timer starts."""
    shown = _shown(services, ("Type", "TriggeredBy"))
    return {name for name, lines in shown.items() if "Type=oneshot" in lines or any(".timer" in line for line in lines)}


def _names(kind: str, state: str) -> list[str]:
    listed = output(
        "systemctl", "list-units", f"--type={kind}", f"--state={state}", "--no-legend", "--plain", "--no-pager"
    )
    return [line.split()[0] for line in listed.splitlines()]


def _shown(names: list[str], properties: tuple[str, ...]) -> dict[str, list[str]]:
    """Return {unit: lines of its properties}."""
    if not names:
        return {}
    wanted = f"--property={','.join(('Id', *properties))}"
    found = {}
    for block in output("systemctl", "show", wanted, *names).strip().split("\n\n"):
        lines = block.splitlines()
        name = next(line.removeprefix("Id=") for line in lines if line.startswith("Id="))
        found[name] = [line for line in lines if not line.startswith("Id=")]
    return found


def processes() -> Items:
    """Yield each unit with a process older than its files: what it runs was replaced, or systemd must be reloaded."""
    reloads = output("systemctl", "show", "--property=Id,NeedDaemonReload", *_names("service", "running"))
    for block in reloads.split("\n\n"):
        if "NeedDaemonReload=yes" in block and (found := re.search(r"^Id=(.+)$", block, re.MULTILINE)):
            yield f"{found[1]}: systemd has not read its new unit file", "yes"
    stale = defaultdict(set)
    hidden = 0
    for path in glob.glob("/proc/[0-9]*"):
        try:
            for file in _replaced(path):
                stale[_unit(path)].add(file)
        except PermissionError:
            hidden += 1
        except OSError:
            # It has ended meanwhile.
            continue
    for unit, files in sorted(stale.items()):
        yield f"{unit}: runs files that were replaced", sorted(files)
    if hidden and not is_root():
        yield "processes of other accounts", Unread("only root sees which files they run")


def _replaced(path: str) -> set[str]:
    """Return programs and libraries of a process that are no longer on the disk."""
    found = set()
    with open(f"{path}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            parts = line.rstrip("\n").split(None, 5)
            if len(parts) == 6 and parts[5].endswith(" (deleted)") and "x" in parts[1]:
                file = parts[5].removesuffix(" (deleted)")
                if file.startswith(_FOLDERS):
                    found.add(file)
    # Containers have disks of their own.
    return found if found and os.readlink(f"{path}/ns/mnt") == os.readlink("/proc/self/ns/mnt") else set()


def _unit(path: str) -> str:
    with open(f"{path}/cgroup", encoding="utf-8") as file:
        found = re.search(r"([^/\n]+\.(?:service|scope))", file.read())
    return found[1] if found else "no unit"
