# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Smoke checks against real servers on loopback."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.module_utils.greenroom.common import totp, web
from ansible.module_utils.greenroom.smoke import attempt as smoke_attempt
from ansible.module_utils.greenroom.smoke import checks as smoke
from ansible.module_utils.greenroom.smoke.attempt import Settings
from ansible.module_utils.greenroom.smoke.checks import Verdict
from webserver import Asked, Authority, Reply, drip, hang, misbehave, serve

from bench.common import free_port

BLUE = [("X-Greenroom-Slot", "blue")]


def check(settings: Settings | None = None, **keys: Any) -> Verdict:
    """Run one check, a step of its own unless it has steps."""
    wanted = {"name": "it works", **keys}
    assert smoke.validate([wanted]) == []
    return smoke.run([wanted], settings or Settings(timeout=60))[0]


def refused(**keys: Any) -> str:
    return "; ".join(smoke.validate([{"name": "it", **keys}]))


# --- a single request ---


def test_a_check_passes_with_status_200() -> None:
    with serve(lambda asked: Reply(200, "hello")) as site:
        verdict = check(url=f"{site.url}/page")
    assert (verdict.ok, verdict.expected, verdict.got) == (True, "", "status 200")
    assert site.asked[0].headers["Accept"] == "*/*"


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        ({}, None),
        ({"status": [200, 204]}, None),
        ({"status": 404}, "status 404"),
        ({"status": [401, 403]}, "status 401 or 403"),
        ({"contains": "llo wo"}, None),
        ({"contains": ["hello", "moon"]}, "a body with 'moon'"),
        ({"not_contains": "moon"}, None),
        ({"not_contains": ["moon", "world"]}, "a body without 'world'"),
        ({"matches": "^hel+o"}, None),
        ({"matches": ["^hel+o", "^world"]}, "a body matching ^world"),
        ({"headers": {"x-kind": "greeting"}}, None),
        ({"headers": {"X-Kind": "insult"}}, "header X-Kind: insult"),
        ({"headers": {"X-None": "a"}}, "header X-None: a"),
        ({"headers": {"X-Kind": True, "X-None": False, "X-Other": None}}, None),
        ({"headers": {"X-None": True}}, "a header X-None"),
        ({"headers": {"X-Kind": False}}, "no header X-Kind"),
        ({"json": {"a": 1}}, "a = 1"),
    ],
)
def test_expectations(expect: dict[str, Any], expected: str | None) -> None:
    with serve(lambda asked: Reply(200, "hello world", [("X-Kind", "greeting")])) as site:
        verdict = check(url=site.url, expect=expect)
    assert verdict.ok == (expected is None)
    assert verdict.expected == (expected or "")


@pytest.mark.parametrize(
    ("expect", "got"),
    [
        ({"a.b[1]": 2, "t": True, "n": None, "s": "x"}, None),
        ({"a.b[1]": "2", "t": "true"}, None),
        ({"a.b[1]": 3}, "2"),
        ({"s": "y"}, '"x"'),
        ({"a.c": 1}, "nothing at a.c in status 200"),
    ],
)
def test_json_expectations(expect: dict[str, Any], got: str | None) -> None:
    body = json.dumps({"a": {"b": [1, 2]}, "t": True, "n": None, "s": "x"})
    with serve(lambda asked: Reply(200, body)) as site:
        verdict = check(url=site.url, expect={"json": expect})
    assert verdict.ok == (got is None)
    assert verdict.got.startswith(got or "status 200")


def test_the_result_is_short_and_has_the_target_of_a_redirect() -> None:
    with serve(lambda asked: Reply(303, "x" * 1000, [("Location", "/login")])) as site:
        assert check(url=site.url).got == "status 303 to /login"
    with serve(lambda asked: Reply(500, "x\n" * 1000)) as site:
        assert len(check(url=site.url).got) == smoke.TEXT_LIMIT


