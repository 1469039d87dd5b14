"""Synthetic users in a real Ory Kratos on loopback, with failures of Kratos and of runs."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import itertools
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible.module_utils.greenroom.common import totp, web
from ansible.module_utils.greenroom.controller.people import hashing
from ansible.module_utils.greenroom.controller.people.named import named_people
from ansible.module_utils.greenroom.people import (
    apply,
    client,
    compare,
    identities,
    kratos,
    ownership,
    population,
    set_lock,
    users,
)
from ansible.module_utils.greenroom.people import removals as removals_module
from ansible.module_utils.greenroom.people.settings_page import SettingsPage
from modules import run_module
from webserver import Asked, Authority, Reply, serve

from bench.identity_seed import servers
from bench.identity_seed.servers import Server, wait_for
from tests import warm_start

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "people.staging.invalid"
PASSWORD = "correct horse 7"
HASH = str(hashing.hash_password(PASSWORD, 10))
KEY = "a key of at least sixteen bytes"
PLAY = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - identity_seed: "{{ task }}"
      register: done
    - ansible.builtin.copy: {content: "{{ done | to_json }}", dest: "{{ result }}", mode: "0600"}
      check_mode: false
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A separate Kratos."""
    with servers.kratos(tmp_path_factory.mktemp("kratos"), {"fsync": "off"}) as running:
        yield running


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator's archive."""
    return Path(users.generator_archive(tmp_path_factory.mktemp("generator"), ["en_US"]))


class Seeder:
    """Seeds one set, in this process or with Ansible."""

    def __init__(self, server: Server, name: str, folder: Path, generator: Path) -> None:
        self.server, self.name, self.folder, self.generator = server, name, folder, generator
        self.ledger, self.users = folder / f"{name}.db", folder / f"{name}.jsonl"
        self.token = 0
        self.seal = ownership.Seal(name, ownership.signing_key(KEY, "staging", name))
        self.variables = ""

    def recipe(self, count: int = 20, **keys: Any) -> users.Recipe:
        return users.Recipe.of({"set": self.name, "seed": "1", "count": count, "domain": DOMAIN, **keys})

    def run(
        self,
        count: int = 20,
        state: str = "present",
        check: bool = False,
        admin: str = "",
        *,
        removals: int = 0,
        renew: bool = False,
        owner: compare.Owner | None = None,
        **keys: Any,
    ) -> dict[str, Any]:
        """Seed in this process; with an `owner`, as the set is marked there."""
        self.token += 1
        order = population.Order(
            recipe=self.recipe(count, **keys),
            state=state,
            url=admin or self.server.admin,
            public_url=self.server.public,
            timeout=30,
            deadline=200,
            connections=2,
            ledger=str(self.ledger),
            people_file=str(self.users),
            removals=removals_module.Removals(allowed=removals),
            owner=owner or compare.Owner(self.seal),
            generators=str(self.generator.parent),
            token=f"{os.getpid()} {threading.get_ident()} {self.token}",
            holder=threading.current_thread().name,
            seconds=200,
            archive=self.generator.name,
            renew=renew,
            hash_of=lambda key: HASH,
        )
        result: dict[str, Any] = population.run(order, check)
        return result

    def command(self, *options: str, **arguments: Any) -> tuple[list[str], dict[str, str], Path]:
        """Return a command that seeds with Ansible, its environment, and the path of its result."""
        task = {
            "url": self.server.admin,
            "public_url": self.server.public,
            "set": self.name,
            "count": 20,
            "domain": DOMAIN,
            "password": PASSWORD,
            "signing_key": KEY,
            "environment": "staging",
            "allowed": True,
            "ledger": str(self.ledger),
            "generators": str(self.folder / "python"),
            **arguments,
        }
        play, result = self.folder / "play.yml", self.folder / "result.json"
        play.write_text(PLAY)
        given = {"task": {key: value for key, value in task.items() if value is not None}, "result": str(result)}
        variables = {**given, "ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCALHOST_WARNING": "false"}
        self.variables = json.dumps({**variables, "ansible_become": False})
        options = ("-i", "localhost,", *options, "-e", self.variables)
        return ["ansible-playbook", str(play), *options], environment, result

    def play(self, *options: str, **arguments: Any) -> dict[str, Any]:
        """Seed with Ansible; returns the result and its `output`."""
        command, environment, result = self.command(*options, **arguments)
        result.unlink(missing_ok=True)
        done = warm_start.run(command[1:], ROOT, environment)
        found = json.loads(result.read_text()) if result.exists() else {"failed": True}
        return {**found, "output": done.stdout + done.stderr}

    def there(self) -> list[dict[str, Any]]:
        """The set's identities in Kratos."""
        return [each for each in self.server.identities() if identities.mark_of(each, self.name)]

    def assert_exact(self, count: int) -> None:
        """Assert that each user exists once, and that a run changes nothing."""
        keys = [each["metadata_admin"]["greenroom"]["key"] for each in self.there()]
        assert sorted(keys, key=int) == [str(number) for number in range(1, count + 1)]
        again = self.run(count)
        assert (again["changed"], again["present"], again["extra"]) == (False, count, 0)
        assert len(self.users.read_text().splitlines()) == count


