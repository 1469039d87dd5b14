# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module smoke_check, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smoke_check
short_description: Ask an environment questions as its users would
version_added: "1.0.0"
description:
  - Runs a list of checks (HTTP in one or several steps, TCP, TLS) side by side and is done by one deadline,
    whatever the servers do.
  - Each verdict says what was expected and what came. The module fails when a check fails.
  - Strings may hold C(${name}), a variable that an earlier step captured or that O(variables) or
    O(secret_variables) give.
    C(${run}) is there always, eight random hexadecimal digits, new for each try of a check, for addresses that
    nobody used before.
  - Cookies are kept within a check. Redirects are answers like any other, and followed only by a step that says
    O(checks[].follow).
author: Greenroom developers (!UNKNOWN)
options:
  checks:
    description:
      - The checks. One with O(checks[].steps) runs them in turn, one without is a single step itself.
    type: list
    elements: dict
    required: true
    suboptions: &check
      name:
        description: What is checked, unique in the call.
        type: str
        required: true
      type:
        description: What kind of check it is.
        type: str
        choices: [http, tcp, tls]
        default: http
      mutates:
        description: Whether it leaves something behind in the environment. Such checks are skipped without O(mutating).
        type: bool
        default: false
      host:
        description: The host of a C(tcp) or C(tls) check.
        type: str
      port:
        description: The port of a C(tcp) or C(tls) check. C(tls) takes 443 without it.
        type: int
      tls:
        description: What a C(tls) check wants of the certificate, beside its being trusted for O(checks[].host).
        type: dict
        suboptions:
          min_days:
            description: Days for which it must be valid at least.
            type: int
            default: 0
      steps:
        description:
          - The steps of a check, in turn. A failed one ends the check, except for steps with
            O(checks[].steps[].always).
        type: list
        elements: dict
        suboptions: &step
          name:
            description: What the step does, for messages.
            type: str
          url: &url
            description: Address, absolute or relative to O(defaults.url).
            type: str
          method: &method
            description: The method; without it C(GET), or C(POST) when there is something to send.
            type: str
          headers: &headers
            description: Request headers.
            type: dict
          form: &form
            description: Fields to send as a form.
            type: dict
          json: &json
            description: Data to send as JSON.
            type: raw
          body: &body
            description: Text to send as it is.
            type: str
          expect: &expect
            description: What the answer must be.
            type: dict
            suboptions:
              status:
                description: Status, or several that are all right. 200 without it.
                type: list
                elements: int
              headers:
                description:
                  - Headers of the answer. A text must be equal; V(true) wants the header to be there, V(false) or
                    null not to.
                type: dict
              contains:
                description: Text or texts that the body holds.
                type: raw
              not_contains:
                description: Text or texts that the body does not hold.
                type: raw
              matches:
                description: Regular expression or expressions found in the body. Variables in it are taken literally.
                type: raw
              json:
                description:
                  - Values of a JSON body by path. A path is made of C(key), C([0]), C(["a.b"]) and C([name=value]),
                    the first item of a list
                    whose C(name), itself a path, equals C(value).
                type: dict
          follow: &follow
            description: Whether redirects are followed.
            type: bool
            default: false
          capture: &capture
            description:
              - Variables to take out of the answer, each a dictionary with one of C(json) (path), C(header),
                C(cookie), C(input) (name of an HTML input),
                C(form) (id or name of an HTML form, empty for the first; gives its action as an absolute address),
                and C(regex) (its first group, in the
                body or in what the other one gave). C(unescape) decodes HTML entities.
            type: dict
          timeout: &timeout
            description: Seconds that the step's request may take, redirects included. O(defaults.timeout) without it.
            type: float
          retry: &retry
            description: Seconds for which the step is done again until it succeeds, for what takes a while to arrive.
            type: float
            default: 0
          auth: &auth
            description: Whether credentials are sent.
            type: bool
            default: true
          username: &username
            description: User name for basic authentication in place of O(defaults.username).
            type: str
          password: &password
            description: Password for basic authentication, with O(checks[].username).
            type: str
          expect_slot: &expect_slot
            description: In place of O(defaults.expect_slot); an empty one expects none.
            type: str
          always:
            description:
              - Whether the step also runs after an earlier one failed, to clean up. Some of the deadline is kept
                for it.
            type: bool
            default: false
      url: *url
      method: *method
      headers: *headers
      form: *form
      json: *json
      body: *body
      expect: *expect
      follow: *follow
      capture: *capture
      timeout: *timeout
      retry: *retry
      auth: *auth
      username: *username
      password: *password
      expect_slot: *expect_slot
  defaults:
    description: What all checks share.
    type: dict
    default: {}
    suboptions:
      url:
        description:
          - The environment's front door. Relative addresses start here. O(defaults.headers), credentials and
            O(defaults.expect_slot) then belong to this host only; without it, to the host that a step names.
        type: str
        default: ""
      headers:
        description: Request headers.
        type: dict
        default: {}
      ca_file:
        description:
          - CA certificates to trust, in place of the system's; for other hosts than the front door, beside them.
        type: path
      resolve:
        description:
          - Addresses of names, in place of what a name server says. Certificates are still checked for the name.
        type: dict
        default: {}
      timeout:
        description: Seconds that one request may take.
        type: float
        default: 10
      username:
        description: User name for basic authentication.
        type: str
        default: ""
      password:
        description: Password for basic authentication.
        type: str
        default: ""
      expect_slot:
        description: The slot that each HTTP answer must name in C(X-Greenroom-Slot), redirects included.
        type: str
        default: ""
  deadline:
    description: Seconds within which the whole call ends.
    type: float
    default: 60
  retry:
    description: Whether failing checks are tried again until they pass or the deadline comes.
    type: bool
    default: false
  concurrency:
    description: How many checks run at once.
    type: int
    default: 8
  mutating:
    description: Whether checks that mutate run. They never do in check mode.
    type: bool
    default: true
  variables:
    description: Values for C(${name}).
    type: dict
    default: {}
  secret_variables:
    description: Values for C(${name}) that are never shown.
    type: dict
    default: {}
  junit:
    description: File for the verdicts as JUnit XML, on the host where the module runs. Not written in check mode.
    type: path
