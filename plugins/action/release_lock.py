# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lock file of a release: the digests that its images have now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.controller.catalogue import registries, release_lock
from ansible.module_utils.greenroom.controller.catalogue.registry import RegistryError
from ansible.module_utils.greenroom.controller.catalogue.release import read_release
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    """Writes the file beside the release file. Runs on the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `lines` that say what was locked, or in check mode would be."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {"name": {"type": "str", "required": True}, **registries.ARGUMENTS}
        )
        name, folder = args["name"], Path((task_vars or {})["releases_path"])
        file = f"{folder.name}/{name}.yml"
        # environment_validate has reported what is wrong with the file.
        images, _problems = read_release(
            self._loader.load_from_file(str(folder / f"{name}.yml")), file, {}, {}, [args["registry"], *args["others"]]
        )
        opened = registries.opened(args)
        try:
            references, _moved = registries.resolve(images, opened)
            digests = {key: text.rpartition("@")[2] for key, text in references.items()}
            found = {
                key: {
                    "digest": digests[key],
                    "platforms": opened[image.registry].platforms(image, digests[key]),
                }
                for key, image in images.items()
            }
        except RegistryError as error:
            raise AnsibleActionFail(str(error)) from None
        path = release_lock.lock_path(folder, name)
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        new = release_lock.text_of(name, images, found)
        if new != old and not self._task.check_mode:
            try:
                durable.write(str(path), new.encode())
            except OSError as error:
                raise AnsibleActionFail(f"can't write {path}: {error.strerror}; make the folder writable") from error
        before = release_lock.parsed(old)
        where = f"{folder.name}/{path.name}"
        lines = release_lock.changes(before, found)
        diff = {"before": old, "after": new, "before_header": where, "after_header": where}
        said = f"{where}: {self._state(lines, new != old)}"
        return result | {"changed": new != old, "diff": diff, "lines": [said, *lines]}

    def _state(self, lines: list[str], changed: bool) -> str:
        if not changed:
            return "is up to date; commit it with the release"
        count = f"{len(lines)} {'digest' if len(lines) == 1 else 'digests'} changed"
        return (
            f"would be written, {count}" if self._task.check_mode else f"written, {count}; commit it with the release"
        )
