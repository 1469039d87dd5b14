# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Config files: owner, mode, and each setting. Of a file that not every account may read, only the names of settings.

What every account on a host may read is no secret there. Of other files nothing is kept from which a secret could be
guessed: no value, no checksum, no length.
"""

from __future__ import annotations

import glob
import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .accounts import group_name, user_name
from .reading import Items, Unread, UnreadError, needs_root, text

MOST_BYTES = 256 * 1024
"""Files above are data, not settings."""
MASK = "(secret)"
_SETTINGS_FILES = (".conf", ".cfg", ".env", ".ini", ".json", ".service", ".timer", ".toml", ".yaml", ".yml")
_SECRET_NAME = re.compile(r"pass(word|wd|phrase)?|secret|token|credential|api_?key|private", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\] |-]*$")

Settings = dict[str, list[str]]
"""{name of a setting, after its section: its values in their order}."""


def files(patterns: Sequence[str]) -> Items:
    """Yield {owner, mode, settings} of each regular file that a pattern finds, and the target of each link.

    A pattern that begins with an exclamation mark leaves files out.
    """
    needs_root()
    left_out = {path for pattern in patterns if pattern[0] == "!" for path in glob.glob(pattern[1:], recursive=True)}
    found = {path for pattern in patterns if pattern[0] != "!" for path in glob.glob(pattern, recursive=True)}
    for path in sorted(found - left_out):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(status.st_mode):
            yield path, {"link": os.readlink(path)}
        elif stat.S_ISREG(status.st_mode):
            yield path, _file(path, status)


def _file(path: str, status: os.stat_result) -> dict[str, Any]:
    known: dict[str, Any] = {
        "owner": f"{user_name(status.st_uid)}:{group_name(status.st_gid)}",
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
    }
    if status.st_size > MOST_BYTES:
        return known | {"settings": Unread(f"larger than {MOST_BYTES // 1024} KiB")}
    try:
        content = text(path)
    except UnreadError as error:
        return known | {"settings": Unread(str(error))}
    found = settings(path, content)
    if status.st_mode & stat.S_IROTH:
        return known | {"settings": {name: masked(name, values) for name, values in found.items()}}
    named = path.endswith(_SETTINGS_FILES)
    # A word without a value may be the secret itself.
    kept = {name: [MASK] for name, values in found.items() if named and any(values) and _NAME.match(name)}
    return known | {"settings": kept}


def masked(name: str, values: list[str]) -> list[str]:
    """Return the values of a setting, without those whose name says that they are secrets."""
    return [MASK] if _SECRET_NAME.search(name.rpartition("| ")[2]) else values


def settings(path: str, content: str) -> Settings:
    """Return the settings of a file: JSON by its keys, all others by their lines. Certificates and keys have none."""
    if "-----BEGIN " in content:
        return {}
    if path.endswith(".json"):
        try:
            found: Settings = defaultdict(list)
            for name, value in _flat("", json.loads(content)):
                found[name].append(value)
            return dict(found)
        except ValueError:
            pass
    return dict(_yaml(content) if path.endswith((".yml", ".yaml")) else _lines(content))


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(f"{name}[]", inner)
    else:
        yield name, json.dumps(value) if not isinstance(value, str) else value


def _lines(content: str) -> Settings:
    """Return settings by line: `name = value`, `name: value` or `name value`, below `[section]` or a heading.

    The headings of HAProxy and keepalived have no sign. What is indented belongs to them.
    """
    found: Settings = defaultdict(list)
    section = heading = ""
    indented = re.search(r"^[a-z].*\n[ \t]+[a-z]", content, re.MULTILINE) is not None
    for line in re.sub(r"\\\n\s*", " ", content).splitlines():
        said = " ".join(line.split())
        if not said or said[0] in "#;" or said.startswith("//"):
            continue
        if said[0] == "[" and said[-1] == "]":
            section, heading = said, ""
            continue
        if not line[0].isspace():
            heading = said.rstrip(" {") if indented and not re.match(r"\S+\s*=", said) else ""
        match = re.match(r"([^\s=:]+)(?:\s*=\s*|:\s+|:$)(.*)", said)
        name, value = match.groups() if match else said.partition(" ")[::2]
        above = section or (heading if line[0].isspace() else "")
        found[f"{above} | {name}" if above else name].append(value)
    return found


def _yaml(content: str) -> Settings:
    """Return settings of YAML by the indentation of lines, which is enough to compare: hosts have no YAML package."""
    found: Settings = defaultdict(list)
    above: list[tuple[int, str]] = []
    for line in content.splitlines():
        said = line.strip()
        if not said or said.startswith(("#", "---")):
            continue
        depth = len(line) - len(line.lstrip())
        while said.startswith("- "):
            depth, said = depth + 2, said[2:].strip()
        while above and above[-1][0] >= depth:
            above.pop()
        match = re.match(r"(['\"]?[\w./ -]+['\"]?):(?:\s+(.*))?$", said)
        path = [name for _depth, name in above]
        if match and match[2] in (None, "", "|", ">", ">-", "|-"):
            above.append((depth, match[1]))
        elif match:
            found[".".join([*path, match[1]])].append(match[2])
        else:
            found[".".join(path) or "line"].append(said)
    return found