@pytest.mark.parametrize(
    ("content", "kind", "body"),
    [
        ({"form": {"a": "b c", "d": ["1", "2"]}}, "application/x-www-form-urlencoded", "a=b+c&d=1&d=2"),
        ({"json": {"a": [1, None]}}, "application/json", '{"a": [1, null]}'),
        ({"body": "text"}, None, "text"),
    ],
)
def test_content_is_posted(content: dict[str, Any], kind: str | None, body: str) -> None:
    with serve(lambda asked: Reply()) as site:
        assert check(url=site.url, **content).ok
        assert check(url=site.url, method="PUT", **content).ok
    assert [asked.method for asked in site.asked] == ["POST", "PUT"]
    assert site.asked[0].body == body
    assert site.asked[0].headers.get("Content-Type") == kind


def test_a_closed_port_is_a_verdict() -> None:
    port = free_port()
    verdict = check(url=f"http://127.0.0.1:{port}/")
    assert (verdict.ok, verdict.expected) == (False, "a response")
    assert verdict.got == f"127.0.0.1 port {port}: Connection refused"


def test_an_unexpected_error_is_a_verdict() -> None:
    verdict = check(url="http://[/")
    assert not verdict.ok
    assert "ValueError" in verdict.got


# --- slots, credentials, hosts ---


@pytest.mark.parametrize(
    ("slot", "ok", "got"),
    [("blue", True, "status 200"), ("green", False, "one from slot blue: status 200"), ("", True, "status 200")],
)
def test_each_answer_names_its_slot(slot: str, ok: bool, got: str) -> None:
    with serve(lambda asked: Reply(200, "", BLUE)) as site:
        verdict = check(Settings(expect_slot=slot), url=site.url)
    assert (verdict.ok, verdict.got) == (ok, got)


def test_an_answer_without_a_slot_is_not_enough() -> None:
    with serve(lambda asked: Reply()) as site:
        assert check(Settings(expect_slot="blue"), url=site.url).got == "one from no slot: status 200"
        assert check(Settings(expect_slot="blue"), url=site.url, expect_slot="").ok


def test_each_redirect_names_its_slot() -> None:
    def respond(asked: Asked) -> Reply:
        slot = "green" if asked.path == "/2" else "blue"
        where = {"/1": "/2", "/2": "/3"}.get(asked.path)
        headers = [("X-Greenroom-Slot", slot), *([("Location", where)] if where else [])]
        return Reply(302 if where else 200, "", headers)

    with serve(respond) as site:
        verdict = check(Settings(expect_slot="blue"), url=f"{site.url}/1", follow=True)
    assert not verdict.ok
    assert verdict.got == "one from slot green: status 302 to /3"


def basic(asked: Asked) -> str:
    return base64.b64decode(asked.headers.get("Authorization", "").removeprefix("Basic ")).decode()


def test_headers_and_credentials_only_go_to_the_public_host() -> None:
    with serve(lambda asked: Reply(200, "", BLUE)) as front, serve(lambda asked: Reply()) as other:
        settings = Settings(
            url=front.url.replace("127.0.0.1", "localhost"),
            headers={"X-Greenroom-Slot": "blue"},
            username="smoke",
            password="secret-1",
            expect_slot="blue",
            resolve={"localhost": "127.0.0.1"},
        )
        steps = [
            {"url": "/relative", "headers": {"X-Own": "1"}},
            {"url": f"{other.url}/mail"},
            {"url": f"{other.url}/mail", "username": "own", "password": "secret-2"},
            {"url": "/", "auth": False},
        ]
        assert check(settings, steps=steps).ok
    assert [basic(asked) for asked in front.asked] == ["smoke:secret-1", ""]
    assert front.asked[0].path == "/relative"
    assert front.asked[0].headers["X-Greenroom-Slot"] == "blue"
    assert front.asked[0].headers["X-Own"] == "1"
    assert [basic(asked) for asked in other.asked] == ["", "own:secret-2"]
    assert "X-Greenroom-Slot" not in other.asked[0].headers


