# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The variables with all services and all providers."""

from __future__ import annotations

DOCUMENTATION = """
name: catalogue
short_description: Provides all services as one variable
description:
  - Sets variables for all hosts. C(catalogue) is a dictionary of all services in the services folder, with all
    defaults filled in. C(catalogue_path) is the folder, C(releases_path) that of the releases.
  - C(provider_catalogue) is a dictionary of all providers in the folder C(providers_path), as their files are.
  - An inventory can have folders of its own, in the file C(greenroom.cfg) next to its hosts, with the options below in
    the section C(greenroom), relative to the file. Environment variables win over it, and it wins over ansible.cfg.
  - Templates in a service are rendered where they are used, with the variables of that host.
  - Refuses options of C(ansible-playbook) that skip the start of one of the project's playbooks.
  - ansible.cfg enables this plugin (C(vars_plugins_enabled)).
  - C(ansible-inventory) does not export these variables by default, because a copy in the database
    of another tool would become outdated when the files change.
options:
  stage:
    description: When the plugin runs. C(all) adds the variables to the output of C(ansible-inventory).
    type: str
    default: task
    choices: [all, inventory, task]
    env:
      - name: GREENROOM_CATALOGUE_STAGE
  services_path:
    description: The folder with one subfolder for each service. The default is C(services) in the checkout.
    type: path
    env:
      - name: GREENROOM_SERVICES
    ini:
      - section: greenroom
        key: services_path
  releases_path:
    description: The folder with the release files. The default is C(releases) in the checkout.
    type: path
    env:
      - name: GREENROOM_RELEASES
    ini:
      - section: greenroom
        key: releases_path
  providers_path:
    description: The folder with one subfolder for each provider. The default is C(providers) in the checkout.
    type: path
    env:
      - name: GREENROOM_PROVIDERS
    ini:
      - section: greenroom
        key: providers_path
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.plugins.loader import (
    action_loader,
    become_loader,
    callback_loader,
    connection_loader,
    filter_loader,
    lookup_loader,
    shell_loader,
    test_loader,
)
from ansible.plugins.vars import BaseVarsPlugin

PROJECT = Path(__file__).resolve().parents[2]
# Ansible finds the checkout's module_utils only for modules. Vars plugins load before all other plugins, so this line
# makes `ansible.module_utils.greenroom` importable for action, filter and lookup plugins as well.
ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
# AWX and ansible-runner set another folder for callbacks. The one that records how a run ended must be there, too.
if not any(Path(folder, "run_record.py").is_file() for folder in constants.DEFAULT_CALLBACK_PLUGIN_PATH or ()):
    callback_loader.add_directory(str(PROJECT / "plugins" / "callback"))

CACHE: dict[str, dict[str, Any]] = {}
PLACES: dict[str, str] = {}


class VarsModule(BaseVarsPlugin):  # type: ignore[misc]
    """The variables of services, releases and providers for the group `all`."""

    REQUIRES_ENABLED = True
    is_stateless = True

    def get_vars(self, loader: Any, path: str, entities: Any, cache: bool = True) -> dict[str, Any]:
        """Return the variables if `entities` has the group `all`. Each process reads the files once."""
        wanted = entities if isinstance(entities, list) else [entities]
        if not any(entity.name == "all" for entity in wanted):
            return {}
        load = import_module("ansible.module_utils.greenroom.controller.catalogue.catalogue").load
        if not CACHE:
            # No task can do this: these options skip tasks.
            opened = import_module("ansible.module_utils.greenroom.controller.common.opened")
            if problem := opened.option_problem(context.CLIARGS):
                raise AnsibleError(problem)
            import_module("ansible.module_utils.greenroom.controller.common.compiled_templates").keep_compiled()
            import_module("ansible.module_utils.greenroom.controller.common.kept_hostvars").keep_in_workers()
            _load_plugins()
        places = self._places()
        services = places["services_path"]
        if services not in CACHE:

            def read(file: str) -> Any:
                return loader.load_from_file(file, unsafe=True, trusted_as_template=True)

            providers = import_module("ansible.module_utils.greenroom.controller.providers.providers")
            CACHE[services] = {
                "catalogue": load(services, read),
                "catalogue_path": services,
                "releases_path": places["releases_path"],
                "provider_catalogue": providers.load(places["providers_path"], read),
                "providers_path": places["providers_path"],
            }
        return CACHE[services]

    def _places(self) -> dict[str, str]:
        """Return the folders of services, releases and providers."""
        if not PLACES:
            module = import_module("ansible.module_utils.greenroom.controller.catalogue.places")
            # Ansible makes an empty path the working directory, so variables are read here.
            origins = {key: self.get_option_and_origin(key) for key in module.DEFAULTS}
            shared = {key: value for key, (value, origin) in origins.items() if not str(origin).startswith("env")}
            inventories = context.CLIARGS.get("inventory") or constants.DEFAULT_HOST_LIST
            try:
                own = module.of_inventories(name for name in inventories if "," not in name)
                PLACES.update(module.places(PROJECT, os.environ, shared, own))
            except module.PlaceError as error:
                raise AnsibleError(str(error)) from error
        return PLACES


def _load_plugins() -> None:
    """Load the plugins that nearly every task uses, in the main process.

    Ansible loads a plugin on first use, which is in a worker. Each of a run's hundreds of workers would load the same
    files again, which takes half of the controller's time.
    """
    for plugins in (filter_loader, test_loader):
        for name in ("bool", "ansible.builtin.bool"):
            plugins.get(name)
    for loader, names in (
        (action_loader, ("ansible.legacy.normal", "template_tree")),
        (become_loader, ("sudo",)),
        (connection_loader, ("ssh",)),
        (lookup_loader, ("ansible.builtin.env", "ansible.builtin.file", "role_packages")),
        (shell_loader, ("sh",)),
    ):
        for name in names:
            loader.get(name, class_only=True)
