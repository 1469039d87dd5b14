# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module identity_seed, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_seed
short_description: Create synthetic people in Ory Kratos, keep them exactly so, or remove them
version_added: "1.0.0"
description:
  - Creates the people of a set who are missing, in batches. They look like people of this environment, for their
    traits are generated from Kratos' own identity schema, and they can log in.
  - The same recipe (O(set), O(seed), O(domain), O(locales), O(traits), O(personas) and the schema) makes the same
    people on any host and in any run. The person with number C(n) has the address C(<set>-<n>-<hash>@<domain>), which
    the filter C(person_address) computes.
  - Whom it creates carries a mark in C(metadata_admin). An identity without it is never changed or removed, but for
    O(leftovers); one that holds the address of a person is a conflict that is reported, and the module fails.
  - A run that is killed at any moment, and a Kratos that is restarted meanwhile, leave nothing behind that the next
    run does not put right. A request whose answer was lost is looked up before it is sent again.
  - What invents people is brought to the host by the controller, and only when somebody is to be created.
author: Greenroom developers (!UNKNOWN)
options:
  url:
    description: Address of Kratos' admin interface, as the host on which the module runs reaches it.
    type: str
    required: true
  public_url:
    description:
      - Address of Kratos' public interface on that host; the identity schema is read there.
      - Without it the admin interface is asked, which redirects to the address that Kratos thinks it has.
    type: str
  state:
    description:
      - V(present) creates the people who are missing. Those who were made from another recipe stay as they are, and so
        do further ones of the set, from another seed or a higher count.
      - V(exact) also updates those who were made from another recipe, without changing their ids, and removes those
        that nobody wants.
      - V(absent) removes everybody of the set, whatever the recipe.
    type: str
    choices: [present, exact, absent]
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
    description: How many people, besides the personas.
    type: int
    default: 100
  domain:
    description: Domain of their addresses. Refused unless it can never receive mail, as those below C(.invalid).
    type: str
    required: true
  leftovers:
    description:
      - How addresses in O(domain) begin that only checks use. Who has such addresses and no other, and no mark, was
        left by a check that was broken off, and counts as one of the set whom nobody wants.
    type: list
    elements: str
    default: []
  schema_id:
    description: The identity schema.
    type: str
    default: default
  locales:
    description: Where people come from, as locales of Faker.
    type: list
    elements: str
    default: [en_US]
  traits:
    description:
      - What traits are made of, where the schema does not say enough. A trait's dotted path to the name of a provider
        of Faker, to C({provider, args}) or to C({value}).
    type: dict
    default: {}
  personas:
    description:
      - Named people with a purpose, besides the numbered ones. Each is the name of a known persona (V(admin),
        V(unverified), V(inactive), V(recovery-only), V(long-name), V(right-to-left)) or a mapping with C(name), C(like)
        (the one it starts from) and what is different.
    type: list
    elements: raw
    default: []
  verified:
    description: The share of people whose address counts as verified, from 0 to 1.
    type: float
    default: 1
  metadata_public:
    description: Public metadata of all.
    type: dict
    default: {}
  metadata_admin:
    description: Further admin metadata of all, beside the mark.
    type: dict
    default: {}
  password:
    description:
      - One password for all, at most 72 bytes. It is hashed once, on the controller, and does not leave it.
      - One of O(password) and O(password_key) is needed unless O(state=absent).
    type: str
  password_key:
    description:
      - A key of at least 16 bytes from which each person's own password follows. Who has the key computes it with the
        filter C(person_password).
    type: str
  cost:
    description: Cost of the bcrypt hash of O(password). Kratos never raises a lower one, so take the server's own.
    type: int
    default: 12
  allowed:
    description: Whether synthetic people may live in this environment. The module refuses otherwise, in any state.
    type: bool
    required: true
  ledger:
    description: Where it is noted who is who. C(/var/lib/greenroom/seed/<set>.db) without it.
    type: path
  people_file:
    description:
      - Where key, id and address of each person stand for others to read, one line of JSON each.
        C(/var/lib/greenroom/seed/<set>.jsonl) without it.
    type: path
  generators:
    description: Folder on the host for what invents people.
    type: path
    default: /var/lib/greenroom/python
  connections:
    description: How many requests are under way at once.
    type: int
    default: 2
  timeout:
    description: Seconds that one request may take.
    type: float
    default: 60
  deadline:
    description: Seconds after which the task gives up; what is done stays, and the next run goes on.
    type: float
    default: 14400
  _operation:
    description: Between the controller and the module, C({token, holder, seconds}). Not for playbooks.
    type: dict
  _generator:
    description: Between the controller and the module, C({version, name, path}). Not for playbooks.
    type: dict
  _password_mark:
    description: What differs when passwords do, between the controller and the module. Not for playbooks.
    type: str
  _password_hash:
    description: The hash, between the controller and the module. Not for playbooks.
    type: str
attributes:
  check_mode:
    description: Makes no writing call, and counts exactly what a run would do.
    support: full
  diff_mode:
    description: Shows the number of people before and after.
    support: full
"""

EXAMPLES = r"""
- name: Create a hundred people
  identity_seed:
    url: http://127.0.0.1:14434
    public_url: http://127.0.0.1:14433
    set: people
    domain: people.staging.invalid
    password: "{{ secrets_values['environment/value/persona'].value }}"
    allowed: "{{ environment_seeding_allowed }}"

