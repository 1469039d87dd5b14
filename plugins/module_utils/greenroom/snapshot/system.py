# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The operating system: release, kernel and its settings, time zone, locale, clock, size."""

from __future__ import annotations

import glob
import os
import re
import time

from .reading import Items, Unread, UnreadError, has, output, text

SETTINGS = (
    "fs.file-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "kernel.pid_max",
    "kernel.threads-max",
    "net.core.default_qdisc",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "net.ipv6.conf.all.disable_ipv6",
    "vm.dirty_background_ratio",
    "vm.dirty_ratio",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "vm.swappiness",
)
"""Kernel settings that change how servers behave. Those that a file on the host sets are read, too."""
# The kernel derives them from the machine's memory.
_BY_SIZE = {"fs.file-max", "kernel.threads-max", "net.ipv4.tcp_max_syn_backlog"}
_FOLDERS = ("/usr/lib/sysctl.d", "/etc/sysctl.d", "/run/sysctl.d")


def system() -> Items:
    """Yield release, kernel, time zone, locale and whether the clock is synchronized."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text("/etc/os-release"), re.MULTILINE))
    yield "operating system", f"{release.get('ID', 'unknown')} {release.get('VERSION_ID', '')}".strip()
    yield "kernel", os.uname().release
    yield "architecture", os.uname().machine
    yield "time zone", _time_zone()
    settings = text("/etc/default/locale") + "\n" + text("/etc/locale.conf")
    for name, value in re.findall(r'^(LANG|LC_\w+)="?([^"\n]*)"?$', settings, re.MULTILINE):
        yield f"locale {name}", value
    pages = text("/sys/kernel/mm/transparent_hugepage/enabled")
    if found := re.search(r"\[(\w+)\]", pages):
        yield "transparent huge pages", found[1]
    if has("timedatectl"):
        yield "clock synchronized", _synchronized()


def clock() -> float:
    """Return the host's time in seconds since 1970, which the controller compares with its own."""
    return time.time()


def _time_zone() -> str:
    if os.path.islink("/etc/localtime"):
        return os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return text("/etc/timezone").strip() or "UTC"


def _synchronized() -> str | Unread:
    try:
        return output("timedatectl", "show", "--property", "NTPSynchronized", "--value").strip()
    except UnreadError as error:
        return Unread(str(error))


def kernel() -> Items:
    """Yield the kernel settings in effect: the well-known ones, and all that a file on the host sets."""
    for name in sorted({*SETTINGS, *_configured()} - _BY_SIZE):
        path = "/proc/sys/" + name.replace(".", "/")
        if not os.path.exists(path):
            continue
        try:
            yield name, " ".join(text(path).split())
        except UnreadError as error:
            yield name, Unread(str(error))


def _configured() -> set[str]:
    names = set()
    for path in ["/etc/sysctl.conf", *(found for folder in _FOLDERS for found in glob.glob(f"{folder}/*.conf"))]:
        for line in text(path).splitlines():
            name = line.partition("=")[0].strip().lstrip("-").replace("/", ".")
            # Patterns of interfaces differ from host to host.
            if re.fullmatch(r"[a-z0-9_.]+", name):
                names.add(name)
    return names


def size() -> Items:
    """Yield processors, memory and the root disk. Memory is rounded: firmware takes a different part of it."""
    yield "processors", os.cpu_count() or 0
    memory = re.search(r"^MemTotal:\s+(\d+) kB", text("/proc/meminfo"), re.MULTILINE)
    yield "memory in GiB", round(int(memory[1]) / 2**20, 1) if memory else 0
    disk = os.statvfs("/")
    yield "root disk in GiB", round(disk.f_blocks * disk.f_frsize / 2**30)