@pytest.fixture
def seeder(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    tmp_path: Path,
    generator: Path,
) -> Iterator[Seeder]:
    """A separate set for each test, created in small batches."""
    monkeypatch.setattr(apply, "BATCH", 100)
    # The same in each run, because the users depend on the name of the set.
    name = f"set-{zlib.crc32(request.node.name.encode()):08x}"
    yield Seeder(server, name, tmp_path, generator)
    if server.process is None:
        server.start()


def test_prepare_creates_one_network_before_kratos_starts(tmp_path: Path) -> None:
    """Otherwise, two Kratos that start together create one each, and don't find each other's users."""
    with servers.postgres(tmp_path / "postgres", {"fsync": "off"}) as port:
        Server(tmp_path, port).prepare()
        psql = ["psql", "-qAtX", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "kratos", "-c"]
        count = subprocess.run([*psql, "SELECT count(*) FROM networks"], check=True, capture_output=True, text=True)
        assert count.stdout == "1\n"


def test_users_of_a_playbook_can_log_in(seeder: Seeder) -> None:
    asked = ["unverified", "inactive", "recovery-only", "long-name", "right-to-left", "emoji", "one-letter"]
    predicted = seeder.play("--check", personas=asked)
    assert (predicted["created"], seeder.there(), seeder.ledger.exists()) == (27, [], False)
    done = seeder.play(personas=asked)
    assert (done["created"], done["present"], done["changed"]) == (27, 27, True), done["output"]
    assert PASSWORD not in done["output"] + json.dumps({**done, "invocation": ""})
    recipe = seeder.recipe(personas=asked)
    assert seeder.server.logs_in(recipe.address(1), PASSWORD)
    assert not seeder.server.logs_in(recipe.address(1), "not the password")
    assert not seeder.server.logs_in(recipe.address("inactive"), PASSWORD)
    assert not seeder.server.logs_in(recipe.address("recovery-only"), PASSWORD)
    for persona in ("right-to-left", "emoji", "one-letter"):
        assert seeder.server.logs_in(recipe.address(persona), PASSWORD)
    by_key = {each["metadata_admin"]["greenroom"]["key"]: each for each in seeder.there()}
    assert by_key["1"]["verifiable_addresses"][0]["verified"] is True
    assert by_key["unverified"]["verifiable_addresses"][0]["verified"] is False

    again = seeder.play(personas=asked)
    assert (again["changed"], again["requests"] < 10) == (False, True), again["output"]

    # Different users with their own passwords, in the same identities.
    exact = seeder.play(state="exact", count=17, password=None, password_key=KEY, verified=0.5)
    assert (exact["updated"], exact["removed"], exact["created"]) == (17, 10, 0), exact["output"]
    assert seeder.server.logs_in(recipe.address(1), users.person_password(KEY, seeder.name, "1", 1))
    assert not seeder.server.logs_in(recipe.address(1), PASSWORD)
    assert {each["id"] for each in seeder.there()} <= {each["id"] for each in by_key.values()}
    verified = {each["verifiable_addresses"][0]["verified"] for each in seeder.there()}
    assert verified == {True, False}
    gone = seeder.play(state="absent", password=None)
    assert (gone["removed"], seeder.there(), seeder.users.exists()) == (17, [], False)


def unpacked(path: Path) -> bytes:
    """The content of a file, and of the archive that a module file has as text."""
    content = path.read_bytes()
    for text in re.findall(rb"[A-Za-z0-9+/=]{1000,}", content):
        with (
            contextlib.suppress(ValueError, zipfile.BadZipFile),
            zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as file,
        ):
            content += b"".join(file.read(name) for name in file.namelist())
    return content


@pytest.mark.parametrize("given", [{"password": PASSWORD, "hashes": "each"}, {"password": None, "password_key": KEY}])
def test_no_secret_is_in_debug_logs_or_kept_files(seeder: Seeder, given: dict[str, Any]) -> None:
    command, environment, result = seeder.command("-vvvv", count=3, **given)
    remote = seeder.folder / "remote"
    debug = {"ANSIBLE_DEBUG": "1", "ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_REMOTE_TMP": str(remote)}
    # The playbook's own value would be in the log of its command.
    variables = seeder.folder / "variables.json"
    variables.write_text(seeder.variables)
    command[-1] = f"@{variables}"
    done = subprocess.run(
        command, env={**environment, **debug}, cwd=ROOT, capture_output=True, check=False, timeout=180
    )
    assert json.loads(result.read_text())["created"] == 3, done.stdout[-2000:]
    kept = [path for path in remote.rglob("*") if path.is_file()]
    assert [path for path in kept if path.name == "AnsiballZ_identity_seed.py"]
    hashes = [users.set_key(KEY, seeder.name, "1"), KEY, PASSWORD]
    for content in (done.stdout + done.stderr, *map(unpacked, kept)):
        for secret in hashes:
            assert secret.encode() not in content
    # Other tests may have files there at the same time.
    sent = set(re.findall(rb"/run/greenroom\.\w+", done.stdout))
    assert len(sent) == 2, sent
    assert not [path for path in map(os.fsdecode, sent) if Path(path).exists()]
    assert not list(remote.rglob("secrets"))
    password = users.person_password(KEY, seeder.name, "1", 1) if given["password"] is None else PASSWORD
    assert seeder.server.logs_in(seeder.recipe().address(1), password)
    seeder.run(state="absent")