- name: Keep exactly these people, each with a password of their own
  identity_seed:
    url: http://127.0.0.1:14434
    public_url: http://127.0.0.1:14433
    state: exact
    set: people
    seed: "2"
    count: 20000
    domain: people.staging.invalid
    locales: [en_US, de_DE]
    personas: [admin, unverified, {name: vip, traits: {tier: {value: gold}}}]
    verified: 0.9
    password_key: "{{ secrets_values['environment/value/persona'].value }}"
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
updated:
  description: How many people were given what the recipe says, in check mode would be.
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
outdated:
  description: How many of them were made from another recipe; O(state=exact) updates them.
  returned: always
  type: int
extra:
  description: How many people carry the set's mark and are not wanted; O(state=exact) removes them.
  returned: always
  type: int
conflicts:
  description: Addresses of people that belong to an identity which this module did not make, 20 at most.
  returned: always
  type: list
  elements: str
problems:
  description: People who could not be dealt with, each with the reason, 20 at most.
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
server:
  description: The server, its version and address.
  returned: always
  type: str
rate:
  description: People a second, while there was something to do.
  returned: always
  type: float
seconds:
  description: How long that was.
  returned: always
  type: float
memory:
  description: How much memory the module took on the host at most, in MiB.
  returned: always
  type: float
people_file:
  description: Where the people's ids stand.
  returned: always
  type: str
people_hash:
  description: The SHA-256 of that file, empty when nobody is there.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.people import people, population

ARGUMENTS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "public_url": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "exact", "absent"], "default": "present"},
    "set": {"type": "str", "required": True},
    "seed": {"type": "str", "default": "1"},
    "count": {"type": "int", "default": 100},
    "domain": {"type": "str", "required": True},
    "leftovers": {"type": "list", "elements": "str", "default": []},
    "schema_id": {"type": "str", "default": "default"},
    "locales": {"type": "list", "elements": "str", "default": ["en_US"]},
    "traits": {"type": "dict", "default": {}},
    "personas": {"type": "list", "elements": "raw", "default": []},
    "verified": {"type": "float", "default": 1},
    "metadata_public": {"type": "dict", "default": {}},
    "metadata_admin": {"type": "dict", "default": {}},
    "password": {"type": "str", "no_log": True},
    "password_key": {"type": "str", "no_log": True},
    "cost": {"type": "int", "default": 12},
    "allowed": {"type": "bool", "required": True},
    "ledger": {"type": "path"},
    "people_file": {"type": "path"},
    "generators": {"type": "path", "default": "/var/lib/greenroom/python"},
    "connections": {"type": "int", "default": 2},
    "timeout": {"type": "float", "default": 60},
    "deadline": {"type": "float", "default": 14400},
    "_operation": {"type": "dict"},
    "_generator": {"type": "dict"},
    "_password_mark": {"type": "str", "no_log": True},
    "_password_hash": {"type": "str", "no_log": True},
}
RECIPE = (
    *("set", "seed", "count", "domain", "schema_id", "locales", "traits", "personas", "verified"),
    *("metadata_public", "metadata_admin"),
)


def order_of(given: dict[str, Any]) -> population.Order:
    """Return what the arguments ask for; raises people.PeopleError."""
    generator, operation = given["_generator"] or {}, given["_operation"] or {}
    recipe = people.Recipe.of(
        {
            **{key: given[key] for key in RECIPE},
            "password": given["_password_mark"] or "",
            "generator": generator.get("version", ""),
        }
    )
    if not 1 <= given["connections"] <= 32:
        raise people.PeopleError(f"connections must be 1 to 32, not {given['connections']}")
    path = given["ledger"] or f"{population.FOLDER}/{recipe.set}.db"
    shared, key = given["_password_hash"] or "", given["password_key"]

    def hash_of(person: str) -> str:
        if shared or not key:
            return str(shared)
        return str(people.derived_hash(people.person_password(key, recipe.set, recipe.seed, person)))

    return population.Order(
        recipe=recipe,
        state=given["state"],
        url=given["url"],
        public_url=given["public_url"],
        timeout=given["timeout"],
        deadline=given["deadline"],
        connections=given["connections"],
        ledger=path,
        people_file=given["people_file"] or f"{path.removesuffix('.db')}.jsonl",
        generators=given["generators"],
        leftovers=tuple(given["leftovers"]),
        token=operation.get("token", "none"),
        holder=operation.get("holder", ""),
        seconds=float(operation.get("seconds", 15)),
        archive=generator.get("name", ""),
        hash_of=hash_of,
    )


def diff_of(result: dict[str, Any], people_set: str) -> dict[str, str]:
    """Return the numbers before and after."""
    after = result["present"] + result["extra"]
    before = after - result["created"] + result["removed"]
    updated = f", {result['updated']} of them updated" if result["updated"] else ""
    return {
        "before": f"{before} people of the set {people_set}\n",
        "after": f"{after} people of the set {people_set}{updated}\n",
    }


def main() -> None:
    """Seed, or remove what was seeded."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if not given["allowed"]:
        module.fail_json(msg="refused: synthetic people are not allowed in this environment")
    try:
        order = order_of(given)
        if brought := (given["_generator"] or {}).get("path"):
            population.install(brought, order.generators, order.archive)
        result = population.run(order, module.check_mode)
    except population.ERRORS as error:
        module.fail_json(msg=str(error))
    if "created" in result:
        result["diff"] = diff_of(result, order.recipe.set)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
