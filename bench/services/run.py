# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Deploys the services of this folder beside the demo's, and looks at their files, jobs, cache and names.

    make proof-services

Jobs tick while traffic moves to a new bundle and back. A singleton says how long it did not run. The backup's archive
is restored beside the files in use. At the end, the demo's services are deployed again, and the cache server stops.
Exits with 1 and all problems if something is not as it must be.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from bench.common import ROOT, say
from bench.services import ticks
from tests.real.environment import TIMEOUT_SECONDS, Environment, Run

HERE = Path(__file__).resolve().parent
EVERY = {"quick": 20, "long": 120}
HOOKS = ("before_deploy", "before_migrate", "after_migrate", "after_deploy", "before_cutover", "after_cutover")
VOLUMES = "/var/lib/greenroom/volumes"
TCP_PORT = 2525


class Proof:
    """Staging with the services of this proof, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.staging = Environment(say=say)
        self.domain = self.staging.public_name.partition(".")[2]
        self.folder = folder
        self.problems: list[str] = []

    def expect(self, holds: bool, what: str) -> None:
        """Note a problem unless it holds."""
        say(f"{'as it must be' if holds else 'WRONG'}: {what}")
        if not holds:
            self.problems.append(what)

    def play(self, playbook: str, *options: str) -> Run:
        """Run a playbook with the services of the proof. Exits if it fails."""
        run = self.staging.play(playbook, *options, GREENROOM_SERVICES=str(self.folder))
        if run.code:
            sys.exit(f"{playbook} failed:\n{run.output}")
        return run

    def get(self, name: str, path: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Request a page of a host name; returns the status, the headers, and the content if it is JSON."""
        connection: HTTPSConnection = self.staging.connection()
        # The connection is made with the certificate's name.
        connection.host = f"{name}.{self.domain}"
        try:
            connection.request("GET", path, headers={"Authorization": self.staging.authorization()})
            answer = connection.getresponse()
            body = answer.read()
            headers = {key.lower(): value for key, value in answer.getheaders()}
            return answer.status, headers, json.loads(body) if body.startswith(b"{") else {}
        finally:
            connection.close()

    def change(self) -> Run:
        """Change both services, so that a new bundle is deployed and goes live."""
        for name in ("kit", "inbox"):
            file = self.folder / name / "service.yml"
            file.write_text(re.sub(r"^memory: .*\n", "", file.read_text(), flags=re.M) + "memory: 192M\n")
        return self.play("site.yml")


def looked_at(proof: Proof) -> None:
    """Look at names, redirects, the cookie, the cache and the TCP port."""
    for name, path, prefix in (("kit", "/list", None), ("kit.deep", "/list", None), ("portal", "/kit/list", "/kit")):
        status, _, found = proof.get(name, path)
        proof.expect((status, found.get("prefix")) == (200, prefix), f"{name}{path} reaches the service")
    _, headers, _ = proof.get("kit", "/")
    proof.expect("greenroom_kit_http_" in headers.get("set-cookie", ""), "a browser gets a cookie for its host")
    for name, path, to in (
        ("www.kit", "/a?b=c", f"https://kit.{proof.domain}/a?b=c"),
        ("portal", "/old-kit/x", "/kit/new/x"),
    ):
        _, headers, _ = proof.get(name, path)
        proof.expect(headers.get("location") == to, f"{name}{path} is redirected to {to}")
    slot = proof.staging.live()
    _, _, found = proof.get("kit", "/cache")
    answers = ["+OK", "+OK", f"${len(slot)}", "-NOPERM", "-NOPERM"]
    proof.expect(found.get("cache") == answers, "the cache takes the login, and keys with its prefix only")
    proof.expect(by_tcp(proof) == 200, "a TCP route reaches the service")


def by_tcp(proof: Proof) -> int:
    """Return the status of a request through the TCP route, 0 if the connection is closed."""
    with socket.create_connection((proof.staging.address, TCP_PORT), TIMEOUT_SECONDS) as channel:
        channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
        words = channel.recv(4096).split()
    return int(words[1]) if words else 0