def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    with serve(lambda asked: Reply()) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with serve(lambda asked: Reply(302, "", [("Location", elsewhere)])) as site:
            settings = Settings(url=site.url, username="smoke", password="secret-1")
            assert check(settings, url="/", follow=True).ok
            assert check(Settings(), url=site.url, follow=True, username="own", password="secret-2").ok
            anywhere = Settings(username="smoke", password="secret-1", headers={"X-Key": "1"}, expect_slot="")
            assert check(anywhere, url=site.url, follow=True, headers={"Authorization": "Bearer secret-3"}).ok
            assert check(anywhere, url=site.url, follow=True).ok
    assert [basic(asked) for asked in site.asked[:2]] == ["smoke:secret-1", "own:secret-2"]
    assert site.asked[2].headers["Authorization"] == "Bearer secret-3"
    assert basic(site.asked[3]) == "smoke:secret-1"
    assert len(other.asked) == 4
    assert not any({"Authorization", "X-Key"} & set(asked.headers) for asked in other.asked)


# --- redirects and cookies ---


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "a=b"), (308, "POST", "a=b")],
)
def test_a_redirect_is_followed_as_browsers_do(status: int, method: str, body: str) -> None:
    def respond(asked: Asked) -> Reply:
        return Reply(status, "", [("Location", "../end?x=1")]) if asked.path == "/a/start" else Reply(200, "end")

    with serve(respond) as site:
        verdict = check(url=f"{site.url}/a/start", form={"a": "b"}, follow=True, expect={"contains": "end"})
    assert verdict.ok
    assert (site.asked[1].method, site.asked[1].path, site.asked[1].body) == (method, "/end", body)
    assert ("Content-Type" in site.asked[1].headers) == bool(body)


def test_a_redirect_is_an_answer_unless_it_is_followed() -> None:
    with serve(lambda asked: Reply(302, "", [("Location", "/loop")])) as site:
        assert check(url=site.url, expect={"status": 302}).ok
        assert len(site.asked) == 1
        verdict = check(url=site.url, follow=True)
    assert verdict.got == "more than 10 redirects"


def test_a_redirect_without_a_location_is_an_answer() -> None:
    with serve(lambda asked: Reply(302)) as site:
        assert check(url=site.url, follow=True, expect={"status": 302}).ok


def test_cookies_are_kept_within_a_check_and_only_there() -> None:
    def respond(asked: Asked) -> Reply:
        cookies = [
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; Path=/deep"),
            ("Set-Cookie", "c=3; Secure; Path=/"),
        ]
        return Reply(200, "", cookies if asked.path == "/set" else [])

    with serve(respond) as site:
        steps = [{"url": f"{site.url}/set"}, {"url": f"{site.url}/"}, {"url": f"{site.url}/deep/er"}]
        assert check(steps=steps).ok
        assert check(url=f"{site.url}/").ok
    assert [set(filter(None, asked.headers.get("Cookie", "").split("; "))) for asked in site.asked] == [
        set(),
        {"a=1"},
        {"a=1", "b=2"},
        set(),
    ]


def test_a_secure_cookie_travels_by_https_and_a_deleted_one_does_not(tmp_path: Path) -> None:
    def respond(asked: Asked) -> Reply:
        gone = "session=; Max-Age=0; Path=/"
        set_cookie = {"/in": "session=s3cr3t; Secure; HttpOnly; SameSite=Lax; Path=/", "/out": gone}.get(asked.path)
        return Reply(200, asked.headers.get("Cookie", "none"), [("Set-Cookie", set_cookie)] if set_cookie else [])

    authority = Authority(tmp_path)
    with serve(respond, authority.context("portal.greenroom.test")) as site:
        settings = Settings(
            url=f"https://portal.greenroom.test:{site.port}",
            resolve={"portal.greenroom.test": "127.0.0.1"},
            ca_file=authority.ca_file,
        )
        steps = [
            {"url": "/in", "capture": {"kept": {"cookie": "session"}}},
            {"url": "/", "expect": {"contains": "session=${kept}"}},
            {"url": "/out"},
            {"url": "/", "expect": {"contains": "none"}},
        ]
        verdict = check(settings, steps=steps)
    assert verdict.ok, verdict


