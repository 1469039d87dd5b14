"""The environment has a hundred synthetic users, who can log in to both slots."""

from __future__ import annotations

import json
import re

import pytest
from environment import Environment

# Logs a persona in through the edge as a browser does, and prints the session, with the slot of every response.
LOGIN = """
import html, http.client, json, re, socket, ssl, sys, urllib.parse
settings = {settings!r}
cookies, slots = {{}}, []
def ask(method, url, form=None):
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context(cafile=settings["ca"])
    plain = socket.create_connection((settings["address"], 443), timeout=30)
    connection = http.client.HTTPSConnection(settings["name"], timeout=30)
    connection.sock = context.wrap_socket(plain, server_hostname=settings["name"])
    headers = {{"Authorization": settings["authorization"]}}
    headers["Cookie"] = "; ".join(f"{{name}}={{value}}" for name, value in cookies.items())
    headers["Accept"] = "application/json" if parts.path == "/session" else "text/html"
    if settings["slot"]:
        headers["X-Greenroom-Slot"] = settings["slot"]
    body = urllib.parse.urlencode(form) if form else None
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
    answer = connection.getresponse()
    slots.append(answer.headers["X-Greenroom-Slot"])
    for cookie in answer.headers.get_all("Set-Cookie") or []:
        name, _, value = cookie.split(";")[0].partition("=")
        cookies[name] = value
    return answer.status, answer.headers.get("Location", ""), answer.read().decode()
status, location, page = ask("GET", "/self-service/login/browser")
while status in (302, 303):
    status, location, page = ask("GET", location)
action = html.unescape(re.search(r'<form[^>]*action="([^"]*self-service/login[^"]*)"', page)[1])
token = html.unescape(re.search(r'name="csrf_token"[^>]*value="([^"]*)"', page)[1])
form = dict(method="password", identifier=settings["persona"], password=settings["password"], csrf_token=token)
status, location, page = ask("POST", action, form)
print(json.dumps([status, json.loads(ask("GET", "/session")[2]), slots]))
"""


def users(environment: Environment) -> dict[str, str]:
    """The synthetic users: identity by address."""
    return {
        identity["traits"]["email"]: identity["id"]
        for identity in environment.identities()
        if identity["traits"]["email"].endswith("@people.staging.invalid")
    }


@pytest.mark.usefixtures("settled")
def test_a_hundred_users_exist_and_seeding_again_changes_nothing(staging: Environment) -> None:
    before = users(staging)
    numbered = [address for address in before if re.match(r"people-\d+-", address)]
    # Interrupted smoke checks may have left users, who don't belong to the set.
    personas = {address for address in set(before) - set(numbered) if address.startswith("people-")}
    assert len(numbered) == 100
    # There are no personas for release 1.1 or for a disabled feature.
    names = ["admin", "emoji", "inactive", "linked", "long-name", "one-letter", "recovery-only", "right-to-left"]
    names += ["two-factor", "unverified"]
    assert personas == {f"people-{name}@people.staging.invalid" for name in names}
    run = staging.play("playbooks/seed.yml")
    assert run.code == 0, run.output
    assert sum(run.changed.values()) == 0
    assert users(staging) == before


@pytest.mark.parametrize("which", ["the public's", "live, by name", "idle, by name"])
def test_a_persona_logs_in_to_the_chosen_slot(both_slots: Environment, which: str) -> None:
    live = both_slots.live()
    wanted = both_slots.idle() if which.startswith("idle") else live
    persona = sorted(users(both_slots))[0]
    settings = {
        "address": both_slots.address,
        "name": both_slots.public_name,
        "ca": "/etc/greenroom/ca.crt",
        "slot": "" if which == "the public's" else wanted,
        "authorization": both_slots.authorization(),
        "persona": persona,
        "password": both_slots.password("persona"),
    }
    status, session, slots = json.loads(both_slots.python("ops1", LOGIN.format(settings=settings)))
    assert status in (302, 303)
    assert (session["authenticated"], session["email"], session["slot"]) == (True, persona, wanted)
    assert set(slots) == {wanted}


def test_a_wrong_password_is_refused(staging: Environment) -> None:
    settings = {
        "address": staging.address,
        "name": staging.public_name,
        "ca": "/etc/greenroom/ca.crt",
        "slot": "",
        "authorization": staging.authorization(),
        "persona": sorted(users(staging))[0],
        "password": "not the password",
    }
    _status, session, _slots = json.loads(staging.python("ops1", LOGIN.format(settings=settings)))
    assert session["authenticated"] is False
