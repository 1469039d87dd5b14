# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The packages of all roles of a host."""

from __future__ import annotations

DOCUMENTATION = """
name: role_packages
short_description: The Debian packages of a host's roles
description:
  - Returns the union of the lists C(<role>_packages) of the roles that a host's groups need, for one call to install.
  - A list stands in the role's defaults; a variable of that name goes before it, as everywhere.
  - A role whose variable C(<role>_wanted) is false needs none.
options:
  _terms:
    description: A dictionary that names the roles of each group, then the list of the host's groups.
    required: true
"""

EXAMPLES = """
- name: Install Debian packages
  ansible.builtin.apt:
    name: "{{ query('role_packages', base_package_roles, ['all'] + group_names) }}"
"""

RETURN = """
_raw:
  description: Names of packages, sorted, each once.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

ROLES = Path(__file__).resolve().parents[2] / "roles"


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the packages of all roles in `terms[0]` whose group is among `terms[1]`."""
        roles_of, groups = terms
        packages: set[str] = set()
        for role in {role for group in groups for role in roles_of.get(group, [])}:
            if self._templar.template((variables or {}).get(f"{role}_wanted", True)):
                packages.update(self._packages(role, variables or {}))
        return sorted(packages)

    def _packages(self, role: str, variables: dict[str, Any]) -> list[str]:
        """Return one role's packages; fails for a role that lists none."""
        name = f"{role}_packages"
        if name in variables:
            return list(self._templar.template(variables[name]))
        defaults = ROLES / role / "defaults" / "main.yml"
        content = self._loader.load_from_file(str(defaults)) if defaults.is_file() else {}
        if name not in content:
            raise AnsibleError(f"base_package_roles names the role {role!r}, but {defaults} has no {name!r}")
        return list(content[name])
