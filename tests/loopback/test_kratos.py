"""Synthetic users in a real Ory Kratos on loopback, with failures of Kratos and of runs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.people import hashing
from ansible.module_utils.greenroom.people import apply, identities, kratos, kratos_client, ledger, population, users

from bench.identity_seed import servers
from bench.identity_seed.servers import Server, wait_for

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "people.staging.invalid"
PASSWORD = "correct horse 7"
HASH = str(hashing.hash_password(PASSWORD, 10, "people"))
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

    def recipe(self, count: int = 20, **keys: Any) -> users.Recipe:
        return users.Recipe.of({"set": self.name, "seed": "1", "count": count, "domain": DOMAIN, **keys})

    def run(
        self,
        count: int = 20,
        state: str = "present",
        check: bool = False,
        admin: str = "",
        removals: int = 0,
        **keys: Any,
    ) -> dict[str, Any]:
        """Seed in this process."""
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
            removals=population.Removals(allowed=removals),
            generators=str(self.generator.parent),
            token=f"{os.getpid()} {threading.get_ident()} {self.token}",
            holder=threading.current_thread().name,
            seconds=200,
            archive=self.generator.name,
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
        options = ("-i", "localhost,", *options, "-e", json.dumps({**variables, "ansible_become": False}))
        return ["ansible-playbook", str(play), *options], environment, result

    def play(self, *options: str, **arguments: Any) -> dict[str, Any]:
        """Seed with Ansible; returns the result and its `output`."""
        command, environment, result = self.command(*options, **arguments)
        result.unlink(missing_ok=True)
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180
        )
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


def test_a_persona_that_loses_its_password_can_no_longer_log_in(seeder: Seeder) -> None:
    address = seeder.recipe().address("admin")
    for password in (True, False, True):
        personas = [{"name": "admin", "password": password}]
        result = seeder.run(1, state="exact", personas=personas)
        assert result["problems"] == []
        assert seeder.server.logs_in(address, PASSWORD) is password
        assert seeder.run(1, state="exact", personas=personas)["changed"] is False
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
    monkeypatch.setattr(kratos_client, "TIMEOUT", 2.0)
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
    assert seeder.run(check=True, personas=personas)["created"] == 0
    second = seeder.run(personas=personas)
    assert (second["created"], second["present"], second["people_hash"]) == (0, 22, first["people_hash"])
    seeder.ledger.write_bytes(b"SQLite format 3\0 no more")
    assert seeder.run(state="absent")["removed"] == 22
    assert seeder.there() == []


def test_seed_and_count_change(seeder: Seeder) -> None:
    seeder.run(30)
    assert (seeder.run(10)["extra"], len(seeder.there())) == (20, 30)
    other = seeder.run(10, seed="2")
    assert (other["created"], other["extra"]) == (10, 30)
    with pytest.raises(population.RemovalError, match="30 of 40 users of the set"):
        seeder.run(10, state="exact", seed="2")
    predicted, done = (seeder.run(10, state="exact", seed="2", check=check, removals=30) for check in (True, False))
    for key in ("created", "updated", "removed", "present", "extra", "changed"):
        assert predicted[key] == done[key]
    assert (done["removed"], done["present"]) == (30, 10)
    assert seeder.run(0, state="exact", seed="2")["removed"] == 10
    with pytest.raises(users.UsersError, match="count must be 0 or more, not -1"):
        seeder.run(-1)


def test_two_runs_at_once(seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "TIMEOUT", 0.2)
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
    with pytest.raises(ledger.BusyError, match=rf"the first one \(process {os.getpid()} on this host\)"):
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
        with pytest.raises(kratos_client.KratosError, match=rf"^{url}\b.*"):
            seeder.run(admin=url)
    with pytest.raises(kratos_client.KratosError, match="no identity schema 'nobody'; it has default"):
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
    monkeypatch.setattr(ledger, "TIMEOUT", 60)
    result = seeder.run(1600)
    assert (result["present"], result["problems"]) == (1600, [])
    keys = [each["metadata_admin"]["greenroom"]["key"] for each in seeder.there()]
    assert sorted(keys, key=int) == [str(number) for number in range(1, 1601)]