def moved(proof: Proof) -> None:
    """Move traffic to a new bundle and back while jobs tick."""
    proof.get("kit", "/write?name=before")
    run = proof.change()
    proof.expect("no instance ran for at most" in run.output, "the singleton says how long it did not run")
    back = proof.play("playbooks/rollback.yml")
    proof.expect("no instance ran for at most" in back.output, "it says so after the rollback, too")
    host = next(iter(proof.staging.groups["app"]))
    text = proof.staging.ask(host, f"cat {VOLUMES}/kit/data/ticks").stdout
    wrong = list(ticks.problems(text, EVERY))
    proof.expect(not wrong, f"each of {ticks.counted(text, 'begin')} ticks ran once, and to its end {wrong}")
    for hook in HOOKS:
        proof.expect(f" hook {hook} " in text, f"the hook {hook} ran")
    files = proof.staging.ask(host, f"ls {VOLUMES}/kit/data {VOLUMES}/kit/index.blue {VOLUMES}/kit/index.green").stdout
    proof.expect(files.split().count("before") >= 2, "files are in the new slot, too")


def restored(proof: Proof) -> None:
    """Archive all volumes, and restore one beside the files in use."""
    proof.play("playbooks/backup.yml")
    host = next(iter(proof.staging.groups["app"]))
    options = ["-e", "restore_volume=kit/data", "-e", f"restore_host={host}"]
    proof.play("playbooks/restore.yml", *options)
    compare = f"cd {VOLUMES}/kit && diff -r --exclude=ticks data data.restored && stat -c %u data.restored"
    done = proof.staging.ask(host, f"{compare}; rm -rf data.restored", check=False)
    proof.expect(done.stdout.strip() == "1000", f"the restored files are the same {done.stdout}")


def paused(proof: Proof) -> None:
    """Put the service into maintenance, and end it."""
    proof.play("playbooks/maintenance.yml", "-e", "on=true", "-e", "service=kit")
    try:
        for name, path in (("kit", "/"), ("www.kit", "/"), ("portal", "/old-kit")):
            proof.expect(proof.get(name, path)[0] == 503, f"{name}{path} shows the maintenance page")
        proof.expect(by_tcp(proof) == 0, "the TCP route is closed")
        proof.expect(proof.get("portal", "/version")[0] == 200, "other services are not in maintenance")
    finally:
        proof.play("playbooks/maintenance.yml", "-e", "on=false")
    proof.expect(proof.get("kit", "/")[0] == 200, "the service is there again")


def removed(proof: Proof) -> None:
    """Deploy the demo's services alone to both slots: the cache server stops when no slot uses it."""
    for name in ("kit", "inbox"):
        shutil.rmtree(proof.folder / name)
    host = next(iter(proof.staging.groups["data"]))
    active = "systemctl is-active valkey-server"
    proof.play("site.yml")
    proof.expect(
        proof.staging.ask(host, active, check=False).stdout.strip() == "active", "the cache stays for a rollback"
    )
    proof.play("site.yml", "-e", "release_name=1.1")
    proof.staging.converge()
    proof.expect(proof.staging.ask(host, active, check=False).stdout.strip() != "active", "then the cache is stopped")


def main() -> None:
    """Do all of it."""
    steps: tuple[Callable[[Proof], None], ...] = (looked_at, moved, restored, paused, removed)
    with tempfile.TemporaryDirectory(prefix="greenroom-services-") as name:
        for source in (ROOT / "services", HERE / "services"):
            shutil.copytree(source, name, dirs_exist_ok=True)
        proof = Proof(Path(name))
        proof.play("playbooks/secrets.yml", "-e", "create=missing")
        proof.play("site.yml")
        for step in steps:
            step(proof)
    if proof.problems:
        sys.exit("\n".join(proof.problems))


if __name__ == "__main__":
    main()