@pytest.mark.parametrize(("front", "ok"), [("portal.greenroom.test", True), ("accounts.test", False)])
def test_other_hosts_may_have_a_certificate_that_the_system_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, front: str, ok: bool
) -> None:
    for name in ("own", "public"):
        (tmp_path / name).mkdir()
    own, public = Authority(tmp_path / "own"), Authority(tmp_path / "public")
    monkeypatch.setenv("SSL_CERT_FILE", public.ca_file)
    with serve(lambda asked: Reply(200, "who are you"), public.context("accounts.test")) as site:
        settings = Settings(
            url=f"https://{front}:{site.port}", resolve={"accounts.test": "127.0.0.1"}, ca_file=own.ca_file
        )
        verdict = check(settings, url=f"https://accounts.test:{site.port}/")
    assert verdict.ok is ok, verdict


# --- steps and variables ---

LOGIN_PAGE = """<form id="login" action="/submit?flow=1&amp;x=2" method="post">
<input type="hidden" name="csrf_token" value="t&#43;k"></form>"""


def login_site(asked: Asked) -> Reply:
    if asked.path == "/login":
        return Reply(200, LOGIN_PAGE, [("Set-Cookie", "csrf=1; Path=/")])
    if asked.path == "/submit":
        good = asked.form == {"csrf_token": "t+k", "identifier": "me", "password": "hunter22"}
        allowed = good and asked.headers.get("Cookie") == "csrf=1" and asked.query == {"flow": ["1"], "x": ["2"]}
        return (
            Reply(303, "", [("Location", "/"), ("Set-Cookie", "session=abcdef")]) if allowed else Reply(400, asked.body)
        )
    return Reply(200, json.dumps({"email": "me" if "session=abcdef" in asked.headers.get("Cookie", "") else None}))


LOGIN_STEPS = [
    {"name": "open", "url": "/login", "capture": {"action": {"form": ""}, "csrf": {"input": "csrf_token"}}},
    {
        "name": "submit",
        "url": "${action}",
        "form": {"csrf_token": "${csrf}", "identifier": "${who}", "password": "${secret}"},
        "expect": {"status": 303},
    },
    {"name": "look", "url": "/whoami", "expect": {"json": {"email": "${who}"}}},
]


def test_a_login_in_steps() -> None:
    with serve(login_site) as site:
        settings = Settings(url=site.url, variables={"who": "me"}, secret_variables={"secret": "hunter22"})
        assert check(settings, steps=LOGIN_STEPS).ok


def test_a_failed_step_is_named_and_secrets_are_masked() -> None:
    with serve(login_site) as site:
        settings = Settings(url=site.url, variables={"who": "me"}, secret_variables={"secret": "wrong horse"})
        verdict = check(settings, steps=LOGIN_STEPS)
    assert verdict.expected == "status 303"
    assert verdict.got.startswith("step 2 (submit): status 400:")
    assert "wrong" not in verdict.got
    assert len(site.asked) == 2


def test_a_variable_that_was_not_captured_is_named() -> None:
    with serve(lambda asked: Reply()) as site:
        verdict = check(url=f"{site.url}/${{nope}}")
    assert (verdict.expected, verdict.got) == ("a value for ${nope}", "no such variable: no earlier step captured it")


def test_a_value_that_cannot_be_captured_is_named() -> None:
    with serve(lambda asked: Reply(200, "nothing here")) as site:
        verdict = check(steps=[{"url": site.url, "capture": {"token": {"input": "csrf"}}}, {"url": site.url}])
    assert verdict.expected == "a value for ${token}"
    assert verdict.got == f"step 1 ({site.url}): no input csrf in status 200: nothing here"