attributes:
  check_mode:
    description: Checks that don't mutate run, the others are skipped.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
"""

EXAMPLES = r"""
- name: Check the idle slot through the edge
  smoke_check:
    deadline: 60
    retry: true
    defaults:
      url: https://portal.staging.greenroom.test
      ca_file: /etc/greenroom/ca.crt
      resolve: {portal.staging.greenroom.test: 198.18.10.10}
      headers: {X-Greenroom-Slot: green}
      expect_slot: green
      username: smoke
      password: "{{ secrets_values['environment/value/smoke'].value }}"
    secret_variables:
      persona: "{{ secrets_values['environment/value/persona'].value }}"
    checks:
      - name: The front page opens
        url: /
        expect: {contains: Greenroom}
      - name: Nothing is shown without authentication
        url: /
        auth: false
        expect: {status: 401}
      - name: The certificate is good for two more weeks
        type: tls
        host: portal.staging.greenroom.test
        tls: {min_days: 14}
      - name: A persona logs in
        steps:
          - url: /self-service/login/browser
            follow: true
            capture:
              action: {form: ""}
              csrf: {input: csrf_token}
          - url: ${action}
            form: {method: password, identifier: someone@people.invalid, password: "${persona}", csrf_token: "${csrf}"}
            expect: {status: 303}
          - url: /sessions/whoami
            expect: {json: {active: true}}
"""

RETURN = r"""
checks:
  description: The verdicts in the order of the checks, also when the module fails.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: The check., type: str, returned: always}
    ok: {description: Whether it passed (or was skipped)., type: bool, returned: always}
    expected: {description: What was expected and did not come., type: str, returned: always}
    got: {description: What came., type: str, returned: always}
    seconds: {description: Seconds that it took with all tries., type: float, returned: always}
    skipped: {description: Whether it was left out because it mutates., type: bool, returned: always}
summary:
  description: All verdicts in one line.
  returned: always
  type: str
  sample: 12 of 12 checks passed in 1.2 s, 2 mutating skipped
skipped_checks:
  description: How many checks were left out because they mutate.
  returned: always
  type: int
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.common import durable
from ansible.module_utils.greenroom.smoke import checks
from ansible.module_utils.greenroom.smoke.attempt import Settings
from ansible.module_utils.greenroom.smoke.options import CHECK

ARGUMENTS: dict[str, Any] = {
    "checks": {"type": "list", "elements": "dict", "required": True, "options": CHECK},
    "defaults": {
        "type": "dict",
        "default": {},
        "options": {
            "url": {"type": "str", "default": ""},
            "headers": {"type": "dict", "default": {}},
            "ca_file": {"type": "path"},
            "resolve": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 10},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "expect_slot": {"type": "str", "default": ""},
        },
    },
    "deadline": {"type": "float", "default": 60},
    "retry": {"type": "bool", "default": False},
    "concurrency": {"type": "int", "default": 8},
    "mutating": {"type": "bool", "default": True},
    "variables": {"type": "dict", "default": {}},
    "secret_variables": {"type": "dict", "default": {}, "no_log": True},
    "junit": {"type": "path"},
}


def strings(values: dict[str, Any]) -> dict[str, str]:
    """Take numbers and the like as text, as a person who writes YAML means them."""
    return {str(key): str(value) for key, value in values.items()}


def main() -> None:
    """Run the checks and report."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = module.params
    if errors := checks.validate(given["checks"]):
        module.fail_json(msg="; ".join(errors))
    if given["deadline"] <= 0 or given["concurrency"] < 1:
        module.fail_json(msg="deadline and concurrency must be positive")
    defaults = given["defaults"]
    settings = Settings(
        deadline=given["deadline"],
        timeout=defaults["timeout"],
        retry=given["retry"],
        concurrency=given["concurrency"],
        mutating=given["mutating"] and not module.check_mode,
        url=defaults["url"],
        headers=strings(defaults["headers"]),
        ca_file=defaults["ca_file"],
        resolve=strings(defaults["resolve"]),
        username=defaults["username"],
        password=defaults["password"],
        expect_slot=defaults["expect_slot"],
        variables=strings(given["variables"]),
        secret_variables=strings(given["secret_variables"]),
    )
    started = time.monotonic()
    verdicts = checks.run(given["checks"], settings)
    seconds = time.monotonic() - started
    result = {
        "changed": False,
        "checks": [verdict.as_dict() for verdict in verdicts],
        "summary": checks.summary(verdicts, seconds),
        "skipped_checks": sum(verdict.skipped for verdict in verdicts),
    }
    if given["junit"] and not module.check_mode:
        try:
            durable.write(given["junit"], checks.junit(verdicts, seconds))
        except OSError as error:
            module.fail_json(msg=f"the report {given['junit']} can't be written: {error.strerror}", **result)
    if not all(verdict.ok for verdict in verdicts):
        module.fail_json(msg=result["summary"], **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
