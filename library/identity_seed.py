# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module identity_seed, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_seed
short_description: Create, update or remove synthetic users in Ory Kratos
version_added: "1.0.0"
description:
  - Creates the missing users of a set, in batches. The users can log in. Their traits are generated from the identity
    schema in Kratos.
  - The same recipe (O(set), O(seed), O(domain), O(locales), O(traits), O(personas) and the schema) gives the same
    users on any host and in any run. The user with number C(n) has the address C(<set>-<n>-<hash>@<domain>), which
    the filter C(person_address) computes.
  - The module marks the users that it creates in C(metadata_admin). It never changes or removes an identity without
    the mark, except for O(leftovers). If such an identity has the address of a user, the module reports a conflict and
    fails.
  - A mark counts only with a proof. The mark names the user's login, which no two identities in Kratos share, and is
    signed with O(signing_key). An identity whose ID is in the ledger stays a user when its login was changed by hand.
    An identity that has a mark and no proof is a conflict, too.
  - O(state=exact) also restores what was changed by hand in Kratos, such as name, address, state or password. Metadata
    of other programs stays.
  - If a run is killed or Kratos restarts, the next run repairs what was left incomplete. If the response to a request
    was lost, the module looks for its effect before it sends the request again.
  - The controller copies the data generator to the host, and only if there are users to create.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.kratos
  - greenroom.request
