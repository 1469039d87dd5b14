# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Convert how a container runs: image, command, user, sizes, rights, files."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from typing import Any

from plugins.module_utils.greenroom.controller.catalogue.release import parse_image
from plugins.module_utils.greenroom.controller.catalogue.schema_terms import MOUNT

from .known import any_reference, program, supported
from .project import Draft, Project
from .reading import Key

_BYTES = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def image(project: Project, draft: Draft) -> None:
    """Name the image in the release file; services with the same image share the name."""
    place: tuple[Key, ...] = ("services", draft.source, "image")
    given = project.image(draft.source)
    if not given:
        given = f"{draft.name}:latest"
        project.note(("services", draft.source), f"built: push the image to your registry as {given}")
    reference = given if any_reference() else _in_registry(given)
    if "@" not in reference and ":" not in reference.rpartition("/")[2]:
        reference += ":latest"
        project.note(place, "no tag, so `latest`; name the version that you run")
    try:
        registry = parse_image(reference, "").registry
        if registry:
            project.note(place, f"name the registry {registry} in `registry_others` of the inventory (docs/images.md)")
    except ValueError:
        project.drop(place, f"{given} can't be in a release file; push it to your registry under another name")
        reference = f"{draft.name}:latest"
    name = re.sub(r"[^a-z0-9_-]+", "-", program(reference)).strip("-_")[:40] or draft.name
    if not name[0].isalpha():
        name = draft.name
    if project.images.get(name, reference) != reference:
        name = draft.name
    if name not in project.images and reference != given:
        project.note(place, f"push {given} to your registry as {reference}")
    project.images[name] = reference
    draft.keys["image"] = name


def _in_registry(given: str) -> str:
    """Return a reference's repository in your own registry, with its tag or else its digest."""
    named, _, digest = given.partition("@")
    first, slash, rest = named.partition("/")
    path = rest if slash and ("." in first or ":" in first or first == "localhost") else named
    has_tag = ":" in path.rpartition("/")[2]
    return path if has_tag or not digest else f"{path}@{digest}"


def words(value: Any) -> list[str]:
    """Return a command as a list. Raises ValueError."""
    return shlex.split(value) if isinstance(value, str) else [str(item) for item in value or []]


def command(project: Project, draft: Draft) -> None:
    """Convert `entrypoint` and `command`."""
    service = project.services[draft.source]
    for key in ("entrypoint", "command"):
        place: tuple[Key, ...] = ("services", draft.source, key)
        if service.get(key) is None:
            continue
        try:
            found = words(service[key])
        except ValueError as error:
            project.drop(place, f"can't be divided into words: {error}")
            continue
        if any(not word or word == ";" for word in found):
            project.drop(place, "has an empty argument or `;` alone, which can't be passed on; use a script")
        elif any("\n" in word for word in found):
            project.drop(place, "has an argument of several lines; use a script in the image")
        elif key == "entrypoint" and not supported(key):
            project.drop(place, f"the image's own entry point runs; build an image with {shlex.join(found)} instead")
        elif found:
            draft.keys[key] = [_untemplated(word) for word in found]
            if "migrate" in shlex.join(found) and "&&" in shlex.join(found):
                project.drop(place, "also migrates at each start; make that a command of `migrate` instead")


def _untemplated(text: str) -> str:
    return f"{{% raw %}}{text}{{% endraw %}}" if "{{" in text or "{%" in text or "{#" in text else text


