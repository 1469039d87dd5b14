# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Everything that can be known to be wrong before a host or a server is asked."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.greenroom.common.names import suggestion
from ansible.module_utils.greenroom.controller.catalogue import (
    providers,
    service_checks,
    service_schema,
    smoke_schema,
    variables,
)
from ansible.module_utils.greenroom.controller.catalogue.release import read_release
from ansible.module_utils.greenroom.controller.hosts import vrrp
from ansible.module_utils.greenroom.controller.slots import edges
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

PROJECT = Path(__file__).resolve().parents[2]
# Parts of an option's specification that are about documentation or about values that are not there.
NOT_TYPES = {"description", "default", "required", "version_added", "deprecated"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Checks the catalogue, the release, all variables of all hosts, and that this is one environment."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with every mistake, one line each."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec({"whole": {"type": "bool", "default": False}})
        self.task_vars = task_vars or {}
        self.whole: bool = args["whole"]
        self.hostvars = self.task_vars["hostvars"]
        # What checks amount to can be said of right ones only.
        lines = list(dict.fromkeys(self._problems())) or list(self._all_checks())
        if len(lines) > 1:
            lines.insert(0, f"{len(lines)} mistakes; nothing was touched.")
        if lines:
            raise AnsibleActionFail("\n".join(lines))
        return result | {"changed": False, "run": _run()}

    def _problems(self) -> Iterator[str]:
        yield from self._one_environment()
        yield from self._left_out()
        yield from self._services()
        yield from self._checks()
        yield from self._release()
        yield from self._variables()
        yield from self._providers()
        yield from self._shared_address()
        yield from self._shares()

    def _value(self, name: str) -> Any:
        """Return a variable of this host, rendered, or None."""
        return self.hostvars[self.task_vars["inventory_hostname"]].get(name)

    def _services(self) -> Iterator[str]:
        folder = Path(self.task_vars["catalogue_path"])
        catalogue = self.task_vars["catalogue"]
        right = {}
        for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
            if entry.is_dir() and entry.name not in catalogue:
                yield f"{folder.name}/{entry.name}: has no service.yml"
        for name, service in catalogue.items():
            raw = self._loader.load_from_file(os.path.join(service["folder"], "service.yml"), trusted_as_template=True)
            lines = service_schema.structure_errors(raw)
            yield from (f"{folder.name}/{name}/service.yml: {line}" for line in lines)
            if not lines:
                right[name] = service
        classes = self._value("edge_limits")
        limits = list(classes) if isinstance(classes, Mapping) else None
        wrong = catalogue.keys() - right.keys()
        for name, line in service_checks.problems(right, self.task_vars["groups"], limits, wrong):
            yield f"{folder.name}/{name}/service.yml: {line}"

    def _checks(self) -> Iterator[str]:
        # What is known only when a slot is checked.
        slot = {"slot": "blue", "smoke_slot": "blue"}
        templar = self._templar.copy_with_new_env(available_variables={**self.task_vars, **slot})
        self.checks: dict[str, Any] = {}
        for name, service in self.task_vars["catalogue"].items():
            path = Path(service["folder"], "checks.yml")
            raw = self._loader.load_from_file(str(path), trusted_as_template=True) if path.is_file() else None
            self.checks[name] = _rendered(raw, templar)
            lines = smoke_schema.file_problems(self.checks[name])
            yield from (f"{path.parent.parent.name}/{name}/{path.name}: {line}" for line in lines)

    def _all_checks(self) -> Iterator[str]:
        expanded = {name: smoke_schema.expanded(content) for name, content in self.checks.items()}
        routed = [name for name, service in self.task_vars["catalogue"].items() if service["routes"]]
        mutating = not boolean(self._value("environment_protected"), strict=False)
        yield from smoke_schema.run_problems(expanded, routed, self.task_vars["groups"], mutating)

    def _release(self) -> Iterator[str]:
        name = self._value("release_name")
        path = PROJECT / "releases" / f"{name}.yml"
        if not path.is_file():
            known = sorted(file.stem for file in path.parent.glob("*.yml"))
            yield f"release_name: there is no releases/{name}.yml{suggestion(str(name), known)}"
            return
        content = self._loader.load_from_file(str(path))
        overrides = self._value("release_images") or {}
        yield from read_release(content, f"releases/{name}.yml", overrides, self.task_vars["catalogue"])[1]

    def _one_environment(self) -> Iterator[str]:
        hosts = self.task_vars["groups"]["all"]
        names = {host: self.hostvars[host].get("environment_name") for host in hosts}
        # Which group is below which is known to the inventory only.
        tree = self.hostvars._inventory.groups
        children = {name: [child.name for child in group.child_groups] for name, group in tree.items()}
        lines = variables.environment_problems(names, self.task_vars["groups"], children)
        yield from lines
        if not lines:
            protected = boolean(self._value("environment_protected"), strict=False)
            yield from variables.confirmation_problems(str(names[hosts[0]]), protected, self._value("confirm"))

    def _left_out(self) -> Iterator[str]:
        left_out = sorted(set(self.task_vars["groups"]["all"]) - set(self.task_vars["ansible_play_hosts_all"]))
        if self.whole and left_out:
            yield (
                f"--limit leaves out {', '.join(left_out)}, and an environment changes as a whole: the slots of its "
                "hosts belong together, and so do their firewalls. Run again without --limit."
            )

    def _variables(self) -> Iterator[str]:
        declared = {}
        for path in sorted((PROJECT / "roles").glob("*/meta/argument_specs.yml")):
            declared[path.parts[-3]] = variables.declared_options(self._loader.load_from_file(str(path)))
        extra = load_extra_vars(self._loader) if context.CLIARGS else {}
        yield from variables.found_problems(extra)
        types = {name: _types(spec) for options in declared.values() for name, spec in options.items()}
        checked: dict[str, Any] = {}
        for host in self.task_vars["groups"]["all"]:
            raw, rendered = self.hostvars.raw_get(host), self.hostvars[host]
            yield from variables.name_problems(raw, declared, extra, self.task_vars["catalogue"])
            yield from variables.missing_problems(raw, declared)
            for name in sorted(types.keys() & set(raw)):
                # What hosts have in common is checked once.
                if checked.get(name) is not raw[name]:
                    checked[name] = raw[name]
                    yield from self._type_problems(rendered, name, types[name])

    def _providers(self) -> Iterator[str]:
        given = self._value("identity_providers")
        if isinstance(given, Sequence) and all(isinstance(provider, Mapping) for provider in given):
            yield from providers.setting_problems(given)

    def _shared_address(self) -> Iterator[str]:
        own = {}
        for host in self.task_vars["groups"]["all"]:
            with contextlib.suppress(AnsibleError):  # a host that is known by its name only
                own[host] = str(self.hostvars[host].get("environment_address"))
        address, network = self._value("keepalived_address"), self._value("environment_network")
        if isinstance(address, str) and isinstance(network, str):
            yield from vrrp.shared_address_problems(address, network, own)

    def _shares(self) -> Iterator[str]:
        # A deploy comes before the cut-over that they are for.
        if (given := self._value("canary")) is not None:
            try:
                edges.weights(given)
            except ValueError as error:
                yield str(error)
        seconds = self._value("cutover_share_seconds")
        if seconds is not None and not (str(seconds).isdecimal() and int(seconds) > 0):
            yield f"cutover_share_seconds={seconds}: each share is to be watched for a whole number of seconds above 0"
        if self._value("canary_seconds") is not None:
            yield "canary_seconds: cutover_share_seconds says how long shares are watched, bake how long everybody is"

    def _type_problems(self, rendered: Mapping[str, Any], name: str, spec: dict[str, Any]) -> Iterator[str]:
        try:
            value = rendered.get(name)
        except AnsibleError:  # refers to what only a later task knows
            return
        if value is None:
            return
        if spec.get("type", "str") in ("str", "path") and isinstance(value, (Mapping, list)):
            yield f"{name}: expected a text, got {type(value).__name__.removeprefix('_AnsibleTagged').lower()}"
            return
        checked = ArgumentSpecValidator({name: spec}).validate({name: value})
        yield from (f"{name}: {line}" for line in checked.error_messages)
        if not checked.error_messages and spec.get("type") in ("list", "dict") and isinstance(value, str):
            # The validator reads a text as such; roles are given the text.
            yield f"""{name}: expected a {spec["type"]}, got a text; with -e it takes JSON: -e '{{"{name}": ...}}'"""


def _rendered(value: Any, templar: Any) -> Any:
    """Return `value` with each template in it rendered, or LATER where that can't be done yet."""
    if isinstance(value, Mapping):
        return {key: _rendered(item, templar) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, templar) for item in value]
    try:
        return templar.template(value)
    except AnsibleError:
        return smoke_schema.LATER


def _run() -> dict[str, str]:
    """Return who runs this and since when; `id` sorts by time."""
    now = datetime.now(UTC)
    return {
        "id": f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        "started": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "controller": f"{getpass.getuser()}@{socket.gethostname()}",
    }


def _types(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a role option's specification that speaks about a given value."""
    kept = {key: value for key, value in spec.items() if key not in NOT_TYPES}
    if isinstance(kept.get("options"), Mapping):
        kept["options"] = {
            name: _types(option) | {"required": option.get("required", False)}
            for name, option in kept["options"].items()
        }
    return kept