def test_users_that_are_created_again_log_in_with_the_new_password(seeder: Seeder) -> None:
    seeder.run(150)
    address, before = seeder.recipe().address(1), {each["id"] for each in seeder.there()}
    for renew in (False, True):
        result = seeder.run(150, state="exact", password=f"another {renew}", renew=renew)
        assert (result["updated"], result["created"], result["problems"]) == (150, 0, [])
        assert len(seeder.there()) == 150
        assert ({each["id"] for each in seeder.there()} == before) is not renew
        assert seeder.server.logs_in(address, PASSWORD)
        assert seeder.run(150, state="exact", password=f"another {renew}")["changed"] is False
    seeder.run(state="absent")


def test_a_persona_that_loses_its_password_can_no_longer_log_in(seeder: Seeder) -> None:
    address = seeder.recipe().address("admin")
    for password in (True, False, True):
        personas = [{"name": "admin", "password": password}]
        result = seeder.run(1, state="exact", personas=personas)
        assert result["problems"] == []
        assert seeder.server.logs_in(address, PASSWORD) is password
        assert seeder.run(1, state="exact", personas=personas)["changed"] is False
    seeder.run(state="absent")


ORGANIZATION = "11111111-2222-4333-8444-555555555555"
EQUIPPED = [
    {"name": "two-factor", "verified": False},
    {"name": "linked", "providers": ["company"], "organization": ORGANIZATION, "password": False},
    {"name": "staff", "schema_id": "staff", "totp": True},
    "admin",
]


def credentials_of(seeder: Seeder, key: str) -> dict[str, Any]:
    """A persona's identity, with the content of its credentials."""
    kinds = "&include_credential=totp&include_credential=lookup_secret"
    query = f"credentials_identifier={seeder.recipe().address(key)}{kinds}"
    found = seeder.server.ask("GET", f"/admin/identities?{query}")[1]
    if not found:  # someone without a password
        identity = next(each for each in seeder.there() if each["metadata_admin"]["greenroom"]["key"] == key)
        found = [seeder.server.ask("GET", f"/admin/identities/{identity['id']}")[1]]
    return dict(found[0])


def test_personas_have_second_factors_accounts_at_providers_organizations_and_schemas(seeder: Seeder) -> None:
    server, address = seeder.server, seeder.recipe().address
    predicted = seeder.run(2, "exact", check=True, personas=EQUIPPED)
    done = seeder.run(2, "exact", personas=EQUIPPED)
    assert (done["problems"], done["created"], done["credentials"]) == ([], 6, 3)
    assert (predicted["created"], predicted["credentials"]) == (6, 3)

    found = credentials_of(seeder, "two-factor")
    secret = found["credentials"]["totp"]["config"]["totp_url"]
    codes = [each["code"] for each in found["credentials"]["lookup_secret"]["config"]["recovery_codes"]]
    assert not any(each["verified"] for each in found["verifiable_addresses"])
    assert server.level(address("two-factor"), PASSWORD) == ""
    assert server.level(address("two-factor"), PASSWORD, method="totp", totp_code="000000") == ""
    assert server.level(address("two-factor"), PASSWORD, method="totp", totp_code=totp.code(secret)) == "aal2"
    assert server.level(address("two-factor"), PASSWORD, method="lookup_secret", lookup_secret=codes[0]) == "aal2"
    assert server.level(address("admin"), PASSWORD) == "aal1"

    linked = credentials_of(seeder, "linked")
    assert linked["credentials"]["oidc"]["identifiers"] == [f"company:{address('linked')}"]
    assert linked["organization_id"] == ORGANIZATION
    staff = credentials_of(seeder, "staff")
    assert staff["schema_id"] == "staff"
    assert re.fullmatch("[A-F][1-9]", staff["traits"]["desk"])

    again = seeder.run(2, "exact", personas=EQUIPPED)
    assert (again["changed"], again["credentials"], again["requests"] < 10) == (False, 0, True)
    assert credentials_of(seeder, "two-factor")["credentials"]["totp"]["config"]["totp_url"] == secret

    # An update keeps what the user has; what the recipe no longer has is removed.
    changed: list[Any] = [{**EQUIPPED[0], "recovery_codes": False, "last": "Other"}, {"name": "linked"}, "admin"]  # type: ignore[dict-item]
    done = seeder.run(2, "exact", removals=1, personas=changed)
    assert (done["problems"], done["updated"], done["removed"], done["credentials"]) == ([], 2, 1, 2)
    found = credentials_of(seeder, "two-factor")
    assert found["credentials"]["totp"]["config"]["totp_url"] == secret
    assert "lookup_secret" not in found["credentials"]
    linked = credentials_of(seeder, "linked")
    assert (linked["credentials"]["oidc"].get("identifiers") or []) == []
    assert linked.get("organization_id") is None
    assert seeder.run(2, "exact", personas=changed)["changed"] is False
    seeder.run(state="absent")