def size(value: Any) -> str | None:
    """Return a size as service.yml has it, such as 512M; None if it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?", str(value).strip().lower())
    return f"{max(1, math.ceil(float(match[1]) * _BYTES[match[2]] / 2**20))}M" if match else None


def seconds(value: Any) -> int | None:
    """Return a duration such as 1m30s in seconds; None if it is none."""
    text = str(value).strip()
    if text.isdecimal():
        return int(text)
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|us|h|m|s)", text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        return None
    return math.ceil(sum(float(number) * units[unit] for number, unit in parts))


def limits(project: Project, draft: Draft) -> None:
    """Convert memory, CPUs, user, rights and the time to stop."""
    service = project.services[draft.source]
    deploy = service.get("deploy") if isinstance(service.get("deploy"), dict) else {}
    assert isinstance(deploy, dict)
    resources = ((deploy.get("resources") or {}).get("limits") or {}) if deploy else {}
    base: tuple[Key, ...] = ("services", draft.source)
    for place, value in (
        ((*base, "mem_limit"), service.get("mem_limit")),
        ((*base, "deploy", "resources", "limits", "memory"), resources.get("memory")),
    ):
        if value is not None and size(value):
            draft.keys["memory"] = size(value)
        elif value is not None:
            project.drop(place, f"{value} is not a size; set `memory`")
    for place, value in (
        ((*base, "cpus"), service.get("cpus")),
        ((*base, "deploy", "resources", "limits", "cpus"), resources.get("cpus")),
    ):
        if value is not None and supported("cpus"):
            draft.keys["cpus"] = float(value)
        elif value is not None:
            project.drop(place, "services share the CPUs of their host")
    _deploy(project, draft, deploy)
    if (grace := service.get("stop_grace_period")) is not None:
        draft.keys["stop_timeout"] = seconds(grace) or 15
    _user(project, draft, service.get("user"))
    if (memory := service.get("shm_size")) is not None:
        _optional(project, draft, "shm_size", "shm", value=size(memory), otherwise="/dev/shm has Podman's size, 64 MB")
    if found := service.get("ulimits"):
        shown = {
            name: f"{limit.get('soft')}:{limit.get('hard')}" if isinstance(limit, dict) else limit
            for name, limit in found.items()
        }
        _optional(project, draft, "ulimits", "ulimits", value=shown, otherwise="limits are those of the host's systemd")
    if found := service.get("cap_add"):
        _optional(project, draft, "cap_add", "capabilities", value=[*found], otherwise="a service has no capabilities")


def _deploy(project: Project, draft: Draft, deploy: dict[str, Any]) -> None:
    base: tuple[Key, ...] = ("services", draft.source, "deploy")
    for key, value in deploy.items():
        if key == "replicas" and value not in (1, None):
            project.drop((*base, key), "a service runs once on each host of its group: add hosts")
        elif key in ("restart_policy", "update_config", "rollback_config"):
            project.note((*base, key), "systemd restarts, and a cutover replaces; nothing to set")
        elif key in ("placement", "mode", "endpoint_mode", "labels"):
            project.drop((*base, key), "`group` says on which hosts a service runs")
        elif key == "resources" and isinstance(value, dict) and "reservations" in value:
            project.drop((*base, key, "reservations"), "nothing is reserved; `memory` is a limit")


def _optional(project: Project, draft: Draft, key: str, ours: str, *, value: Any, otherwise: str) -> None:
    """Carry a key that service.yml may have; if it hasn't, note what is the case."""
    if supported(ours) and value is not None:
        draft.keys[ours] = value
    else:
        project.drop(("services", draft.source, key), otherwise)


def _user(project: Project, draft: Draft, value: Any) -> None:
    if value is None:
        return
    user, _, group = str(value).partition(":")
    place: tuple[Key, ...] = ("services", draft.source, "user")
    if user.isdecimal() and int(user) >= 1000 and group in ("", user):
        draft.keys["user"] = int(user)
    elif supported("writable"):
        # Users below 1000 and names came together with that key.
        draft.keys["user"] = str(value) if group or not user.isdecimal() else int(user)
    else:
        project.drop(place, f"{value} is not one number from 1000 up; the program runs as 1000")