def test_variables_are_replaced_everywhere_and_literal_in_patterns() -> None:
    with serve(lambda asked: Reply(200, "cost: 1.50", [("X-A", "1.5")])) as site:
        settings = Settings(url=site.url, variables={"amount": "1.5", "word": "cost"})
        steps = [
            {
                "url": "/",
                "headers": {"X-${word}": "${amount}"},
                "json": {"${word}": ["${amount}", 2]},
                "expect": {
                    "headers": {"X-A": "${amount}"},
                    "contains": ["${word}"],
                    "matches": "^${word}: ${amount}0$",
                },
                "capture": {"rest": {"regex": "${amount}(.)"}},
            },
            {"url": "/${rest}", "body": "${rest}"},
        ]
        assert check(settings, steps=steps).ok
        assert not check(
            Settings(url=site.url, variables={"amount": "1.."}), url="/", expect={"matches": "${amount}"}
        ).ok
    assert site.asked[0].headers["X-cost"] == "1.5"
    assert site.asked[0].body == '{"cost": ["1.5", 2]}'
    assert (site.asked[1].path, site.asked[1].body) == ("/0", "0")


def test_the_variable_run_differs_between_checks() -> None:
    with serve(lambda asked: Reply()) as site:
        steps = [{"url": f"{site.url}/${{run}}"}, {"url": f"{site.url}/${{run}}"}]
        smoke.run([{"name": "a", "steps": steps}, {"name": "b", "steps": steps}], Settings())
    paths = [asked.path for asked in site.asked]
    assert len(set(paths)) == 2
    assert all(re.fullmatch("/[0-9a-f]{8}", path) for path in paths)


def test_cleanup_runs_after_a_failure_and_does_not_hide_it() -> None:
    with serve(lambda asked: Reply(500 if asked.path == "/broken" else 200)) as site:
        steps = [
            {"url": f"{site.url}/made"},
            {"url": f"{site.url}/broken"},
            {"url": f"{site.url}/skipped", "capture": {"id": {"header": "X-Id"}}},
            {"url": f"{site.url}/clean", "always": True},
            {"url": f"{site.url}/${{id}}", "always": True},
        ]
        verdict = check(steps=steps)
    assert [asked.path for asked in site.asked] == ["/made", "/broken", "/clean"]
    assert verdict.got.startswith("step 2")


def test_failed_cleanup_is_a_failure() -> None:
    with serve(lambda asked: Reply(500)) as site:
        assert check(url=site.url, expect={"status": 500}).ok
        steps = [{"url": site.url, "expect": {"status": 500}}, {"url": site.url, "always": True}]
        assert check(steps=steps).got.startswith("step 2")


def test_cleanup_has_reserved_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], []

    def hangs(wanted: web.Request, _network: web.Network, limit: web.Deadline) -> web.Answer:
        asked.append((wanted.url, limit.left()))
        now[0] += limit.left()
        raise web.WebError("no complete response")

    monkeypatch.setattr(smoke_attempt.web, "request", hangs)
    attempt = smoke_attempt.Attempt(Settings(), web.Deadline(4, lambda: now[0]))
    with pytest.raises(smoke_attempt.UnmetError, match="step 1"):
        attempt.run({"steps": [{"url": "http://a.test/"}, {"url": "http://a.test/clean", "always": True}]})
    assert asked == [("http://a.test/", 3), ("http://a.test/clean", 1)]


def test_a_step_is_repeated_until_it_succeeds() -> None:
    def respond(asked: Asked) -> Reply:
        return Reply(200, "mail for you" if len(site.asked) > 2 else "no mail")

    with serve(respond) as site:
        assert check(url=site.url, retry=30, expect={"contains": "for you"}).ok
    assert len(site.asked) == 3


def test_a_step_is_repeated_only_for_its_retry_time() -> None:
    with serve(lambda asked: Reply(200, "no mail")) as site:
        verdict = check(url=site.url, retry=0.7, expect={"contains": "for you"})
    assert not verdict.ok
    # At 0, 0.1, 0.2, 0.4 and 0.6 s, or fewer where the machine is busy.
    assert 0 < len(site.asked) <= 5


# --- all together ---


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_response_that_ends_early_fails_and_the_request_is_sent_once(method: str) -> None:
    asked: list[bytes] = []

    def cut_off(client: socket.socket, over: threading.Event) -> None:
        asked.append(client.recv(1000))
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n12345678")

    with misbehave(cut_off) as port:
        verdict = check(url=f"http://127.0.0.1:{port}", method=method, expect={"contains": "12345678"})
    assert (verdict.ok, verdict.expected) == (False, "a response")
    assert verdict.got == "no complete response: the connection ended"
    assert len(asked) == 1