def test_second_factors_that_somebody_changed_are_restored_only_by_exact(seeder: Seeder) -> None:
    server, address = seeder.server, seeder.recipe().address
    seeder.run(0, "exact", personas=EQUIPPED)
    admin = credentials_of(seeder, "admin")["id"]
    page = SettingsPage(kratos.Kratos(server.admin, 30, web.Deadline(60), server.public), admin)
    page.set_up_totp()
    page.log_out()
    gone = f"/admin/identities/{credentials_of(seeder, 'two-factor')['id']}/credentials/totp"
    assert server.ask("DELETE", gone)[0] == 204
    kept = seeder.run(0, "present", personas=EQUIPPED)
    assert (kept["credentials"], server.level(address("admin"), PASSWORD)) == (1, "")
    assert "totp" in credentials_of(seeder, "two-factor")["credentials"]
    assert seeder.run(0, "exact", check=True, personas=EQUIPPED)["credentials"] == 1
    done = seeder.run(0, "exact", personas=EQUIPPED)
    assert (done["credentials"], done["changed"], server.level(address("admin"), PASSWORD)) == (1, True, "aal1")
    seeder.run(state="absent")


def test_what_somebody_added_to_a_user_with_a_number_is_removed_by_exact(seeder: Seeder) -> None:
    server, address = seeder.server, seeder.recipe().address(1)
    seeder.run(2)
    admin_api = kratos.Kratos(server.admin, 30, web.Deadline(60), server.public)
    page = SettingsPage(admin_api, credentials_of(seeder, "1")["id"])
    page.set_up_totp()
    page.set_up_recovery_codes()
    page.log_out()
    admin_api.link(credentials_of(seeder, "2"), {"company": "somebody"})
    kept = seeder.run(2)
    assert (kept["drifted"], kept["updated"], server.level(address, PASSWORD)) == (2, 0, "")
    assert seeder.run(2, "exact", check=True)["updated"] == 2
    done = seeder.run(2, "exact")
    assert (done["updated"], done["problems"], server.level(address, PASSWORD)) == (2, [], "aal1")
    assert credentials_of(seeder, "2")["credentials"]["oidc"]["identifiers"] in (None, [])
    assert seeder.run(2, "exact")["changed"] is False
    seeder.run(state="absent")


def test_a_lost_answer_or_a_killed_run_between_two_factors_is_made_up_for(
    seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, address = seeder.server, seeder.recipe().address("two-factor")
    original, calls = SettingsPage.set_up_recovery_codes, itertools.count(1)

    def lose_the_answer(page: SettingsPage) -> None:
        original(page)
        if next(calls) == 1:
            raise client.UnansweredError("the answer is lost")

    with monkeypatch.context() as patch:
        patch.setattr(SettingsPage, "set_up_recovery_codes", lose_the_answer)
        assert seeder.run(0, "exact", personas=["two-factor"])["credentials"] == 1
        assert next(calls) == 2, "what was carried out already was set up again"

    identity = credentials_of(seeder, "two-factor")["id"]
    assert server.ask("DELETE", f"/admin/identities/{identity}/credentials/lookup_secret")[0] == 204
    assert seeder.run(0, "exact", personas=["two-factor"])["credentials"] == 1
    secret = credentials_of(seeder, "two-factor")["credentials"]["totp"]["config"]["totp_url"]
    assert server.level(address, PASSWORD, method="totp", totp_code=totp.code(secret)) == "aal2"
    assert seeder.run(0, "exact", personas=["two-factor"])["changed"] is False
    seeder.run(state="absent")


def test_an_identity_with_other_metadata_is_no_obstacle(seeder: Seeder) -> None:
    for metadata in (5, "text", [1], {"greenroom": 5}):
        body = {"schema_id": "default", "traits": {"email": "smoke-1@elsewhere.invalid"}, "metadata_admin": metadata}
        _status, other = seeder.server.ask("POST", "/admin/identities", body)
        assert seeder.run(3, state="exact")["present"] == 3
        assert seeder.run(state="absent")["removed"] == 3
        assert seeder.server.ask("DELETE", f"/admin/identities/{other['id']}")[0] == 204


def test_a_password_that_is_too_long_is_refused(seeder: Seeder) -> None:
    done = seeder.play(password="x" * 73)
    assert "has 73 bytes; bcrypt accepts at most 72" in done["output"]
    assert "x" * 73 not in done["output"]
    assert seeder.there() == []


def test_kratos_is_killed_and_restarted_during_a_batch(seeder: Seeder) -> None:
    result: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: result.append(seeder.run(900)))
    thread.start()
    for aim in (50, 450):
        wait_for("some people", lambda aim=aim: len(seeder.server.identities(seeder.name)) > aim)  # type: ignore[misc]
        seeder.server.kill()
        time.sleep(0.5)
        seeder.server.start()
    thread.join(240)
    assert (result[0]["created"], result[0]["problems"], result[0]["conflicts"]) == (900, [], [])
    seeder.assert_exact(900)