options:
  public_url:
    description:
      - URL of Kratos' public API on that host. The module reads the identity schema there.
      - Without it, the module asks the admin API, which redirects to the public URL in Kratos' configuration.
    type: str
  state:
    description:
      - V(present) creates missing users. It keeps users from another recipe as they are, and also additional users of
        the set, from another seed or a higher count.
      - V(exact) also updates users from another recipe, without changing their IDs (except with O(renew)), and removes
        additional users.
      - V(absent) removes all users of the set, whatever the recipe.
    type: str
    choices: [present, exact, absent]
    default: present
  set:
    description:
      - Name of the set, up to 32 lowercase letters, digits and single dashes. One Kratos can have several sets, which
        share no address and no phone number.
    type: str
    required: true
  seed:
    description: Seed for the generated data. Another seed gives other users.
    type: str
    default: "1"
  count:
    description: Number of users, in addition to the personas.
    type: int
    default: 100
  domain:
    description: Domain of the users' addresses. It must never be able to receive mail, as domains below C(.invalid).
    type: str
    required: true
  leftovers:
    description:
      - Prefixes of addresses in O(domain) that only smoke checks use. An identity without the mark that has only such
        addresses is left over from an interrupted check. It counts as an additional user of the set.
    type: list
    elements: str
    default: []
  removals:
    description:
      - Allow V(exact) to remove up to this many users, once. Otherwise, a run that would remove more than
        O(removals_users) and more than O(removals_percent) of the set changes nothing and fails, because a wrong
        O(count) or O(seed) looks the same.
    type: int
    default: 0
  removals_users:
    description: V(exact) may remove up to this many users.
    type: int
    default: 10
  removals_percent:
    description: V(exact) may remove up to this percentage of the set's users.
    type: float
    default: 10
  renew:
    description:
      - Whether V(exact) removes users from another recipe and creates them again in batches, instead of updating each.
        That is about three times as fast. The users get other IDs, and lose their sessions and what they have added
        to their accounts, such as a second factor.
      - Use it for large sets, if what refers to the users is created again, too.
    type: bool
    default: false
  schema_id:
    description: The identity schema.
    type: str
    default: default
  locales:
    description:
      - Faker locales for the generated data. Each gets the same part of the users. One that is listed twice gets twice
        as many.
    type: list
    elements: str
    default: [en_US]
  traits:
    description:
      - How to generate traits that the schema does not describe well enough. Maps a trait's dotted path to the name of
        a Faker provider, to C({provider, args}) or to C({value}).
    type: dict
    default: {}
  personas:
    description:
      - Users with a name and a purpose, in addition to the numbered ones. Each is the name of a known persona
        (V(admin), V(unverified), V(inactive), V(recovery-only), V(two-factor), V(long-name), V(one-letter),
        V(right-to-left), V(emoji)) or a mapping with C(name), C(like) (the persona that it is based on) and the
        differences.
      - The differences are C(state), C(verified), C(password), C(first), C(last), C(gender), C(locale), C(traits),
        C(metadata_public), C(metadata_admin), C(needs), C(totp) and C(recovery_codes) (second factors), C(providers)
        (a list of sign-in providers at which the persona has an account, or a mapping of them to the subjects there),
        C(schema_id) (instead of O(schema_id)) and C(organization) (a UUID).
    type: list
    elements: raw
    default: []
  verified:
    description: The proportion of users with a verified address, from 0 to 1.
    type: float
    default: 1
  metadata_public:
    description: Public metadata of all users.
    type: dict
    default: {}
  metadata_admin:
    description: Admin metadata of all users, in addition to the mark.
    type: dict
    default: {}
  password:
    description:
      - One password for all users, at most 72 bytes. It is hashed once, on the controller, and never leaves it, except
        with O(hashes=each).
      - Either O(password) or O(password_key) is required, except with O(state=absent).
    type: str
  password_key:
    description:
      - A key of at least 16 bytes, from which each user's own password is derived. With the key, the filter
        C(person_password) computes the password.
    type: str
  cost:
    description: Cost of the bcrypt hash of O(password). Use Kratos' own cost, because Kratos never raises a lower one.
    type: int
    default: 12
  signing_key:
    description:
      - A secret of at least 16 bytes, with which the marks of users are signed. It never leaves the controller; the
        module gets a key that is derived from it for O(environment) and O(set).
      - Without it, the login in a mark is the only proof, and an admin of Kratos can forge one.
    type: str
  environment:
    description: Name of the environment that the users belong to. Required with O(signing_key).
    type: str
  adopt:
    description:
      - Names of other sets whose users become users of this set. With O(state=exact), they keep their IDs and get the
        addresses of this set. Needed once, after a set was renamed.
    type: list
    elements: str
    default: []
  adopt_unsigned:
    description:
      - Adopt users whose mark is not signed, if they have the address that the mark tells. Needed once, if a version
        that did not sign marks created them and the ledger is lost.
    type: bool
    default: false
  hashes:
    description:
      - V(shared) hashes O(password) once. An attacker who reads Kratos' database sees who has the same password.
      - V(each) gives each user a hash of their own (scrypt), which takes a host about 0.2 s for each user. The password
        is sent to the host for that.
    type: str
    choices: [shared, each]
    default: shared
  allowed:
    description: Whether this environment may have synthetic users. If not, the module fails in every state.
    type: bool
    required: true
  ledger:
    description: File that records the IDs of the users. The default is C(/var/lib/greenroom/seed/<set>.db).
    type: path
  people_file:
    description:
      - File with key, ID and address of each user for other programs, one JSON object per line. The default is
        C(/var/lib/greenroom/seed/<set>.jsonl).
    type: path
  generators:
    description: Folder on the host for the data generator.
    type: path
    default: /var/lib/greenroom/python
  connections:
    description:
      - How many batches to send in parallel. Of requests for a single user (an update, a removal), four times as many.
    type: int
    default: 2
  timeout:
    default: 60
  deadline:
    description: Timeout of the task in seconds. Users created until then stay, and the next run continues.
    type: float
    default: 14400
  _operation:
    description: Between the controller and the module, C({token, holder, seconds}). Not for playbooks.
    type: dict
  _generator:
    description: Between the controller and the module, C({version, digest, path}). Not for playbooks.
    type: dict
  _password_mark:
    description: A value that changes with the password, between the controller and the module. Not for playbooks.
    type: str
  _compared:
    description: Whether the controller has hashed passwords with the salts of changed hashes. Not for playbooks.
    type: bool
    default: false
attributes:
  check_mode:
    description: Sends no request that changes data, and counts exactly what a run would do.
    support: full
  diff_mode:
    description: Shows the number of users before and after.
    support: full
