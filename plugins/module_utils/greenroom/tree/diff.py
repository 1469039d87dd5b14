# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The differences of a `template_tree` call, in Ansible's format."""

from __future__ import annotations

import os
import stat

from .changes import Plan, Tree
from .disk import read
from .files import Attributes, group_name, user_name

DIFF_LIMIT = 100_000  # bytes; ansible.builtin.template shows no larger files either


def differences(tree: Tree, plan: Plan) -> list[dict[str, str]]:
    """Return a plan's differences; for secret files, only that they differ. Call it before `apply`."""
    shown: list[dict[str, str]] = []
    for directory in plan.make:
        shown.append(_attributes_diff(directory.path + "/", directory.attributes))
    for file in plan.write:
        shown.append(_content_diff(file.dest, file.content, tree.is_secret(file.dest)))
        if os.path.lexists(file.dest) and not file.attributes.equal(os.lstat(file.dest)):
            shown.append(_attributes_diff(file.dest, file.attributes))
    for file in plan.adjust:
        shown.append(_attributes_diff(file.dest, file.attributes))
    for dest in plan.remove:
        shown.append(_content_diff(dest, None, tree.is_secret(dest)))
    for path in plan.prune:
        shown.append({"prepared": f"- {path}/\n"})
    return shown


def _content_diff(dest: str, after: bytes | None, secret: bool) -> dict[str, str]:
    before = read(dest)
    if secret:
        word = "created" if before is None else "removed" if after is None else "changed"
        return {"prepared": f"{dest}: {word} (content is secret)\n"}
    if max(len(before or b""), len(after or b"")) > DIFF_LIMIT:
        return {"prepared": f"{dest}: differs (too large to show)\n"}
    try:
        texts = [(content or b"").decode() for content in (before, after)]
    except UnicodeDecodeError:
        return {"prepared": f"{dest}: differs (binary)\n"}
    return {
        "before": texts[0],
        "after": texts[1],
        "before_header": dest if before is not None else f"{dest} (absent)",
        "after_header": dest if after is not None else f"{dest} (absent)",
    }


def _attributes_diff(path: str, wanted: Attributes) -> dict[str, str]:
    user, group = wanted.ids()
    after = {
        "mode": f"{wanted.mode:04o}",
        "owner": wanted.owner or user_name(user),
        "group": wanted.group or group_name(group),
    }
    before: dict[str, str] = {}
    if os.path.lexists(path.rstrip("/")):
        found = os.lstat(path.rstrip("/"))
        before = {
            "mode": f"{stat.S_IMODE(found.st_mode):04o}",
            "owner": user_name(found.st_uid),
            "group": group_name(found.st_gid),
        }
    lines = [
        "".join(f"{key}: {value}\n" for key, value in side.items() if before.get(key) != after.get(key))
        for side in (before, after)
    ]
    return {"before": lines[0], "after": lines[1], "before_header": path, "after_header": path}
