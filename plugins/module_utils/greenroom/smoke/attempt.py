# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One try of one smoke check: its requests, the expected responses, and the variables that it captures."""

from __future__ import annotations

import base64
import http.client
import http.cookiejar
import json
import re
import secrets
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlencode, urljoin, urlsplit

from ..common import totp, web
from ..common.masking import Mask
from .captures import CaptureError, capture
from .expectations import differences, short

SLOT_HEADER = "X-Greenroom-Slot"
WANTED = {"http": "a response", "tcp": "a connection", "tls": "a trusted certificate"}
REDIRECT_LIMIT = 10
REDIRECTS = (301, 302, 303, 307, 308)
PAUSES = (0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.5, 0.5, 1.0)
"""Seconds between tries; the last one repeats. Short at first, because a run waits for the answer."""
VARIABLE = re.compile(r"\$\{(totp:)?([A-Za-z_][A-Za-z0-9_]*)\}")


class UnmetError(Exception):
    """A check failed: it `expected` one thing and `got` another."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True)
class Settings:
    """The settings that all checks of a call share; `deadline` and `timeout` are in seconds."""

    deadline: float = 60.0
    timeout: float = 10.0
    retry: bool = False
    concurrency: int = 8
    mutating: bool = True
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    resolve: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()
    """Further host names of the environment."""
    username: str = ""
    password: str = ""
    expect_slot: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    secret_variables: Mapping[str, str] = field(default_factory=dict)
    unreadable: Sequence[str] = ()
    """Secrets that the caller couldn't read: `password`, and names of secret variables."""


