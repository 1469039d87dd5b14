# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One try of one smoke check: its requests, what it expects of the answers, what it carries from step to step."""

from __future__ import annotations

import base64
import http.client
import http.cookiejar
import json
import re
import secrets
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode, urljoin, urlsplit

from . import web
from .captures import CaptureError, capture, json_path
from .masking import Mask

SLOT_HEADER = "X-Greenroom-Slot"
REDIRECT_LIMIT = 10
PAUSES = (0.3, 0.5, 1.0, 2.0, 3.0)
"""Seconds between tries; the last one repeats."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Failure(Exception):
    """A check that did not see what it wanted: what it `expected` and what it `got`."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True)
class Settings:
    """What all checks of a call share; `deadline`, `timeout` in seconds."""

    deadline: float = 60.0
    timeout: float = 10.0
    retry: bool = False
    concurrency: int = 8
    mutating: bool = True
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    resolve: Mapping[str, str] = field(default_factory=dict)
    username: str = ""
    password: str = ""
    expect_slot: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    secret_variables: Mapping[str, str] = field(default_factory=dict)


def steps_of(check: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(check.get("steps") or [check])


def listed(value: Any) -> list[Any]:
    """Take one value, a list of them or None as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def substitute(value: Any, variables: Mapping[str, str], escape: bool = False) -> Any:
    """Put variables in the place of `${name}` in all strings within `value`; `escape` makes them literal in a regex.

    Raises Failure when there is no such variable.
    """
    if isinstance(value, str):

        def replace(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in variables:
                raise Failure(f"a value for ${{{name}}}", "no such variable: nothing captured it")
            return re.escape(variables[name]) if escape else variables[name]

        return VARIABLE.sub(replace, value)
    if isinstance(value, Mapping):
        return {substitute(key, variables): substitute(item, variables, escape) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, variables, escape) for item in value]
    return value


class Attempt:
    """One try of one check: its cookies, variables and what must not be shown."""

    def __init__(self, settings: Settings, deadline: web.Deadline) -> None:
        self.settings = settings
        self.deadline = deadline
        self.network = web.Network(dict(settings.resolve), settings.ca_file)
        self.cookies = http.cookiejar.CookieJar()
        self.variables = {**settings.variables, **settings.secret_variables, "run": secrets.token_hex(4)}
        self.mask = Mask([*settings.secret_variables.values(), settings.password])
        self.front = urlsplit(settings.url).hostname

    def run(self, check: Mapping[str, Any]) -> str:
        """Run the check; returns what it got, raises Failure."""
        kind = check.get("type") or "http"
        try:
            if kind == "tcp":
                return self._tcp(check)
            return self._tls(check) if kind == "tls" else self._http(check)
        except web.WebError as error:
            raise Failure("a connection" if kind == "tcp" else "an answer", str(error)) from error

    def _limit(self, step: Mapping[str, Any]) -> web.Deadline:
        return self.deadline.earlier(float(step.get("timeout") or self.settings.timeout))

    def _tcp(self, check: Mapping[str, Any]) -> str:
        host, port = substitute(check["host"], self.variables), int(check["port"])
        try:
            web.connect(host, port, self.network, self._limit(check)).close()
        except TimeoutError as error:
            raise Failure("a connection", f"none to {host} port {port} in time") from error
        return f"connected to {host} port {port}"

    def _tls(self, check: Mapping[str, Any]) -> str:
        host, port = substitute(check["host"], self.variables), int(check.get("port") or 443)
        limit = self._limit(check)
        try:
            raw = web.connect(host, port, self.network, limit)
            with web.encrypt(raw, host, self.network, limit) as sock:
                days = web.days_left(sock)
        except TimeoutError as error:
            raise Failure("a TLS handshake", f"none with {host} port {port} in time") from error
        wanted = int((check.get("tls") or {}).get("min_days") or 0)
        if days < wanted:
            raise Failure(f"a certificate valid for {wanted} days or more", f"{days:.1f} days left")
        return f"certificate of {host} valid for {days:.1f} days"

    def _http(self, check: Mapping[str, Any]) -> str:
        """Run the steps in turn; those with `always` also after a failure, as long as what they need was captured."""
        steps = steps_of(check)
        deadline = self.deadline
        if any(step.get("always") for step in steps):
            # Cleaning up needs time of its own: a step that hangs must not take it.
            self.deadline = deadline.before(min(5.0, deadline.left() / 4))
        failure: Failure | None = None
        got = ""
        for number, step in enumerate(steps, 1):
            if step.get("always"):
                self.deadline = deadline
            elif failure:
                continue
            try:
                got = self._step(step)
            except (Failure, web.WebError) as error:
                if failure is None:
                    label = f"step {number} ({step.get('name') or step['url']}): " if len(steps) > 1 else ""
                    expected = error.expected if isinstance(error, Failure) else "an answer"
                    failure = Failure(expected, label + (error.got if isinstance(error, Failure) else str(error)))
        if failure:
            raise failure
        return got

    def _step(self, step: Mapping[str, Any]) -> str:
        """Do a step, again and again for `retry` seconds until it succeeds."""
        patience = self.deadline.earlier(float(step.get("retry") or 0))
        tries = 0
        while True:
            try:
                answer = self._ask(step)
                self._expect(step, answer)
                self._capture(step, answer)
                return f"status {answer.status}"
            except (Failure, web.WebError):
                pause = PAUSES[min(tries, len(PAUSES) - 1)]
                if patience.left() <= pause:
                    raise
                time.sleep(pause)
                tries += 1

    def _ask(self, step: Mapping[str, Any]) -> web.Answer:
        """Send a step's request, and those it is redirected to when it follows."""
        limit = self._limit(step)
        url = urljoin(self.settings.url, substitute(step["url"], self.variables))
        headers = {"Accept": "*/*", "User-Agent": "greenroom-smoke"}
        body: bytes | None = None
        if step.get("form") is not None:
            body = urlencode(substitute(step["form"], self.variables), doseq=True).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif step.get("json") is not None:
            body = json.dumps(substitute(step["json"], self.variables)).encode()
            headers["Content-Type"] = "application/json"
        elif step.get("body") is not None:
            body = substitute(step["body"], self.variables).encode()
        method = step.get("method") or ("GET" if body is None else "POST")
        for _ in range(REDIRECT_LIMIT):
            answer = self._request(method, url, headers, body, step, limit)
            location = answer.header("Location")
            if not step.get("follow") or answer.status not in (301, 302, 303, 307, 308) or location is None:
                return answer
            if answer.status in (301, 302, 303) and method not in ("GET", "HEAD"):
                method, body = "GET", None
                headers.pop("Content-Type", None)
            url = urljoin(url, location)
        raise Failure("an answer", f"more than {REDIRECT_LIMIT} redirects")

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        step: Mapping[str, Any],
        limit: web.Deadline,
    ) -> web.Answer:
        """Send one request with the cookies of this check and, where they belong, the call's headers and credentials."""
        front = self.front is None or urlsplit(url).hostname == self.front
        sent = dict(headers)
        if front:
            sent.update(self.settings.headers)
        sent.update(substitute(step.get("headers") or {}, self.variables))
        username, password = self._credentials(step, url, front)
        if username:
            pair = base64.b64encode(f"{username}:{password}".encode()).decode()
            self.mask.add(pair)
            sent.setdefault("Authorization", f"Basic {pair}")
        self.mask.add(sent.get("Authorization", ""))
        cookie_request = urllib.request.Request(url)
        self.cookies.add_cookie_header(cookie_request)
        if cookie := cookie_request.get_header("Cookie"):
            sent["Cookie"] = cookie
        answer = web.request(method, url, sent, body, self.network, limit)
        self.cookies.extract_cookies(cast(http.client.HTTPResponse, _CookieAnswer(answer)), cookie_request)
        for held in self.cookies:
            self.mask.add(held.value or "")
        wanted = step.get("expect_slot")
        if wanted is None:
            wanted = self.settings.expect_slot if front else ""
        slot = answer.header(SLOT_HEADER)
        if wanted and slot != wanted:
            raise Failure(
                f"an answer from slot {wanted}", f"{_short(answer)} from {f'slot {slot}' if slot else 'no slot'}"
            )
        return answer

    def _credentials(self, step: Mapping[str, Any], url: str, front: bool) -> tuple[str, str]:
        """Return user name and password for a request; a redirect to another host never gets a step's own ones."""
        if step.get("auth") is False:
            return "", ""
        if step.get("username"):
            password = substitute(step.get("password") or "", self.variables)
            self.mask.add(password)
            first = urlsplit(urljoin(self.settings.url, substitute(step["url"], self.variables))).hostname
            own = urlsplit(url).hostname == first
            return (substitute(step["username"], self.variables), password) if own else ("", "")
        return (self.settings.username, self.settings.password) if front else ("", "")

    def _expect(self, step: Mapping[str, Any], answer: web.Answer) -> None:
        """Compare an answer with what the step expects; raises Failure with the first difference."""
        expect = substitute(step.get("expect") or {}, self.variables)
        wanted = [int(status) for status in listed(expect.get("status"))] or [200]
        if answer.status not in wanted:
            raise Failure(f"status {' or '.join(map(str, wanted))}", _short(answer))
        for name, value in (expect.get("headers") or {}).items():
            found = answer.header(name)
            if value is None or isinstance(value, bool):
                if (found is not None) != bool(value):
                    raise Failure(
                        f"{'a' if value else 'no'} header {name}", "none" if found is None else f"{name}: {found}"
                    )
            elif found != str(value):
                raise Failure(f"header {name}: {value}", "no such header" if found is None else f"{name}: {found}")
        for text in listed(expect.get("contains")):
            if str(text) not in answer.text:
                raise Failure(f"a body with '{text}'", _short(answer))
        for text in listed(expect.get("not_contains")):
            if str(text) in answer.text:
                raise Failure(f"a body without '{text}'", _short(answer))
        for pattern in listed(substitute((step.get("expect") or {}).get("matches"), self.variables, escape=True)):
            if not re.search(str(pattern), answer.text, re.MULTILINE):
                raise Failure(f"a body matching {pattern}", _short(answer))
        for path, value in (expect.get("json") or {}).items():
            try:
                found_value = json_path(answer.text, path)
            except CaptureError as error:
                raise Failure(f"{path} = {json.dumps(value)}", str(error)) from error
            if found_value != value and not (isinstance(value, str) and json.dumps(found_value) == value):
                raise Failure(f"{path} = {json.dumps(value)}", json.dumps(found_value))

    def _capture(self, step: Mapping[str, Any], answer: web.Answer) -> None:
        """Keep values of an answer as variables; raises Failure naming the one that is not there."""
        for variable, source in (step.get("capture") or {}).items():
            filled = {key: substitute(value, self.variables, escape=key == "regex") for key, value in source.items()}
            cookies = {cookie.name: cookie.value or "" for cookie in self.cookies}
            try:
                self.variables[variable] = capture(filled, answer, cookies)
            except CaptureError as error:
                raise Failure(f"a value for ${{{variable}}}", f"{error} in {_short(answer)}") from error


class _CookieAnswer:
    """What http.cookiejar wants of a response."""

    def __init__(self, answer: web.Answer) -> None:
        self._answer = answer

    def info(self) -> Any:
        return self._answer.headers


def _short(answer: web.Answer) -> str:
    """Describe an answer on one line."""
    where = answer.header("Location")
    body = " ".join(answer.text.split())
    return f"status {answer.status}" + (f" to {where}" if where else f": {body}" if body else "")
