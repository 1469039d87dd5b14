# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Checks the whole input of a run before any host or server is contacted."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleTemplateSyntaxError, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.greenroom.common.masking import Mask
from ansible.module_utils.greenroom.controller.catalogue import alerting
from ansible.module_utils.greenroom.controller.common import opened
from ansible.module_utils.greenroom.controller.hosts import edge_size, egress
from ansible.module_utils.greenroom.controller.hosts.inventory import USUAL_GROUPS
from ansible.module_utils.greenroom.controller.people import named
from ansible.module_utils.greenroom.controller.providers import live
from ansible.module_utils.greenroom.controller.providers import problems as provider_problems
from ansible.module_utils.greenroom.controller.validate import (
    checks,
    edge_access,
    lockout,
    of_run,
    release,
    service_values,
    services,
    settings,
    variables,
)
from ansible.module_utils.greenroom.controller.validate.variable_names import (
    confirmation_problems,
    environment_problems,
)
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.vars import load_extra_vars

PROJECT = Path(__file__).resolve().parents[2]
# The login to Vault.
LOGIN = "secrets_auth"
UNREADABLE = re.compile(r"Unable to access the file '([^']+)'")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Checks the catalog, the release, all variables of all hosts, and that the inventory is one environment.

    It collects what Ansible knows; `controller/validate/` in module_utils finds the mistakes.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with every mistake, one line each."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, self.args = self.validate_argument_spec(
            {
                "whole": {"type": "bool", "default": False},
                "secrets": {"type": "bool", "default": False},
                "groups": {"type": "list", "elements": "str", "default": []},
                "applies": {"type": "bool", "default": False},
                "locks": {"type": "bool", "default": False},
                "lock_seconds": {"type": "dict", "default": {}},
            }
        )
        self.task_vars = task_vars or {}
        self.hostvars = self.task_vars["hostvars"]
        self.groups = self.task_vars["groups"]
        self.catalogue = self.task_vars["catalogue"]
        self.checks: dict[str, Any] = {}
        self.declared = variables.load_declared(PROJECT / "roles", of_run.load_plain)
        self._raw = cache(self.hostvars.raw_get)
        # The checks together can be judged only if each is valid.
        lines = list(dict.fromkeys(self._problems())) or [
            *checks.coverage_problems(self.catalogue, self.checks, self.groups, mutating=not self._protected()),
            *self._size_problems(),
        ]
        if len(lines) > 1:
            lines.insert(0, f"Found {len(lines)} mistakes. No host was changed.")
        if lines:
            raise AnsibleActionFail(self._mask().hide("\n".join(lines)))
        opened.mark()
        return result | {"changed": False, "run": of_run.run(), "edge": self._edge_needs}

    def _mask(self) -> Mask:
        """Return a mask for what is encrypted in variables, services and checks: a line may quote it."""
        raw = [self._raw(host) for host in self.groups["all"]]
        files = [path for service in self.catalogue.values() for path in Path(service["folder"]).glob("*.yml")]
        mask = Mask()
        for value in of_run.encrypted([raw, [self._load(path) for path in files]]):
            with contextlib.suppress(AnsibleError):
                mask.add(str(value))
        return mask

    def _problems(self) -> Iterator[str]:
        yield from self._environment()
        if self.args["whole"]:
            yield from settings.limit_problems(self.groups["all"], self.task_vars["ansible_play_hosts_all"])
        yield from settings.group_problems(self.args["groups"], self.groups)
        # A server elsewhere needs no address: DNS may know its name.
        usual = self._load(PROJECT / "playbooks/group_vars/all/main.yml")["database_host"]
        given = self._raw(self.task_vars["inventory_hostname"]).get("database_host")
        elsewhere = given != usual or bool(self._value("database_address"))
        yield from settings.data_problems(self.groups.get("data", []), self.catalogue, elsewhere)
        yield from self._services()
        yield from self._checks()
        releases = Path(self.task_vars["releases_path"])
        yield from release.release_problems(self._value, releases, self._load, self.catalogue, self.args["locks"])
        yield from self._variables()
        yield from settings.provider_problems(self._value("identity_providers"))
        yield from settings.toggle_problems(self._value("environment_toggles"), self.catalogue)
        yield from settings.size_problems(self._value("environment_sizes"), self.catalogue)
        yield from settings.hook_problems(self._value("environment_hooks"), self.task_vars.get("inventory_dir") or ".")
        yield from named.problems(self._value("seed_named_people"))
        people = {name: self._value(name) for name in ("simulation_people", "load_people")}
        yield from settings.people_problems(self._value("seed_count"), **people)
        network = "" if self._value("keepalived_public_interface") else self._value("environment_network")
        yield from settings.shared_address_problems(self._value("keepalived_address"), network, self._addresses)
        yield from settings.ipv6_address_problems(*map(self._value, ("keepalived_ipv6_address", "keepalived_address")))
        with contextlib.suppress(ValueError):
            own = self._host(self.task_vars["inventory_hostname"]).rendered
            files = edge_access.file_problems(own, self.catalogue, self.task_vars.get("inventory_dir") or ".")
            yield from files if self.args["secrets"] or not self.args["whole"] else ()
        if self.groups.get("egress"):
            yield from egress.problems(*map(self._value, egress.VARIABLES), self.groups, self.catalogue)
        yield from edge_access.connection_problems(*map(self._value, edge_access.CONNECTIONS))
        yield from alerting.problems(*map(self._value, alerting.VARIABLES))
        yield from (*self._balancers(), *self._lockout())
        names = ("canary", "cutover_step_seconds", "canary_seconds")
        times = ("bake", "stop_after", "cutover_drain_seconds", "cutover_pause_seconds", "cutover_timeout_seconds")
        yield from settings.cutover_problems(*map(self._value, names), **{name: self._value(name) for name in times})
        yield from settings.lock_problems(self.args["lock_seconds"])

    def _value(self, name: str) -> Any:
        """Return a variable of this host, rendered; None if there is none, or if it refers to one that is missing."""
        try:
            return of_run.rendered(self.hostvars[self.task_vars["inventory_hostname"]].get(name))
        except AnsibleUndefinedVariable:
            return None

    def _load(self, path: Path, trusted: bool = False) -> Any:
        """Return the content of a YAML file; only that of a trusted one may be rendered. No check may change it."""
        # A copy of the content (unsafe=False) would take a quarter of the time of all checks.
        return self._loader.load_from_file(str(path), unsafe=True, trusted_as_template=trusted)

    def _protected(self) -> bool:
        return bool(boolean(self._value("environment_protected"), strict=False))

    def _environment(self) -> Iterator[str]:
        names = {host: self.hostvars[host].get("environment_name") for host in self.groups["all"]}
        # Only the inventory knows the children of a group.
        tree = self.hostvars._inventory.groups
        children = {name: [child.name for child in group.child_groups] for name, group in tree.items()}
        lines = environment_problems(names, self.groups, children)
        yield from lines
        if not lines:
            yield from confirmation_problems(str(next(iter(names.values()))), self._protected(), self._value("confirm"))

    def _services(self) -> Iterator[str]:
        limits, host = self._value("edge_limits"), self.task_vars["inventory_hostname"]
        load = partial(self._load, trusted=True)
        valid = services.valid_services(self.catalogue, load)
        named = services.with_names(valid, self._renderer(host, {}), self._value)
        yield from (*named.lines, *named.without_ca(self._raw(host)))
        yield from services.service_problems(
            Path(self.task_vars["catalogue_path"]),
            self.catalogue | named.services,
            load,
            self.groups,
            list(limits) if isinstance(limits, Mapping) else None,
            host_ports=self._value("firewall_ports") or (),
            nfs=self._value("volumes_nfs") or {},
        )
        yield from provider_problems.problems(
            (Path(self.task_vars["providers_path"]), Path(self.task_vars["catalogue_path"])),
            load,
            self.task_vars["provider_catalogue"],
            self._value("environment_providers"),
            valid,
            render=self._renderer(host, {}),
            protected=self._protected(),
        )
        if not self.args["secrets"]:
            return  # a run without a release renders no value
        declared = {name for options in self.declared.values() for name in options}
        known = (str(self._value("environment_name")), *map(self._value, live.VARIABLES))
        try:
            refused = live.refusal(*known, protected=self._protected())
        except live.FingerprintsError as error:
            yield str(error)
        else:
            yield from service_values.value_problems(valid, self.groups, declared, self._renderer, refused)

    def _renderer(self, host: str, more: Mapping[str, Any]) -> service_values.Render:
        """Return what renders a value, or a file, for a host, with more variables."""
        values = {**self._raw(host), "hostvars": self.hostvars, **more}
        templar = self._templar.copy_with_new_env(available_variables=values)

        def render(value: Any) -> Any:
            try:
                if not isinstance(value, Path):
                    return templar.template(value)
                folders = [str(folder) for folder in (self._loader.get_basedir(), value.parent)]
                of_file = self._templar.copy_with_new_env(searchpath=folders, available_variables=values)
                return of_file.template(trust_as_template(value.read_text(encoding="utf-8")))
            except (AnsibleTemplateSyntaxError, AnsibleUndefinedVariable) as error:
                raise ValueError(str(error).splitlines()[0]) from error
            except AnsibleError as error:
                # Other errors may quote a value.
                raise ValueError(f"can't be rendered ({type(error).__name__})") from None

        return render

    def _checks(self) -> Iterator[str]:
        # Known only when a slot is checked: any slot will do.
        slot = {"slot": "blue", "smoke_slot": "blue"}
        templar = self._templar.copy_with_new_env(available_variables={**self.task_vars, **slot})

        def render(value: Any) -> Any:
            try:
                return templar.template(value)
            except AnsibleError as error:
                raise ValueError(str(error)) from error

        self.checks = checks.load_checks(self.catalogue, partial(self._load, trusted=True), render)
        yield from checks.check_problems(self.catalogue, self.checks)

    def _of_edge(self, name: str) -> Any:
        """Return the value of a variable of the role edge, or its default."""
        value = self._value(name)
        return self.declared["edge"][name]["default"] if value is None else value

    @cached_property
    def _edge_connections(self) -> int:
        return int(edge_size.connections_with(self._of_edge, self.catalogue))

    @cached_property
    def _edge_needs(self) -> dict[str, int]:
        """Return what HAProxy needs on edge hosts: open files, and memory in MB."""
        process = self._edge_connections
        files = self._value("edge_open_files") or edge_size.open_files(self.catalogue, self.groups, None, process)
        old = int(self._of_edge("edge_connection_reloads"))
        return {"files": int(files), "memory": edge_size.memory_needed(self.catalogue, self.groups, process, old)}

    def _size_problems(self) -> Iterator[str]:
        needed = edge_size.files_needed(self.catalogue, self.groups, None, self._edge_connections)
        askers = {*self.groups.get("edge", ()), *self.groups.get("app", ())}
        maxconn = int(self._of_edge("edge_maxconn"))
        yield from edge_size.size_problems(maxconn, self._edge_needs["files"], needed, len(askers))

    def _variables(self) -> Iterator[str]:
        yield from variables.variable_problems(
            (self._host(name) for name in self.groups["all"]),
            self.declared,
            load_extra_vars(self._loader) if context.CLIARGS else {},
            self.catalogue,
            _type_errors,
            # An environment may do without some of the usual groups.
            groups={*self.groups, *USUAL_GROUPS},
        )
        yield from settings.secrets_problems(
            *map(self._value, ("secrets_file", "secrets_url")),
            self._raw(self.task_vars["inventory_hostname"]).get(LOGIN),
        )

    def _host(self, name: str) -> variables.HostVariables:
        values = self.hostvars[name]

        def rendered(variable: str) -> Any:
            try:
                return of_run.rendered(values.get(variable))
            except AnsibleUndefinedVariable:
                return None  # it may refer to something that only a later task sets
            except AnsibleError as error:
                if variable == LOGIN and not self.args["secrets"]:
                    return None  # a run that reads no secrets works without the files of the login
                file = UNREADABLE.search(str(error))
                reason = f"can't read the file {file[1]}" if file else f"can't be rendered ({type(error).__name__})"
                raise ValueError(reason) from None

        return variables.HostVariables(self._raw(name), rendered)

    def _balancers(self) -> Iterator[str]:
        given = {name: self._value(name) for name in ("edge_proxy_sources", "edge_forwarded_sources")}
        usual = {host for group in USUAL_GROUPS for host in self.groups.get(group, ())}
        hosts = {host: address for host, address in self._addresses.items() if host in usual}
        yield from settings.balancer_problems(given, self._group_addresses(self._addresses), hosts)

    def _group_addresses(self, own: Mapping[str, str]) -> dict[str, list[str]]:
        return {group: [own[host] for host in hosts if host in own] for group, hosts in self.groups.items()}

    def _lockout(self) -> Iterator[str]:
        default = context.CLIARGS.get("remote_user") if context.CLIARGS else None
        logins = {}
        for host in self.groups["all"]:
            values = self._host(host).rendered
            with contextlib.suppress(ValueError):
                if values("ansible_connection") != "local":
                    user = str(values("ansible_user") or default or "")
                    options = (values(f"ansible_ssh_{kind}args") or "" for kind in ("", "common_", "extra_"))
                    logins[host] = lockout.Login(
                        str(values("ansible_host") or host),
                        user,
                        values("firewall_ssh_sources"),
                        " ".join(map(str, options)),
                        values("base_forward_to"),
                        str(values("firewall_controller_address") or ""),
                    )
        addresses = self._group_addresses(self._addresses)
        yield from lockout.lockout_problems(logins, addresses, self.args["applies"])

    @cached_property
    def _addresses(self) -> dict[str, str]:
        """Return {host: its address}, without hosts that the inventory knows by name only."""
        own = {}
        for host in self.groups["all"]:
            with contextlib.suppress(AnsibleError):
                own[host] = str(self.hostvars[host].get("environment_address"))
        return own


def _type_errors(name: str, spec: Mapping[str, Any], value: Any) -> list[str]:
    """Return what Ansible's own check of argument types finds."""
    return list(ArgumentSpecValidator({name: spec}).validate({name: value}).error_messages)
