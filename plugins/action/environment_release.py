# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The release of a run, with the digest of each image."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.greenroom.controller.catalogue import registries, release_lock
from ansible.module_utils.greenroom.controller.catalogue.registry import RegistryError
from ansible.module_utils.greenroom.controller.catalogue.release import (
    config_sources,
    read_release,
    release_id,
    variables_of,
)
from ansible.module_utils.greenroom.controller.catalogue.toggles import toggle_values
from ansible.module_utils.greenroom.controller.providers.providers import in_bundles
from ansible.plugins.action import ActionBase

PROJECT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Reads a release file and gets the digests of its images from the registry."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `release` = {name, id, commit, images: {image: registry/repository@digest}}."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            {
                "name": {"type": "str", "required": True},
                "overrides": {"type": "dict", "default": {}},
                **registries.ARGUMENTS,
            }
        )
        catalogue = (task_vars or {})["catalogue"]
        folder = Path((task_vars or {})["releases_path"])
        file = f"{folder.name}/{args['name']}.yml"
        content = self._loader.load_from_file(str(folder / f"{args['name']}.yml"))
        images, problems = read_release(
            content, file, args["overrides"], catalogue, [args["registry"], *args["others"]]
        )
        if problems:
            raise AnsibleActionFail("\n".join(problems))
        lock = release_lock.lock_path(folder, args["name"])
        if lock.is_file():
            # environment_validate has refused one that is out of date.
            kept = {key: image for key, image in images.items() if key not in args["overrides"]}
            images |= release_lock.locked(kept, self._loader.load_from_file(str(lock)))
        try:
            references, moved = registries.resolve(images, registries.opened(args))
        except RegistryError as error:
            raise AnsibleActionFail(str(error)) from None
        for line in release_lock.moved(args["name"], f"{folder.name}/{lock.name}", images, moved):
            self._display.warning(line)
        release = {
            "name": args["name"],
            "id": self._id({name: text.rpartition("@")[2] for name, text in references.items()}, task_vars or {}),
            "commit": _commit((task_vars or {})["catalogue_path"]) or _commit(str(PROJECT)),
            "images": references,
        }
        return result | {"changed": False, "release": release}

    def _id(self, digests: dict[str, str], variables: dict[str, Any]) -> str:
        """Return the release's ID, with the values that the first app host has."""
        host = (variables.get("groups", {}).get("app") or [None])[0]
        own = variables["hostvars"].raw_get(host) if host else variables
        templar = self._templar.copy_with_new_env(available_variables=own)

        def value(raw: Any) -> Any:
            if isinstance(raw, dict):
                return {key: value(item) for key, item in raw.items()}
            # What can't be rendered here fails, with its place, where it is used.
            with contextlib.suppress(AnsibleError):
                return templar.template(raw)
            return raw

        catalogue = {
            # Only a smoke check can render the templates of checks.
            name: value({key: item for key, item in service.items() if key != "checks"}) | {"checks": service["checks"]}
            for name, service in variables["catalogue"].items()
        }
        sources = config_sources(
            {name: f"{service['folder']}/config" for name, service in catalogue.items()}
            | {"bundle": str(PROJECT / "roles/bundle/templates")}
        )
        values = {name: value(own[name]) for name in variables_of(sources) if name in own}
        if isinstance(values.get("providers"), Mapping):
            values["providers"] = in_bundles(values["providers"])
        toggles = toggle_values(catalogue, value(own.get("environment_toggles")))
        found: str = release_id(digests, catalogue, toggles, sources, values)
        return found


def _commit(folder: str) -> str:
    """Return the commit of the checkout that has the folder, or an empty string without git."""
    try:
        command = ["git", "-C", folder, "rev-parse", "HEAD"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
