# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Named people in a CSV or JSON file."""

from __future__ import annotations

DOCUMENTATION = """
name: named_people
short_description: Returns the people in a CSV or JSON file as personas
description:
  - Reads files on the controller, for the option O(personas) of the module C(identity_seed).
  - A CSV file has a column C(key), which names the persona. C(like), C(state), C(verified), C(password), C(locale),
    C(first) and C(last) are optional. All other columns are traits, such as C(traits.name.first). The module converts
    their values to the types in the identity schema. An empty cell leaves a value to the generator.
  - A JSON file has a list of mappings with a C(key), all keys of a persona, and C(traits) with values as in Kratos.
options:
  _terms:
    description: The files. An empty name has no people.
    required: true
"""

EXAMPLES = """
- name: Create two personas and the people in a file
  identity_seed:
    url: http://127.0.0.1:14434
    public_url: http://127.0.0.1:14433
    set: people
    domain: people.staging.invalid
    personas: "{{ ['admin', 'unverified'] + query('named_people', 'people.csv') }}"
    password: "{{ secrets_values['environment/value/persona'].value }}"
    allowed: "{{ environment_seeding_allowed }}"
"""

RETURN = """
_raw:
  description: The personas, in the order of the files.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.greenroom.controller.people import named
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the people of all files. Raises AnsibleError."""
        found: list[dict[str, Any]] = []
        for term in terms:
            path = (term and self.find_file_in_search_path(variables, "files", term, ignore_missing=True)) or term
            try:
                found += named.named_people(str(path))
            except named.NamedPeopleError as error:
                raise AnsibleError(str(error)) from error
        return found
