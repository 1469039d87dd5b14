# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module identity_seed; its documentation is data below."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_seed
short_description: Create synthetic people in Ory Kratos, or remove them
version_added: "1.0.0"
description:
  - Creates the people of a set who are missing, in batches, with a verified address and a password that they share.
  - The same O(set), O(seed) and O(domain) are the same people on any host and in any run. The person with number C(n)
    has the address C(<set>-<n>-<hash>@<domain>), which the filter C(person_address) computes.
  - Whom it creates carries a mark in C(metadata_admin). An identity without it is never changed or removed; one that
    holds the address of a person is a conflict, and the module fails.
  - A run that changes nothing asks Kratos once for every 500 people, and hashes no password.
author: Greenroom developers (!UNKNOWN)
options:
  url:
    description: Address of Kratos' admin interface, as the host on which the module runs reaches it.
    type: str
    required: true
  state:
    description:
      - V(present) creates the people who are missing. Further ones of the same set, from another seed or a higher
        count, stay, and so do the passwords of those who are there.
      - V(absent) removes everybody of the set, whatever the seed.
    type: str
    choices: [present, absent]
    default: present
  set:
    description: Name of the set; several sets can live in one Kratos.
    type: str
    required: true
  seed:
    description: What makes these people others than those of another seed.
    type: str
    default: "1"
  count:
    description: How many people.
    type: int
    default: 100
  domain:
    description: Domain of their addresses. Refused unless it can never receive mail, as those below C(.invalid).
    type: str
    required: true
  schema_id:
    description: The identity schema; its traits must be C(email) and C(name) with C(first) and C(last).
    type: str
    default: default
  password:
    description: The password of all, at most 72 bytes. Needed with O(state=present). It does not leave the controller.
    type: str
  cost:
    description: Cost of the bcrypt hash. Kratos never raises a lower one, so it should be the server's own.
    type: int
    default: 12
  allowed:
    description: Whether synthetic people may live in this environment. The module refuses otherwise, in both states.
    type: bool
    required: true
  ledger:
    description: Where the ids of the people are kept. C(/var/lib/greenroom/seed/<set>.json) without it.
    type: path
  timeout:
    description: Seconds that one request may take.
    type: float
    default: 60
  _names:
    description: Names by number, between the controller and the module. Not for playbooks.
    type: dict
  _password_hash:
    description: The hash, between the controller and the module. Not for playbooks.
    type: str
attributes:
  check_mode:
    description: Reads and counts, makes no writing call.
    support: full
  diff_mode:
    description: Shows the number of people before and after.
    support: full
"""

EXAMPLES = r"""
- name: Create a hundred people
  identity_seed:
    url: http://127.0.0.1:14434
    set: people
    domain: people.staging.invalid
    password: "{{ secrets_values['environment/value/persona'].value }}"
    allowed: "{{ environment_seeding_allowed }}"

- name: Remove them
  identity_seed:
    url: http://127.0.0.1:14434
    set: people
    domain: people.staging.invalid
    allowed: "{{ environment_seeding_allowed }}"
    state: absent
"""

RETURN = r"""
created:
  description: How many people were created, in check mode would be.
  returned: always
  type: int
removed:
  description: How many people were removed, in check mode would be.
  returned: always
  type: int
present:
  description: How many of the wanted people are there now.
  returned: always
  type: int
extra:
  description: How many people carry the set's mark and are not wanted, from another seed or a higher count.
  returned: always
  type: int
conflicts:
  description: Addresses of people that belong to an identity which this module did not make.
  returned: always
  type: list
  elements: str
first:
  description: Address of the person with number 1.
  returned: always
  type: str
  sample: people-1-1f2e3d4c@people.staging.invalid
requests:
  description: How many requests were sent to Kratos in the last call.
  returned: always
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom import identities

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "set": {"type": "str", "required": True},
    "seed": {"type": "str", "default": "1"},
    "count": {"type": "int", "default": 100},
    "domain": {"type": "str", "required": True},
    "schema_id": {"type": "str", "default": "default"},
    "password": {"type": "str", "no_log": True},
    "cost": {"type": "int", "default": 12},
    "allowed": {"type": "bool", "required": True},
    "ledger": {"type": "path"},
    "timeout": {"type": "float", "default": 60},
    "_names": {"type": "dict"},
    "_password_hash": {"type": "str", "no_log": True},
}


def seed(given: dict[str, Any], check: bool) -> dict[str, Any]:
    """Do what the arguments ask for; returns the result, with `failed` and `msg` when not all of it could be done."""
    people = identities.People(given["set"], given["seed"], given["count"], given["domain"], given["schema_id"])
    kratos = identities.Kratos(given["url"], given["timeout"])
    path = given["ledger"] or f"/var/lib/greenroom/seed/{people.set}.json"
    ledger = identities.read_ledger(path)
    if given["state"] == "absent":
        outcome = identities.absent(kratos, people, ledger, write=not check)
    else:
        names = None if given["_names"] is None or check else {int(key): name for key, name in given["_names"].items()}
        outcome = identities.present(kratos, people, ledger, names, given["_password_hash"] or "")
    created = len(outcome.missing) if check else outcome.created
    wanted = identities.ledger_of(people, outcome.found)
    outdated = ledger != wanted
    if outdated and not check:
        identities.write_ledger(path, wanted)
    now = len(outcome.found.ours) + (created if check else 0)
    result = {
        "changed": bool(created or outcome.removed or (outdated and not outcome.missing)),
        "created": created,
        "removed": outcome.removed,
        "present": now,
        "extra": len(outcome.found.extra),
        "conflicts": [people.address(index) for index in sorted(outcome.found.taken)],
        "first": people.address(1),
        "requests": kratos.requests,
        "missing_people": outcome.missing,
        "people": {"set": people.set, "seed": people.seed, "cost": given["cost"]},
        "diff": {
            "before": f"{now - created + outcome.removed} people of the set {people.set}\n",
            "after": f"{now} people of the set {people.set}\n",
        },
    }
    if problems := problems_of(people, outcome, final=check or given["_names"] is not None):
        result.update(failed=True, msg=problems)
    return result


def problems_of(people: identities.People, outcome: identities.Outcome, final: bool) -> str:
    """Say what could not be done, empty when there is nothing, or when this is not yet the `final` call."""
    problems = []
    if outcome.found.taken and (final or not outcome.missing):
        taken = sorted(outcome.found.taken)
        problems.append(
            "these addresses belong to identities that are not synthetic, and were left alone: "
            + ", ".join(people.address(index) for index in taken[:3])
            + (f" and {len(taken) - 3} more" if taken[3:] else "")
        )
    if outcome.failed:
        problems.append(f"{len(outcome.missing)} people were not created: " + "; ".join(outcome.failed[:3]))
    return "; ".join(problems)


def main() -> None:
    """Seed, or remove what was seeded."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if not module.params["allowed"]:
        module.fail_json(msg="refused: synthetic people are not allowed in this environment")
    try:
        result = seed(module.params, module.check_mode)
    except identities.SeedError as error:
        module.fail_json(msg=str(error))
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
