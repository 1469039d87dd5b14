# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Rotates every class of generated secrets while visitors ask and a user is logged in; counts what is lost.

    python -m bench.rotation.run

Staging is converged. Each class is rotated by playbooks/rotate.yml: rings and logins twice, so that both slots have new
ones. Writes bench/rotation/README.md.
"""

from __future__ import annotations

import base64
import html
import re
import sys
import time
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.common import ROOT, machine, say, table
from tests.real.environment import Environment, Probe

HERE = Path(__file__).resolve().parent
TWICE = ("login", "broker", "ring")
ONCE = ("smoke", "visitor", "persona", "people", "backup", "certificate")
README = """\
# Rotation under load

Each class of generated secrets was rotated by `playbooks/rotate.yml -e rotate=<class>`, while a client sent ten
requests per second and a user stayed logged in. Logins and rings were rotated twice, so that both slots have new ones.

{result}

{asked} requests, of which {lost} failed. The user's session was {session} at the end, over {cutovers} cutovers.

Measured on {machine}, with the lab's hosts on the same machine. To repeat this, with staging converged:

    python -m bench.rotation.run
"""


class Visitor:
    """A browser that logs in once, and keeps its cookies."""

    def __init__(self, staging: Environment) -> None:
        self.staging = staging
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, Location and body of the answer."""
        parts = urlsplit(url)
        connection = self.staging.connection()
        headers = {
            "Authorization": authorization(self.staging, "visitor"),
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Accept": "application/json" if parts.path == "/session" else "text/html",
        } | ({"Content-Type": "application/x-www-form-urlencoded"} if form else {})
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, urlencode(form) if form else None, headers)
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie") or []:
                self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
            return answer.status, answer.headers.get("Location", ""), answer.read().decode()
        finally:
            connection.close()

    def log_in(self, persona: str, password: str) -> None:
        """Log in as a browser does."""
        status, location, page = self.ask("GET", "/self-service/login/browser")
        while status in (302, 303):
            status, location, page = self.ask("GET", location)
        [action] = re.findall(r'<form[^>]*action="([^"]*self-service/login[^"]*)"', page)[:1]
        [token] = re.findall(r'name="csrf_token"[^>]*value="([^"]*)"', page)[:1]
        form = {"method": "password", "identifier": persona, "password": password, "csrf_token": html.unescape(token)}
        self.ask("POST", html.unescape(action), form)

    def is_logged_in(self) -> bool:
        """Whether the session still counts."""
        return '"authenticated":true' in self.ask("GET", "/session")[2].replace(" ", "")


def authorization(staging: Environment, user: str) -> str:
    """Return the header of a user of the edge, with today's password."""
    password = staging.secret(f"environment/value/{user}")["value"]
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def rotate(staging: Environment, what: str) -> tuple[float, Probe]:
    """Rotate, while a client sends requests with a password that stays; return seconds and the client's figures."""
    with Probe(staging) as probe:
        probe.headers = {"Authorization": authorization(staging, "smoke" if what == "visitor" else "visitor")}
        started = time.monotonic()
        run = staging.play("playbooks/rotate.yml", "-e", f"rotate={what}", "-e", "bake=0")
        took = time.monotonic() - started
    if run.code != 0:
        sys.exit(run.output)
    return took, probe


def main() -> None:
    """Rotate everything, and write the page."""
    staging = Environment(say=say)
    staging.converge()
    persona = next(
        user["traits"]["email"] for user in staging.identities() if user["traits"]["email"].startswith("people-1-")
    )
    visitor = Visitor(staging)
    visitor.log_in(persona, staging.password("persona"))
    if not visitor.is_logged_in():
        sys.exit(f"{persona} can't log in")
    rows: list[tuple[str, ...]] = []
    lost: list[str] = []
    asked = cutovers = 0
    for what in [*TWICE, *TWICE, *ONCE]:
        live = staging.live()
        took, probe = rotate(staging, what)
        moved = staging.live() != live
        session = visitor.is_logged_in()
        failed, valid = str(len(probe.failures)), "yes" if session else "NO"
        rows.append((what, f"{took:.0f} s", "yes" if moved else "no", failed, valid))
        asked, lost, cutovers = asked + probe.asked, lost + probe.failures, cutovers + moved
        say(f"{what}: {took:.0f} s, {probe.asked} requests, {len(probe.failures)} failed {probe.failures[:3]}")
    again = staging.play("site.yml")
    changed = sum(again.changed.values()) if again.code == 0 else again.output
    whole = visitor.is_logged_in()
    header = ("rotated", "took", "cut over", "requests that failed", "session valid")
    page = README.format(
        **{"result": table(header, rows), "asked": asked, "lost": len(lost), "cutovers": cutovers},
        **{"session": "valid" if whole else "LOST", "machine": machine()},
    )
    (HERE / "README.md").write_text(page)
    say(f"wrote {(HERE / 'README.md').relative_to(ROOT)}")
    if lost or not whole or changed != 0:
        sys.exit(f"something was lost, or a run after it changes something ({changed}): see the page")


if __name__ == "__main__":
    main()
