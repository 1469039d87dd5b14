# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Installed packages, their versions, which are held, and from where packages come."""

from __future__ import annotations

import glob
import re

from .reading import Items, UnreadError, has, output, text


def packages() -> Items:
    """Yield {package: version}, `held <package>`, and `source <repository>`."""
    if has("dpkg-query"):
        yield from _debian()
    elif has("rpm"):
        form = "%{NAME}\t%{VERSION}-%{RELEASE}\n"
        for line in output("rpm", "--query", "--all", "--queryformat", form).splitlines():
            name, version = line.split("\t")
            yield name, version
    else:
        raise UnreadError("neither dpkg nor rpm is installed")


def _debian() -> Items:
    form = "${db:Status-Abbrev}\t${binary:Package}\t${Version}\n"
    for line in output("dpkg-query", "--show", "--showformat", form).splitlines():
        status, name, version = line.split("\t")
        if status[1] == "i":
            # Whether dpkg adds the architecture to a name depends on what else is installed.
            yield name.partition(":")[0], version
        if status[0] == "h":
            yield f"held {name.partition(':')[0]}", "yes"
    for source in sorted(_sources()):
        yield f"source {source}", "yes"


def _sources() -> set[str]:
    found = set()
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        for line in text(path).splitlines():
            if match := re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.strip()):
                found |= {f"{match[1].rstrip('/')} {match[2]} {part}" for part in match[3].split()}
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        for block in re.split(r"\n\s*\n", text(path)):
            entry = {key: value.split() for key, value in re.findall(r"^([\w-]+):\s*(.*)$", block, re.MULTILINE)}
            if "deb" in entry.get("Types", []) and entry.get("Enabled") != ["no"]:
                found |= {
                    f"{uri.rstrip('/')} {suite} {part}"
                    for uri in entry.get("URIs", [])
                    for suite in entry.get("Suites", [])
                    for part in entry.get("Components", [""])
                }
    return found