@pytest.mark.parametrize("behave", [hang, drip])
def test_servers_that_hang_or_drip_do_not_exceed_the_deadline(
    behave: Callable[[socket.socket, threading.Event], None],
) -> None:
    started = time.monotonic()
    with misbehave(behave) as port:
        checks = [{"name": str(number), "url": f"http://127.0.0.1:{port}"} for number in range(12)]
        verdicts = smoke.run(checks, Settings(deadline=1.5, timeout=60, concurrency=12))
    assert time.monotonic() - started < 30
    assert not any(verdict.ok for verdict in verdicts)
    # Where the machine is busy, the caller may go on before a check has said what it waited for.
    late = "no complete response within |none by the deadline|the name"
    assert all(re.match(late, verdict.got) for verdict in verdicts)


def test_checks_that_wait_do_not_delay_others() -> None:
    answered = threading.Event()

    def wait(client: socket.socket, over: threading.Event) -> None:
        answered.wait(60)

    def respond(asked: Asked) -> Reply:
        answered.set()
        return Reply()

    with misbehave(wait) as port, serve(respond) as site:
        checks = [{"name": str(number), "url": f"http://127.0.0.1:{port}"} for number in range(12)]
        verdicts = smoke.run([*checks, {"name": "good", "url": site.url}], Settings(timeout=60, concurrency=13))
    assert [verdict.ok for verdict in verdicts] == [False] * 12 + [True]


def test_a_request_takes_no_longer_than_its_timeout() -> None:
    with misbehave(hang) as port:
        verdicts = smoke.run(
            [
                {"name": "a", "url": f"http://127.0.0.1:{port}"},
                {"name": "b", "url": f"http://127.0.0.1:{port}", "timeout": 0.3},
            ],
            Settings(timeout=0.6),
        )
    assert 0.6 <= verdicts[0].seconds < 30
    assert 0.3 <= verdicts[1].seconds < 30


def test_checks_that_never_ran_are_reported() -> None:
    # By itself, as `run` may go on before a check has said that, where the machine is busy.
    with (gate := threading.BoundedSemaphore(1)):
        verdict = smoke._persevere({"name": "waits", "url": "http://a.test"}, Settings(), web.Deadline(0.1), gate)
    assert (verdict.ok, verdict.expected, verdict.got) == (False, "a free place to run in", "none by the deadline")


def test_a_stuck_thread_does_not_block_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def stuck(*_arguments: object) -> str:
        over.wait(60)
        return "late"

    monkeypatch.setattr(smoke_attempt.Attempt, "run", stuck)
    started = time.monotonic()
    verdicts = smoke.run([{"name": "stuck", "url": "http://localhost"}], Settings(deadline=0.5))
    assert time.monotonic() - started < 30
    over.set()
    assert (verdicts[0].ok, verdicts[0].got) == (False, "none by the deadline")


def test_concurrency_is_limited() -> None:
    running: list[int] = [0]
    most: list[int] = [0]
    lock = threading.Lock()

    def respond(asked: Asked) -> Reply:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return Reply()

    with serve(respond) as site:
        checks = [{"name": str(number), "url": site.url} for number in range(9)]
        assert all(verdict.ok for verdict in smoke.run(checks, Settings(concurrency=3)))
    assert 1 <= most[0] <= 3


def test_failing_checks_are_tried_again_until_they_pass() -> None:
    with serve(lambda asked: Reply(200 if len(site.asked) > 2 else 503)) as site:
        verdicts = smoke.run([{"name": "slow", "url": site.url}], Settings(retry=True))
    assert verdicts[0].ok
    assert len(site.asked) == 3