def files(project: Project, draft: Draft) -> None:
    """Convert `volumes` and `tmpfs`, and the secrets that are files."""
    service = project.services[draft.source]
    for index, item in enumerate(service.get("volumes") or []):
        _volume(project, draft, index, item)
    given = service.get("tmpfs") or []
    for index, item in enumerate(given if isinstance(given, list) else [given]):
        _tmpfs(project, draft, ("services", draft.source, "tmpfs", index), *str(item).partition(":")[::2])
    for index, item in enumerate(service.get("secrets") or []):
        _secret_file(project, draft, index, item)


def _tmpfs(project: Project, draft: Draft, place: tuple[Key, ...], path: str, options: str = "") -> None:
    if path.rstrip("/") == "/tmp":
        project.note(place, "/tmp is always writable")
        return
    wanted = re.search(r"size=(\w+)", options)
    if supported("writable") and re.match(MOUNT["pattern"], path):
        draft.keys.setdefault("writable", {})[path] = (size(wanted[1]) if wanted else None) or "64M"
    else:
        project.drop(place, f"only /tmp is writable; let the program write there instead of {path}")


def _volume(project: Project, draft: Draft, index: int, item: Any) -> None:
    place: tuple[Key, ...] = ("services", draft.source, "volumes", index)
    if isinstance(item, dict):
        source, path, read_only = str(item.get("source") or ""), str(item.get("target") or ""), item.get("read_only")
        if item.get("type") == "tmpfs":
            _tmpfs(project, draft, place, path)
            return
    else:
        parts = str(item).split(":")
        source, path = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
        read_only = len(parts) > 2 and "ro" in parts[2].split(",")
    if "docker.sock" in source or source.startswith(("/proc", "/sys", "/dev", "/etc/localtime", "/run")):
        project.drop(place, f"{source}: a service can't reach its host")
    elif source.startswith((".", "/", "~")) and (read_only or "." in source.rpartition("/")[2].lstrip(".")):
        project.drop(place, f"{source}: put the file into the service's folder `config/`, and set `config_path`")
    elif not supported("volumes.<name>.path"):
        project.drop(place, f"nothing at {path} is kept; let the program keep files in an object store")
    elif not re.match(MOUNT["pattern"], path):
        project.drop(place, f"{path}: a path has only letters, digits, -, _, . and /")
    else:
        name = _volume_name(source or path)
        owner = project.secrets.setdefault(("volume", source or f"{draft.name} {path}"), draft.name)
        value = {"path": path, "shared": "slots"}
        if owner != draft.name:
            value["of"] = owner
        draft.keys.setdefault("volumes", {})[name] = value
        project.note(place, "a volume is a folder of each app host; with two of them, see docs/volumes.md")


def _volume_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:40].strip("-_")
    return name if name and name[0].isalpha() else f"v-{name}"[:40]


def _secret_file(project: Project, draft: Draft, index: int, item: Any) -> None:
    place: tuple[Key, ...] = ("services", draft.source, "secrets", index)
    source = str(item.get("source") if isinstance(item, dict) else item)
    target = str((item.get("target") if isinstance(item, dict) else None) or source)
    path = target if target.startswith("/") else f"/run/secrets/{target}"
    name = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:40].strip("-")
    if supported("secrets.<name>.file") and name and name[0].isalpha():
        variable = re.sub(r"\W+", "_", source.upper())
        draft.keys.setdefault("secrets", {})[variable] = {"given": f"{draft.name}/{name}", "file": path}
        project.note(place, f"a file with a secret, at {path}; put it in before the first run")
    else:
        project.drop(place, f"write it to Vault, and a file `config/{name or 'key'}.secret.j2` with it")


def users_of_image(project: Project) -> Iterator[str]:
    """Yield what nobody can know from a compose file, one line for each image."""
    for name, reference in sorted(project.images.items()):
        users = [draft for draft in project.drafts.values() if draft.keys.get("image") == name]
        if not any("user" in draft.keys for draft in users):
            yield f"{reference}: check whether it runs as user 1000, or set `user`"
