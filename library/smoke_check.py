# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Ansible module smoke_check, documented in DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smoke_check
short_description: Run smoke checks against an environment, as its users would use it
version_added: "1.0.0"
description:
  - Runs a list of checks (HTTP in one or several steps, TCP, TLS) in parallel. It ends by the deadline, whatever the
    servers do.
  - Each verdict has the expected and the actual result. The module fails if a check fails.
  - Strings may contain C(${name}), a variable that an earlier step captured or that O(variables) or
    O(secret_variables) set.
    C(${run}) is always set. It has eight random hexadecimal digits, new for each try of a check. Use it for addresses
    that must be new.
  - C(${totp:name}) is the current one-time code (TOTP, RFC 6238) of the secret in C(${name}), which is base32 or an
    C(otpauth://) URL.
  - A check keeps its cookies from step to step. Redirects are ordinary responses; only steps with O(checks[].follow)
    follow them.
author: Greenroom developers (!UNKNOWN)
extends_documentation_fragment:
  - greenroom.no_diff
options:
  checks:
    description:
      - The checks. A check with O(checks[].steps) runs them in order. A check without steps is a single step.
    type: list
    elements: dict
    required: true
    suboptions: &check
      name:
        description: Name of the check, unique in the call.
        type: str
        required: true
      type:
        description: Kind of the check.
        type: str
        choices: [http, tcp, tls]
        default: http
      mutates:
        description: Whether it changes data in the environment. Such checks are skipped if O(mutating) is false.
        type: bool
        default: false
      host:
        description: The host of a C(tcp) or C(tls) check.
        type: str
      port:
        description: The port of a C(tcp) or C(tls) check. The default for C(tls) is 443.
        type: int
      tls:
        description: Requirements for the certificate in a C(tls) check. It must always be trusted for O(checks[].host).
        type: dict
        suboptions:
          min_days:
            description: Minimum number of days for which it must still be valid.
            type: int
            default: 0
      steps:
        description:
          - The steps of a check, in order. After a failed step, only steps with O(checks[].steps[].always) run.
        type: list
        elements: dict
        suboptions: &step
          name:
            description: Name of the step, for messages.
            type: str
          url: &url
            description: URL, absolute or relative to O(defaults.url).
            type: str
          method: &method
            description: The method. The default is C(GET), or C(POST) with a request body.
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
            description: Text to send unchanged.
            type: str
          expect: &expect
            description: The expected response.
            type: dict
            suboptions:
              status:
                description: Accepted status codes. The default is 200.
                type: list
                elements: int
              headers:
                description:
                  - Headers of the response. A string must be equal to the header. With V(true), the header must
                    exist. With V(false) or null, it must not.
                type: dict
              contains:
                description: Strings that the body must contain.
                type: raw
              not_contains:
                description: Strings that the body must not contain.
                type: raw
              matches:
                description: Regular expressions that must match in the body. Values of variables are matched literally.
                type: raw
              json:
                description:
                  - Values of a JSON body by path. A path consists of C(key), C([0]), C(["a.b"]) and C([name=value]),
                    which is the first item of a list with C(value) at the path C(name).
                type: dict
          follow: &follow
            description: Whether to follow redirects.
            type: bool
            default: false
          capture: &capture
            description:
              - Variables to capture from the response, each a dictionary with one of C(json) (path), C(header),
                C(cookie), C(input) (name of an HTML input) and
                C(form) (id or name of an HTML form, empty for the first; gives its action as an absolute URL).
                C(regex) captures its first group, from the body or from the value of the other source. C(unescape)
                decodes HTML entities.
            type: dict
          timeout: &timeout
            description: Timeout of the step's request in seconds, with redirects. The default is O(defaults.timeout).
            type: float
          retry: &retry
            description: Seconds for which to repeat the step until it succeeds, for example until a mail arrives.
            type: float
            default: 0
          auth: &auth
            description: Whether to send credentials.
            type: bool
            default: true
          username: &username
            description: User name for basic authentication instead of O(defaults.username).
            type: str
          password: &password
            description: Password for basic authentication, with O(checks[].username).
            type: str
          expect_slot: &expect_slot
            description: Overrides O(defaults.expect_slot). With an empty string, any slot is accepted.
            type: str
          always:
            description:
              - Whether the step also runs after an earlier one failed, for cleanup. Some time before the deadline is
                reserved for it.
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
    description: Settings for all checks.
    type: dict
    suboptions:
      url:
        description:
          - The environment's public URL, the base for relative URLs. O(defaults.headers), credentials and
            O(defaults.expect_slot) only apply to its host, or without this option, to the host in the step's URL.
        type: str
        default: ""
      headers:
        description: Request headers.
        type: dict
        default: {}
      ca_file:
        description:
          - File with CA certificates to trust. For the host of O(defaults.url) they replace the system's, for other
            hosts they are trusted in addition.
        type: path
      resolve:
        description:
          - Addresses of names, used instead of a name server. C(*.) stands for the names one label below. Certificates
            are still checked for the name.
        type: dict
        default: {}
      names:
        description:
          - Further host names of the environment, which are treated as the host of O(defaults.url). C(*.) stands for
            the names one label below.
        type: list
        elements: str
        default: []
      timeout:
        description: Timeout of one request in seconds.
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
        description: The slot that each HTTP response must have in C(X-Greenroom-Slot), including redirects.
        type: str
        default: ""
  deadline:
    description: Seconds after which the whole call ends.
    type: float
    default: 60
  retry:
    description: Whether to repeat failing checks until they pass or the deadline is over.
    type: bool
    default: false
  concurrency:
    description: How many checks run in parallel.
    type: int
    default: 8
  mutating:
    description: Whether to run checks that change data (O(checks[].mutates)). They never run in check mode.
    type: bool
    default: true
  variables:
    description: Values for C(${name}).
    type: dict
    default: {}
  secret_variables:
    description: Values for C(${name}) that must not appear in output.
    type: dict
    default: {}
  report_only:
    description: Whether to report failed checks in the result's C(msg) and not to fail.
    type: bool
    default: false
  subject:
    description: What is checked. The error begins with it, for example with V(blue, the live slot).
    type: str
    default: ""
  hint:
    description: What to do if a check fails. The error begins with it.
    type: str
    default: ""
  unreadable:
    description:
      - Secrets that could not be read, V(password) or names in O(secret_variables). Checks that use one of them are not
        done, and the result says so.
    type: list
    elements: str
    default: []
  junit:
    description: File for a JUnit XML report, on the host where the module runs. Not written in check mode.
    type: path
attributes:
  check_mode:
    description: Runs checks that don't change data and skips the others.
    support: full
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
      - name: The front page needs authentication
        url: /
        auth: false
        expect: {status: 401}
      - name: The certificate is valid for two more weeks
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
  description: The verdicts in the order of the checks, also if the module fails.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: The check., type: str, returned: always}
    ok: {description: Whether it passed or was skipped., type: bool, returned: always}
    expected: {description: The expected result if it failed., type: str, returned: always}
    got: {description: The actual result., type: str, returned: always}
    seconds: {description: Duration in seconds with all tries., type: float, returned: always}
    skipped: {description: Whether it was skipped., type: bool, returned: always}
    unreadable: {description: Whether it was skipped because a secret could not be read., type: bool, returned: always}
summary:
  description: All verdicts in one line.
  returned: always
  type: str
  sample: 12 of 12 checks passed in 1.2 s, 2 skipped because they change data
skipped_checks:
  description: How many checks were skipped because they change data.
  returned: always
  type: int
unreadable_checks:
  description: How many checks were not done because a secret that they use could not be read.
  returned: always
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.greenroom.modules import smoke_check


def main() -> None:
    """Run the checks and return the verdicts."""
    module = AnsibleModule(argument_spec=smoke_check.ARGUMENTS, supports_check_mode=True)
    result = smoke_check.carry_out(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