def test_a_try_that_the_deadline_cuts_short_does_not_hide_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tries = [100.0], ["status 503: not ready: database", "no complete response within 10 s"]

    def attempt(*_arguments: object) -> str:
        got = tries.pop(0)
        # The second one takes all the time that is left.
        now[0] += 0 if tries else 10
        raise smoke_attempt.UnmetError("status 200", got)

    monkeypatch.setattr(smoke_attempt.Attempt, "run", attempt)
    deadline, gate = web.Deadline(10, lambda: now[0]), threading.BoundedSemaphore(1)
    verdict = smoke._persevere({"name": "never", "url": "/"}, Settings(retry=True), deadline, gate)
    assert (verdict.ok, verdict.got, tries) == (False, "status 503: not ready: database", [])


def test_checks_that_mutate_are_skipped_and_counted() -> None:
    with serve(lambda asked: Reply()) as site:
        checks = [{"name": "look", "url": site.url}, {"name": "buy", "url": f"{site.url}/buy", "mutates": True}]
        verdicts = smoke.run(checks, Settings(mutating=False))
    assert [asked.path for asked in site.asked] == ["/"]
    assert [(verdict.ok, verdict.skipped) for verdict in verdicts] == [(True, False), (True, True)]
    assert smoke.summary(verdicts, 1) == "1 of 1 checks passed in 1.0 s, 1 skipped because they change data"


def test_checks_whose_secrets_can_not_be_read_are_not_done_and_counted() -> None:
    with serve(lambda asked: Reply()) as site:
        checks = [
            {"name": "open", "url": site.url, "auth": False},
            {"name": "page", "url": f"{site.url}/page"},
            {"name": "own password", "url": f"{site.url}/own", "username": "a", "password": "b"},
            {"name": "login", "steps": [{"url": f"{site.url}/login", "auth": False, "form": {"p": "${persona}"}}]},
        ]
        verdicts = smoke.run(checks, Settings(unreadable=["password", "persona"]))
    assert {asked.path for asked in site.asked} == {"/", "/own"}
    assert [verdict.unreadable for verdict in verdicts] == [False, True, False, True]
    assert verdicts[3].got == "not done: persona can't be read"
    assert smoke.summary(verdicts, 1) == (
        "2 of 2 checks passed in 1.0 s, 2 not done because their secrets can't be read"
    )


def test_no_checks_at_all() -> None:
    assert smoke.run([], Settings()) == []


# --- tcp and tls ---


def test_a_tcp_check_connects() -> None:
    with misbehave(hang) as port:
        assert check(type="tcp", host="localhost", port=port).got == f"connected to localhost port {port}"
    verdict = check(type="tcp", host="localhost", port=free_port())
    assert (verdict.ok, verdict.expected) == (False, "a connection")


def test_a_tcp_check_of_a_port_that_drops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_args: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(smoke_attempt.web, "connect", connect)
    assert check(type="tcp", host="localhost", port=1).got == "none to localhost port 1 in time"


def test_a_tls_check_wants_a_trusted_certificate_that_lasts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    settings = Settings(resolve={"portal.greenroom.test": "127.0.0.1"}, ca_file=authority.ca_file)
    with serve(lambda asked: Reply(), authority.context("portal.greenroom.test", days=10)) as site:
        wanted = {"type": "tls", "host": "portal.greenroom.test", "port": site.port}
        assert check(settings, **wanted).got.startswith("certificate of portal.greenroom.test valid for 10.0 days")
        assert check(settings, **wanted, tls={"min_days": 9}).ok
        verdict = check(settings, **wanted, tls={"min_days": 14})
        assert (verdict.expected, verdict.got) == ("a certificate valid for 14 days or more", "10.0 days left")
        assert "Hostname mismatch" in check(settings, **{**wanted, "host": "localhost"}).got
        assert "unable to get" in check(Settings(resolve=settings.resolve), **wanted).got
    with misbehave(hang) as port:
        verdict = check(settings, type="tls", host="portal.greenroom.test", port=port, timeout=2)
    assert (verdict.expected, verdict.ok) == ("a TLS handshake", False)