def test_kratos_stays_down_and_the_next_run_finishes(seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 2.0)
    create: Callable[..., list[dict[str, Any]]] = kratos.Kratos.create
    calls = itertools.count(1)

    def create_until_killed(to: kratos.Kratos, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        if next(calls) == 3:
            seeder.server.kill()
        return create(to, bodies)

    monkeypatch.setattr(kratos.Kratos, "create", create_until_killed)
    result = seeder.run(700)
    assert result["failed"]
    # The error depends on the last of several concurrent requests.
    ends = "Connection refused|closed connection|reset by peer|Broken pipe|IncompleteRead"
    assert re.search(ends, result["msg"])
    assert "of 700 users are done; run it again to continue" in result["msg"]
    seeder.server.start()
    made = len(seeder.there())
    assert seeder.run(700)["created"] == 700 - made
    seeder.assert_exact(700)


class Proxy:
    """Forwards connections to a server; for each creating request, `cut` decides how its response gets lost."""

    def __init__(self, port: int, cut: Callable[[int], str]) -> None:
        self.target, self.cut, self.batches = port, cut, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        upstream = socket.create_connection(("127.0.0.1", self.target))
        with client, upstream, contextlib.suppress(OSError):
            while (head := self._head(client)) is not None:
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
                )
                body = self._exactly(client, length)
                how = ""
                if head.startswith(b"PATCH /admin/identities ") and length > 2000:
                    self.batches += 1
                    how = self.cut(self.batches)
                if how == "before it is sent":
                    return
                upstream.sendall(head + b"\r\n\r\n" + body)
                if how == "at once":
                    return
                if how == "before the answer":
                    client.shutdown(socket.SHUT_RDWR)
                    upstream.recv(65536)
                    return
                self._answer(upstream, client)

    def _answer(self, upstream: socket.socket, client: socket.socket) -> None:
        head = self._head(upstream) or b""
        lines = head.lower().split(b"\r\n")
        client.sendall(head + b"\r\n\r\n")
        if b"transfer-encoding: chunked" in lines:
            tail = b""
            while not tail.endswith(b"0\r\n\r\n"):
                piece = upstream.recv(65536)
                if not piece:
                    return
                client.sendall(piece)
                tail = (tail + piece)[-5:]
        else:
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            client.sendall(self._exactly(upstream, length))

    def _head(self, sock: socket.socket) -> bytes | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            if not byte:
                return None
            head += byte
        return head[:-4]

    def _exactly(self, sock: socket.socket, length: int) -> bytes:
        found = b""
        while len(found) < length:
            piece = sock.recv(length - len(found))
            if not piece:
                raise OSError
            found += piece
        return found


@pytest.mark.parametrize("how", ["at once", "before the answer"])
def test_a_connection_is_cut_after_the_request_was_sent(seeder: Seeder, how: str) -> None:
    proxy = Proxy(seeder.server.admin_port, lambda batch: how if batch in (1, 3) else "")
    result = seeder.run(300, admin=f"http://127.0.0.1:{proxy.port}")
    proxy.listener.close()
    assert (result["created"], result["problems"], result["conflicts"]) == (300, [], [])
    # Completed batches are not sent again: there are only the three, and those that were cut.
    assert proxy.batches <= 3 + 2
    seeder.assert_exact(300)


def test_a_real_user_who_signs_up_during_the_run_keeps_nobody_out(seeder: Seeder) -> None:
    body = {"schema_id": "default", "traits": {"email": seeder.recipe().address(7)}, "metadata_admin": {"real": 7}}

    def sign_up(batch: int) -> str:
        if batch == 1:
            assert seeder.server.ask("POST", "/admin/identities", body)[0] == 201
        return ""

    proxy = Proxy(seeder.server.admin_port, sign_up)
    result = seeder.run(20, admin=f"http://127.0.0.1:{proxy.port}")
    proxy.listener.close()
    assert (result["created"], result["conflicts"]) == (19, [seeder.recipe().address(7)])
    keys = [each["metadata_admin"]["greenroom"]["key"] for each in seeder.there()]
    assert sorted(keys, key=int) == [str(number) for number in range(1, 21) if number != 7]
    seeder.run(state="absent")
    [real] = [each for each in seeder.server.identities() if "real" in (each["metadata_admin"] or {})]
    seeder.server.ask("DELETE", f"/admin/identities/{real['id']}")


