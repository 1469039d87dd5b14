# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The Debian packages of roles."""

from __future__ import annotations

DOCUMENTATION = """
name: role_packages
short_description: Returns the Debian packages of roles
description:
  - Returns the union of the lists C(<role>_packages) of several roles, so that one task can install all packages.
    A role without a list has no packages.
  - The list is in the role's defaults. A variable of that name overrides it, as usual.
  - A role whose variable C(<role>_wanted) is false has no packages.
options:
  _terms:
    description: The names of the roles.
    required: true
"""

EXAMPLES = """
- name: Install Debian packages
  ansible.builtin.apt:
    name: "{{ query('role_packages', ['base', 'firewall']) }}"
"""

RETURN = """
_raw:
  description: Sorted names of packages, without duplicates.
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
        """Return the packages of all roles in `terms[0]`."""
        packages: set[str] = set()
        for role in terms[0]:
            if self._templar.template((variables or {}).get(f"{role}_wanted", True)):
                packages.update(self._packages(role, variables or {}))
        return sorted(packages)

    def _packages(self, role: str, variables: dict[str, Any]) -> list[str]:
        """Return one role's packages. Raises AnsibleError if the role doesn't exist."""
        name = f"{role}_packages"
        if name in variables:
            return list(self._templar.template(variables[name]))
        if not (ROLES / role).is_dir():
            raise AnsibleError(f"there is no role {role!r} in {ROLES}")
        defaults = ROLES / role / "defaults" / "main.yml"
        # Trusted as a template, because the loader's cache returns the same objects when Ansible reads the file later.
        found = defaults.is_file() and self._loader.load_from_file(str(defaults), trusted_as_template=True)
        return list(self._templar.template((found or {}).get(name, [])))