# --- what is refused before anything is asked ---


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "check 'it': url is missing"),
        ({"url": "/", "steps": [{"url": "/"}]}, "check 'it': set url or steps, not both"),
        ({"steps": [{"url": "/"}, {"name": "x"}]}, "check 'it': step 2: url is missing"),
        ({"url": "/", "form": {}, "json": 1}, "set only one of form, json, body"),
        ({"url": "/", "expect": {"matches": ["a", "("]}}, "expect.matches: not a regular expression"),
        ({"url": "/", "capture": {"a": {"regex": "("}}}, "capture a: not a regular expression"),
        ({"url": "/", "capture": {"a": "csrf"}}, "capture a: set a source"),
        ({"url": "/", "capture": {"a": {"unescape": True}}}, "capture a: set a source"),
        ({"url": "/", "capture": {"a": {"json": "a", "header": "b"}}}, "capture a: set only one source"),
        ({"url": "/", "capture": {"a": {"json": "a", "regexp": "b"}}}, "capture a: unknown regexp"),
        ({"type": "tcp", "host": "h"}, "a tcp check needs a port"),
        ({"type": "tcp", "port": 1}, "a tcp check needs a host"),
        ({"type": "tls", "host": "h", "url": "/", "expect": {"status": 1}}, "a tls check can't have expect, url"),
    ],
)
def test_a_wrong_check_is_refused(keys: dict[str, Any], message: str) -> None:
    assert message in refused(**keys)


def test_names_are_unique() -> None:
    assert smoke.validate([{"name": "a", "url": "/"}] * 2) == ["check 'a': another check has the same name"]


def test_variables_in_patterns_are_valid() -> None:
    assert refused(url="/", expect={"matches": "${a}+"}, capture={"b": {"regex": "${a}(.)"}}) == ""


# --- reports ---

VERDICTS = [
    Verdict("good", True, "", "status 200", 0.1),
    Verdict("bad <&\x00", False, "status 200", "status 500: \x1b[31m<oops>", 0.25),
    Verdict("left out", True, "", "skipped: it changes data", 0.0, skipped=True),
    Verdict("worse", False, "a response", "nothing", 1.0),
]


def test_the_summary_tells_the_first_failure_in_full() -> None:
    assert smoke.summary(VERDICTS, 2) == (
        "2 of 3 checks failed, 1 skipped because they change data; first: bad <&\x00: expected status 200, "
        "got status 500: \x1b[31m<oops> (also failed: worse)"
    )


def test_the_report_is_junit() -> None:
    suite = ElementTree.fromstring(smoke.junit(VERDICTS, 1.5))
    assert suite.attrib == {
        "name": "smoke",
        "tests": "4",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
        "time": "1.500",
    }
    cases = list(suite)
    assert [case.get("name") for case in cases] == ["good", "bad <&?", "left out", "worse"]
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["skipped"], ["failure"]]
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.get("message") == "expected status 200, got status 500: ?[31m<oops>"


# --- one-time codes ---


def test_a_step_sends_the_one_time_code_of_a_secret_that_an_earlier_step_captured() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()

    def respond(asked: Asked) -> Reply:
        return Reply(200, json.dumps({"url": f"otpauth://totp/x:y?secret={secret}"}) if asked.path == "/secret" else "")

    with serve(respond) as site:
        steps = [
            {"url": f"{site.url}/secret", "capture": {"secret": {"json": "url"}}},
            {"url": f"{site.url}/log-in", "form": {"totp_code": "${totp:secret}"}},
        ]
        before = totp.code(secret)
        assert check(steps=steps).ok
        assert site.asked[-1].form["totp_code"] in (before, totp.code(secret))
        steps[0]["capture"] = {"secret": {"regex": "x:y"}}
        verdict = check(steps=steps)
    assert verdict.expected == "the secret of one-time codes in ${secret}"
    assert verdict.got.endswith("a value that is not base32")


def test_a_check_with_the_code_of_a_secret_that_cannot_be_read_is_not_done() -> None:
    settings = Settings(unreadable=["persona_totp"], secret_variables={"persona_totp": ""})
    verdict = check(settings, url="http://127.0.0.1:9/", form={"code": "${totp:persona_totp}"})
    assert (verdict.ok, verdict.unreadable) == (True, True)