def test_addresses_of_real_users_are_conflicts_and_the_rest_is_created(seeder: Seeder) -> None:
    recipe = seeder.recipe()
    for number in range(2, 21, 2):
        body = {"schema_id": "default", "traits": {"email": recipe.address(number)}, "metadata_admin": {"real": number}}
        assert seeder.server.ask("POST", "/admin/identities", body)[0] == 201
    real = [each for each in seeder.server.identities() if "real" in (each["metadata_admin"] or {})]
    for check in (True, False):
        result = seeder.run(check=check)
        assert (result["failed"], result["created"], len(result["conflicts"])) == (True, 10, 10)
    assert set(result["conflicts"]) == {recipe.address(number) for number in range(2, 21, 2)}
    assert "belong to identities that are not synthetic users, and were not changed" in result["msg"]
    # If a real user signs up after the comparison, the server refuses the address.
    seeder.run(state="exact", seed="2", count=0)
    assert seeder.run(state="absent")["removed"] == 0
    after = [each for each in seeder.server.identities() if "real" in (each["metadata_admin"] or {})]
    assert after == real
    for each in real:
        seeder.server.ask("DELETE", f"/admin/identities/{each['id']}")


def test_half_a_batch_is_refused(seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    make = users.Inventor.identity

    def spoilt(self: Any, key: Any, password_hash: str = "") -> dict[str, Any]:
        body: dict[str, Any] = make(self, key, password_hash)
        if int(key) % 2:
            body["traits"]["nothing of the schema"] = True
        return body

    with monkeypatch.context() as patch:
        patch.setattr(users, "Inventor", type("Spoilt", (users.Inventor,), {"identity": spoilt}))
        result = seeder.run()
    assert (result["failed"], result["created"], len(result["problems"])) == (True, 10, 10)
    assert "additionalProperties" in result["problems"][0]
    assert result["msg"].startswith("10 users could not be created, updated or removed: user 1: ")
    assert seeder.run()["created"] == 10
    seeder.assert_exact(20)


def test_the_ledger_is_lost(seeder: Seeder) -> None:
    personas = ["recovery-only", "admin"]
    first = seeder.run(personas=personas)
    moved = seeder.there()[0]
    body = {"schema_id": "default", "state": "active", "metadata_admin": moved["metadata_admin"]}
    seeder.server.ask("PUT", f"/admin/identities/{moved['id']}", {**body, "traits": {"email": "moved@person.invalid"}})
    seeder.ledger.unlink()
    # Without the ledger, only the signature tells whose an identity is, and it names another address.
    predicted, second = (seeder.run(check=check, personas=personas) for check in (True, False))
    assert predicted["created"] == second["created"] == 1
    assert (second["present"], second["people_hash"] != first["people_hash"]) == (22, True)
    assert second["conflicts"] == [f"moved@person.invalid ({moved['id']})"]
    seeder.ledger.write_bytes(b"SQLite format 3\0 no more")
    assert seeder.run(state="absent")["removed"] == 22
    assert [each["id"] for each in seeder.there()] == [moved["id"]]
    seeder.server.ask("DELETE", f"/admin/identities/{moved['id']}")


def test_a_copied_mark_makes_nobody_a_user(seeder: Seeder) -> None:
    seeder.run(3)
    marks = [each["metadata_admin"] for each in seeder.there()]
    spare = {"greenroom": {"set": seeder.name, "seed": "1", "key": "9", "recipe": "0" * 16}}
    for number, metadata in enumerate([*marks, spare]):
        body = {"schema_id": "default", "traits": {"email": f"real{number}@example.org"}, "metadata_admin": metadata}
        assert seeder.server.ask("POST", "/admin/identities", body)[0] == 201
    real = [each for each in seeder.there() if each["traits"]["email"].startswith("real")]
    assert len(real) == 4
    for arguments in ({"state": "exact"}, {"state": "exact", "verified": 0.5}, {"count": 20}, {"state": "absent"}):
        for lost in (False, True):
            if lost:
                seeder.ledger.unlink(missing_ok=True)
            result = seeder.run(**{"count": 9, "state": "present", **arguments})  # type: ignore[arg-type]
            assert (result["failed"], len(result["conflicts"])) == (True, 4)
            assert "no proof that they are its users" in result["msg"]
            assert [each for each in seeder.there() if each["traits"]["email"].startswith("real")] == real
    assert seeder.there() == real
    for each in real:
        seeder.server.ask("DELETE", f"/admin/identities/{each['id']}")


def change(seeder: Seeder, key: str, how: str) -> None:
    """Change a user by hand, as an admin or the user does."""
    [user] = [each for each in seeder.there() if each["metadata_admin"]["greenroom"]["key"] == key]
    path = f"/admin/identities/{user['id']}"
    if how == "password":
        body = {key: user[key] for key in ("schema_id", "state", "traits", "metadata_admin")}
        body["credentials"] = {"password": {"config": {"password": "an0ther h0rse by hand"}}}
        assert seeder.server.ask("PUT", path, body)[0] == 200
    else:
        where, _, value = how.partition("=")
        change = {"op": "replace", "path": where, "value": json.loads(value)}
        status, found = seeder.server.ask("PATCH", path, [change])
        assert status == 200, found


def test_exact_restores_what_was_changed_by_hand(seeder: Seeder) -> None:
    personas = ["admin", "unverified", "recovery-only"]
    changes = {
        "1": '/traits/email="moved@person.invalid"',
        "2": '/traits/name/first="Ada"',
        "3": '/state="inactive"',
        "4": "/verifiable_addresses/0/verified=false",
        "5": "password",
        "7": '/metadata_admin/greenroom/recipe=""',
        "8": '/metadata_admin/greenroom/key="9"',
        "admin": '/metadata_public={"roles": [], "of": "another tool"}',
        "unverified": "/verifiable_addresses/0/verified=true",
        "recovery-only": "password",
    }
    made = seeder.run(personas=personas)
    lost = seeder.ledger.read_bytes()
    for kept in (True, False):
        if not kept:
            seeder.ledger.unlink()
        again = seeder.run(personas=personas, state="exact")
        assert (again["changed"], again["drifted"], again["outdated"]) == (not kept, 0, 0)
    assert again["people_hash"] == made["people_hash"]
    seeder.ledger.write_bytes(lost)
    before = {each["id"]: each for each in seeder.there()}
    for key, how in changes.items():
        change(seeder, key, how)
    present = seeder.run(personas=personas)
    assert (present["drifted"], present["outdated"], present["changed"]) == (len(changes), len(changes), True)
    assert '"moved@person.invalid"' in seeder.users.read_text()
    predicted, done = (seeder.run(personas=personas, state="exact", check=check) for check in (True, False))
    assert predicted["updated"] == done["updated"] == len(changes)
    assert (done["outdated"], done["problems"], done["people_hash"]) == (0, [], made["people_hash"])
    recipe = seeder.recipe(personas=personas)
    for each in seeder.there():
        for part in ("traits", "state"):
            assert each[part] == before[each["id"]][part]
    assert seeder.server.logs_in(recipe.address("5"), PASSWORD)
    assert not seeder.server.logs_in(recipe.address("recovery-only"), "an0ther h0rse by hand")
    by_key = {each["metadata_admin"]["greenroom"]["key"]: each for each in seeder.there()}
    assert by_key["admin"]["metadata_public"] == {"roles": ["admin"], "of": "another tool"}
    assert by_key["unverified"]["verifiable_addresses"][0]["verified"] is False
    # Neither that, nor a login, makes a difference.
    for _ in range(2):
        again = seeder.run(personas=personas, state="exact")
        assert (again["changed"], again["drifted"], again["requests"] < 10) == (False, 0, True)
    seeder.run(state="absent")


def test_a_login_that_makes_a_new_hash_is_no_change(seeder: Seeder) -> None:
    arguments: dict[str, Any] = {"state": "exact", "count": 4, "password": None, "password_key": KEY}
    seeder.play(**arguments)
    recipe = seeder.recipe()
    for key in (1, 2):
        # Kratos replaces the hash with one of its own kind.
        assert seeder.server.logs_in(recipe.address(key), users.person_password(KEY, seeder.name, "1", key))
    change(seeder, "2", "password")
    assert seeder.play("--check", **arguments)["updated"] == 1
    for updated in (1, 0):
        done = seeder.play(**arguments)
        assert (done["updated"], done["changed"]) == (updated, updated == 1), done["output"]
    assert done["requests"] < 10  # other tests leave users
    assert seeder.server.logs_in(recipe.address(2), users.person_password(KEY, seeder.name, "1", 2))
    seeder.run(state="absent")


def test_seed_and_count_change(seeder: Seeder) -> None:
    seeder.run(30)
    assert (seeder.run(10)["extra"], len(seeder.there())) == (20, 30)
    other = seeder.run(10, seed="2")
    assert (other["created"], other["extra"]) == (10, 30)
    with pytest.raises(removals_module.RemovalError, match="30 of 40 users of the set"):
        seeder.run(10, state="exact", seed="2")
    predicted, done = (seeder.run(10, state="exact", seed="2", check=check, removals=30) for check in (True, False))
    for key in ("created", "updated", "removed", "present", "extra", "changed"):
        assert predicted[key] == done[key]
    assert (done["removed"], done["present"]) == (30, 10)
    assert seeder.run(0, state="exact", seed="2")["removed"] == 10
    with pytest.raises(users.UsersError, match="count must be 0 or more, not -1"):
        seeder.run(-1)


def test_two_runs_at_once(seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_lock, "TIMEOUT", 0.2)
    asked, go_on = threading.Event(), threading.Event()

    def hold(batch: int) -> str:
        asked.set()
        go_on.wait(60)
        return ""

    proxy = Proxy(seeder.server.admin_port, hold)
    result: list[dict[str, Any]] = []

    def first() -> None:
        result.append(seeder.run(500, admin=f"http://127.0.0.1:{proxy.port}"))

    thread = threading.Thread(target=first, name="the first one")
    thread.start()
    assert asked.wait(60)
    with pytest.raises(set_lock.BusyError, match=rf"the first one \(process {os.getpid()} on this host\)"):
        seeder.run(500)
    go_on.set()
    thread.join(240)
    proxy.listener.close()
    assert result[0]["created"] == 500
    seeder.assert_exact(500)


def test_check_mode_plans_a_million_users(seeder: Seeder) -> None:
    small = seeder.play("--check", count=10)
    large = seeder.play("--check", count=1_000_000)
    assert (large["created"], large["present"]) == (1_000_000, 1_000_000), large["output"]
    assert large["memory"] - small["memory"] < 16
    assert seeder.there() == []


def test_a_url_that_is_not_kratos_admin_api_is_refused(seeder: Seeder) -> None:
    for url in (seeder.server.public, f"http://127.0.0.1:{seeder.server.database}"):
        with pytest.raises(client.ServerError, match=rf"^{url}\b.*"):
            seeder.run(admin=url)
    with pytest.raises(client.ServerError, match="no identity schema 'nobody'; it has default"):
        seeder.run(schema_id="nobody")


def hold_after(batches: int, under_way: threading.Event, killed: threading.Event, batch: int) -> str:
    """Forward this many batches and hold the next one, so that the run can be killed."""
    if batch >= batches:
        under_way.set()
    if batch <= batches:
        return ""
    killed.wait(60)
    return "before it is sent"


def family(process: int) -> list[int]:
    """A process and its descendants: Ansible's workers have sessions of their own."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [process, *(each for task in tasks for child in task.read_text().split() for each in family(int(child)))]


def test_a_run_is_killed_at_any_moment(seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    made: list[int] = []
    # With two connections, the first batch is done before the third is sent. At least two batches are left.
    for batches in (3, 1):
        under_way, killed = threading.Event(), threading.Event()

        proxy = Proxy(seeder.server.admin_port, partial(hold_after, batches, under_way, killed))
        command, environment, _result = seeder.command(count=1600, url=f"http://127.0.0.1:{proxy.port}")
        with subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            assert under_way.wait(120)
            time.sleep(moments.uniform(0, 0.5))
            for each in family(process.pid):
                os.kill(each, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        killed.set()
        proxy.listener.close()
        made.append(len(seeder.there()))
    assert 0 < made[0] <= made[-1] <= 1600
    monkeypatch.setattr(set_lock, "TIMEOUT", 60)
    result = seeder.run(1600)
    assert (result["present"], result["problems"]) == (1600, [])
    keys = [each["metadata_admin"]["greenroom"]["key"] for each in seeder.there()]
    assert sorted(keys, key=int) == [str(number) for number in range(1, 1601)]


# --- an admin API behind authentication ---


def test_named_people_and_their_list_through_a_proxy_that_authenticates(seeder: Seeder, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.context("client")
    (client,) = map(str, tmp_path.glob("*.pem"))
    context = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)

    def forward(asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != "Bearer secret":
            return Reply(401, "{}")
        url = f"{seeder.server.admin}{asked.path}?{urlencode(asked.query, doseq=True)}"
        request = web.Request(asked.method, url, {"Content-Type": "application/json"}, asked.body.encode() or None)
        answer = web.request(request, web.Network(), web.Deadline(60))
        told = [(name, answer.header(name) or "") for name in ("Link", "X-Total-Count") if answer.header(name)]
        return Reply(answer.status, answer.text, told)

    people = tmp_path / "people.csv"
    people.write_text('key,verified,traits.name.first\ngrace,false,"=Grace, PhD"\n')
    with serve(forward, context) as proxy:
        access: dict[str, Any] = {"url": proxy.url, "ca_file": authority.ca_file, "client_cert": client}
        access["headers"] = {"Authorization": "Bearer secret"}
        done = seeder.play(**access, count=3, personas=named_people(str(people)))
        assert (done["created"], done["server"]) == (4, f"Ory Kratos v1.3.1 at {proxy.url}"), done["output"]
        assert "Bearer secret" not in done["output"] + json.dumps(done)
        found = run_module("identity_export", **access, set=seeder.name, people_file=str(seeder.users), limit=2)
        refused = seeder.play(**{**access, "headers": {"Authorization": "Bearer wrong"}})
    address = seeder.recipe().address("grace")
    rows = list(csv.DictReader(io.StringIO(found["content"])))
    assert [row["key"] for row in rows] == ["grace", "1", "2"]
    first = {"login": address, "state": "active", "verified": "false", "traits.name.first": "'=Grace, PhD"}
    assert first.items() <= rows[0].items()
    assert rows[0]["traits.name.last"]
    assert seeder.server.logs_in(address, PASSWORD)
    assert "status 401" in refused["output"]
    seeder.run(state="absent")