def steps_of(check: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of a check; a check without steps is its own step."""
    return list(check.get("steps") or [check])


def substitute(value: Any, variables: Mapping[str, str], escape: bool = False) -> Any:
    """Replace `${name}` with the variable in all strings within `value`; `escape` makes it literal in a regex.

    `${totp:name}` is the one-time code of the secret in the variable, at the moment of the request. Raises UnmetError
    if there is no such variable, or no such secret in it.
    """
    if isinstance(value, str):

        def replace(match: re.Match[str]) -> str:
            name = match.group(2)
            if name not in variables:
                raise UnmetError(f"a value for ${{{name}}}", "no such variable: no earlier step captured it")
            text = _code(name, variables[name]) if match.group(1) else variables[name]
            return re.escape(text) if escape else text

        return VARIABLE.sub(replace, value)
    if isinstance(value, Mapping):
        return {substitute(key, variables): substitute(item, variables, escape) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, variables, escape) for item in value]
    return value


def _code(name: str, secret: str) -> str:
    try:
        return totp.code(secret)
    except ValueError as error:
        # The secret must not appear in a verdict.
        raise UnmetError(f"the secret of one-time codes in ${{{name}}}", "a value that is not base32") from error


def redirected(request: web.Request, status: int, location: str) -> web.Request:
    """Return the request that follows a redirect: a GET without a body; 307 and 308 keep method and body."""
    url = urljoin(request.url, location)
    if status in (307, 308) or request.method in ("GET", "HEAD"):
        return replace(request, url=url)
    headers = {name: value for name, value in request.headers.items() if name != "Content-Type"}
    return web.Request("GET", url, headers)


class Attempt:
    """One try of one check: its cookies, its variables and the secrets to mask."""

    def __init__(self, settings: Settings, deadline: web.Deadline) -> None:
        self.settings = settings
        self.deadline = deadline
        self.network = web.Network(dict(settings.resolve), settings.ca_file)
        self.cookies = http.cookiejar.CookieJar()
        self.variables = {**settings.variables, **settings.secret_variables, "run": secrets.token_hex(4)}
        self.mask = Mask([*settings.secret_variables.values(), settings.password])
        self.front = urlsplit(settings.url).hostname

    def run(self, check: Mapping[str, Any]) -> str:
        """Run the check; returns the result, raises UnmetError."""
        kind = check.get("type") or "http"
        try:
            if kind == "tcp":
                return self._tcp(check)
            return self._tls(check) if kind == "tls" else self._http(check)
        except web.WebError as error:
            raise UnmetError(WANTED[kind], str(error)) from error

    def _limit(self, step: Mapping[str, Any]) -> web.Deadline:
        return self.deadline.earlier(float(step.get("timeout") or self.settings.timeout))

    def _tcp(self, check: Mapping[str, Any]) -> str:
        host, port = substitute(check["host"], self.variables), int(check["port"])
        try:
            web.connect(host, port, self.network, self._limit(check)).close()
        except TimeoutError as error:
            raise UnmetError("a connection", f"none to {host} port {port} in time") from error
        return f"connected to {host} port {port}"

    def _tls(self, check: Mapping[str, Any]) -> str:
        host, port = substitute(check["host"], self.variables), int(check.get("port") or 443)
        limit = self._limit(check)
        try:
            raw = web.connect(host, port, self.network, limit)
            with web.encrypt(raw, host, self.network, limit) as sock:
                days = web.days_left(sock)
        except TimeoutError as error:
            raise UnmetError("a TLS handshake", f"none with {host} port {port} in time") from error
        wanted = int((check.get("tls") or {}).get("min_days") or 0)
        if days < wanted:
            raise UnmetError(f"a certificate valid for {wanted} days or more", f"{days:.1f} days left")
        return f"certificate of {host} valid for {days:.1f} days"

    def _http(self, check: Mapping[str, Any]) -> str:
        """Run the steps in order. Steps with `always` also run after a failure, if their variables were captured."""
        steps = steps_of(check)
        deadline = self.deadline
        if any(step.get("always") for step in steps):
            # Reserve time for cleanup steps, so that a step that hangs can't use it up.
            self.deadline = deadline.before(min(5.0, deadline.left() / 4))
        failure: UnmetError | None = None
        got = ""
        for number, step in enumerate(steps, 1):
            if step.get("always"):
                self.deadline = deadline
            elif failure:
                continue
            try:
                got = self._step(step)
            except UnmetError as error:
                label = f"step {number} ({step.get('name') or step['url']}): " if len(steps) > 1 else ""
                failure = failure or UnmetError(error.expected, label + error.got)
        if failure:
            raise failure
        return got

    def _step(self, step: Mapping[str, Any]) -> str:
        """Run a step, and repeat it for `retry` seconds until it succeeds."""
        deadline = self.deadline.earlier(float(step.get("retry") or 0))
        tries = 0
        while True:
            try:
                answer = self._ask(step)
                self._expect(step, answer)
                self._capture(step, answer)
                return f"status {answer.status}"
            except UnmetError:
                pause = PAUSES[min(tries, len(PAUSES) - 1)]
                if deadline.left() <= pause:
                    raise
                time.sleep(pause)
                tries += 1

    def _ask(self, step: Mapping[str, Any]) -> web.Answer:
        """Send a step's request, and follow redirects if the step has `follow`."""
        limit = self._limit(step)
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
        wanted = web.Request(
            step.get("method") or ("GET" if body is None else "POST"), self._address(step), headers, body
        )
        for _ in range(REDIRECT_LIMIT):
            answer = self._send(wanted, step, limit)
            location = answer.header("Location")
            if not step.get("follow") or answer.status not in REDIRECTS or location is None:
                return answer
            wanted = redirected(wanted, answer.status, location)
        raise UnmetError("a response", f"more than {REDIRECT_LIMIT} redirects")

    def _send(self, wanted: web.Request, step: Mapping[str, Any], limit: web.Deadline) -> web.Answer:
        """Send one request with this check's cookies, and with the headers and credentials that its host may get."""
        host, first = urlsplit(wanted.url).hostname, urlsplit(self._address(step)).hostname
        front = host == (self.front or first) or self._is_own(host or "")
        headers = dict(wanted.headers)
        if front:
            headers.update(self.settings.headers)
        if host == first:
            headers.update(substitute(step.get("headers") or {}, self.variables))
        if pair := self._credentials(step, front, host == first):
            headers.setdefault("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        self.mask.add(headers.get("Authorization", "").rpartition(" ")[2])
        with_cookies = urllib.request.Request(wanted.url)
        self.cookies.add_cookie_header(with_cookies)
        if cookie := with_cookies.get_header("Cookie"):
            headers["Cookie"] = cookie
        # A redirect may lead to a foreign server, such as a sign-in provider, with a certificate of a public CA.
        network = self.network if front else replace(self.network, public=True)
        try:
            answer = web.request(replace(wanted, headers=headers), network, limit)
        except web.WebError as error:
            raise UnmetError(WANTED["http"], str(error)) from error
        self.cookies.extract_cookies(cast(http.client.HTTPResponse, _CookieAnswer(answer)), with_cookies)
        for held in self.cookies:
            self.mask.add(held.value or "")
        self._expect_slot(step, answer, front)
        return answer

    def _is_own(self, host: str) -> bool:
        """Whether this is one of the environment's further host names."""
        return not {host, f"*.{host.partition('.')[2]}"}.isdisjoint(self.settings.names)

    def _expect_slot(self, step: Mapping[str, Any], answer: web.Answer, front: bool) -> None:
        """Raise UnmetError if the response comes from another slot than expected."""
        wanted = step.get("expect_slot")
        if wanted is None:
            wanted = self.settings.expect_slot if front else ""
        slot = answer.header(SLOT_HEADER)
        if wanted and slot != wanted:
            source = f"slot {slot}" if slot else "no slot"
            raise UnmetError(f"a response from slot {wanted}", f"one from {source}: {short(answer)}")

    def _credentials(self, step: Mapping[str, Any], front: bool, own: bool) -> str:
        """Return `name:password` for a request, or an empty string.

        A step's own credentials are only for the step's host (`own`), the call's credentials only for the environment's
        own address (`front`). Redirects to other hosts get neither.
        """
        if step.get("auth") is False:
            return ""
        if step.get("username"):
            password = substitute(step.get("password") or "", self.variables)
            self.mask.add(password)
            return f"{substitute(step['username'], self.variables)}:{password}" if own else ""
        return f"{self.settings.username}:{self.settings.password}" if front and self.settings.username else ""

    def _address(self, step: Mapping[str, Any]) -> str:
        return urljoin(self.settings.url, str(substitute(step["url"], self.variables)))

    def _expect(self, step: Mapping[str, Any], answer: web.Answer) -> None:
        """Compare a response with the step's expectations; raises UnmetError with the first difference."""
        expect = dict(step.get("expect") or {})
        patterns = substitute(expect.pop("matches", None), self.variables, escape=True)
        for expected, got in differences({**substitute(expect, self.variables), "matches": patterns}, answer):
            raise UnmetError(expected, got)

    def _capture(self, step: Mapping[str, Any], answer: web.Answer) -> None:
        """Store values of a response as variables; raises UnmetError for the first one that is missing."""
        for variable, source in (step.get("capture") or {}).items():
            filled = {key: substitute(value, self.variables, escape=key == "regex") for key, value in source.items()}
            cookies = {cookie.name: cookie.value or "" for cookie in self.cookies}
            try:
                self.variables[variable] = capture(filled, answer, cookies)
            except CaptureError as error:
                raise UnmetError(f"a value for ${{{variable}}}", f"{error} in {short(answer)}") from error


class _CookieAnswer:
    """The part of a response that http.cookiejar uses."""

    def __init__(self, answer: web.Answer) -> None:
        self._answer = answer

    def info(self) -> Any:
        return self._answer.headers