"""

EXAMPLES = r"""
- name: Create a hundred users
  identity_seed:
    url: http://127.0.0.1:14434
    public_url: http://127.0.0.1:14433
    set: people
    domain: people.staging.invalid
    password: "{{ secrets_values['environment/value/persona'].value }}"
    signing_key: "{{ secrets_values['environment/value/people'].value }}"
    environment: "{{ environment_name }}"
    allowed: "{{ environment_seeding_allowed }}"

- name: Have exactly these users, each with their own password
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

- name: Create users in Ory Network
  identity_seed:
    url: https://example.projects.oryapis.com
    public_url: https://example.projects.oryapis.com
    headers:
      Authorization: "Bearer {{ secrets_values['environment/kratos'].token }}"
    set: people
    domain: people.staging.invalid
    password: "{{ secrets_values['environment/value/persona'].value }}"
    allowed: "{{ environment_seeding_allowed }}"

- name: Remove the users
  identity_seed:
    url: http://127.0.0.1:14434
    set: people
    domain: people.staging.invalid
    allowed: "{{ environment_seeding_allowed }}"
    state: absent
"""

RETURN = r"""
created:
  description: How many users were created, or would be in check mode.
  returned: always
  type: int
updated:
  description: How many users were updated to the recipe, or would be in check mode.
  returned: always
  type: int
removed:
  description: How many users were removed, or would be in check mode.
  returned: always
  type: int
credentials:
  description:
    - How many personas got or lost second factors, accounts at sign-in providers or an organization, or would in check
      mode.
  returned: always
  type: int
present:
  description: How many of the wanted users exist now.
  returned: always
  type: int
outdated:
  description: How many of them are from another recipe, or were changed by hand. O(state=exact) updates them.
  returned: always
  type: int
drifted:
  description: How many users were changed by hand, when the module compared them. O(state=exact) restores them.
  returned: always
  type: int
extra:
  description: How many other users the set has. O(state=exact) removes them.
  returned: always
  type: int
other_sets:
  description:
    - How many identities have the mark of another set, by its name, as far as the module has listed them. It lists all
      if they are few, or if the set has no ledger yet, as after a change of its name. C(identity_info) lists all.
  returned: always
  type: dict
  sample: {people: 110}
conflicts:
  description:
    - Addresses of users that belong to an identity that this module did not create, and the address and ID of each
      identity that has a mark without a proof, at most 50.
    - If there are more, all of them are in the file C(<set>.conflicts) next to O(ledger).
  returned: always
  type: list
  elements: str
problems:
  description: Users that the module could not create, update or remove, each with the reason, at most 20.
  returned: always
  type: list
  elements: str
first:
  description: Address of the user with number 1.
  returned: always
  type: str
  sample: people-1-1f2e3d4c@people.staging.invalid
requests:
  description: How many requests were sent to Kratos in the last call.
  returned: always
  type: int
server:
  description: The server, its version and URL.
  returned: always
  type: str
rate:
  description: Users per second, during the work.
  returned: always
  type: float
seconds:
  description: Duration of the work in seconds.
  returned: always
  type: float
memory:
  description: The module's peak memory on the host, in MiB.
  returned: always
  type: float
people_file:
  description: The file with the users' IDs.
  returned: always
  type: str
people_hash:
  description: The SHA-256 of that file, empty without users.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.people import options, population


def main() -> None:
    """Create, update or remove users."""
    module = AnsibleModule(argument_spec=options.ARGUMENTS, supports_check_mode=True)
    given = module.params
    secrets = options.secrets_of(module)
    if not given["allowed"]:
        module.fail_json(msg="refused: synthetic users are not allowed in this environment")
    try:
        order = options.order_of(given, secrets)
        if brought := (given["_generator"] or {}).get("path"):
            population.install(brought, order.generators, order.archive)
        result = population.run(order, module.check_mode)
    except population.ERRORS as error:
        module.fail_json(msg=str(error))
    if "created" in result:
        result["diff"] = population.diff_of(result, order.recipe.set)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
