"""An admin API behind authentication and a private CA."""

from __future__ import annotations

import importlib.util
import json
import os
import ssl
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.people import client as client_module
from ansible.module_utils.greenroom.people import options
from ansible.module_utils.greenroom.people.client import ServerError
from ansible.module_utils.greenroom.people.kratos import Kratos
from ansible.module_utils.greenroom.people.users import UsersError
from fake_kratos import FakeKratos, error
from modules import run_module
from webserver import Asked, Authority, Reply, serve

ACTIONS = Path(__file__).resolve().parents[3] / "plugins/action"
TOKEN = "Bearer ory_pat_of_a_test"
NOTHING: dict[str, Any] = {
    "server": "kratos",
    "headers": {},
    **dict.fromkeys(("ca_file", "client_cert", "client_key", "realm", "client_id", "client_secret")),
}


def kratos(url: str, public_url: str | None = None, **given: Any) -> Kratos:
    """A client with these arguments of the module."""
    found: Kratos = Kratos(url, 20, web.Deadline(60), public_url, options.access_of({**NOTHING, "url": url, **given}))
    return found


def test_the_admin_api_gets_the_headers_and_no_other_server_does() -> None:
    server = FakeKratos()

    def admin(asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != TOKEN:
            return error(401, "who are you?")
        return (
            Reply(302, "", [("Location", f"{public.url}/schemas")])
            if asked.path == "/schemas"
            else server.respond(asked)
        )

    with serve(server.respond) as public, serve(admin) as site:
        asked = kratos(site.url, headers={"Authorization": TOKEN})
        asked.ask_version()
        assert asked.version == "v1.3.1"
        assert asked.total() == 0
        # The admin API redirects to the public one.
        assert asked.schema("default")["properties"]
        assert {each.headers["Authorization"] for each in site.asked} == {TOKEN}
        assert [each.path for each in public.asked] == ["/schemas"]
        assert "Authorization" not in public.asked[0].headers
        with pytest.raises(ServerError, match=r"status 401: who are you\?; set headers or a client certificate"):
            kratos(site.url).ask_version()


class Asking:
    """A task with a module that asks an admin API: its action, and a host where the module runs.

    `calls` are the module's arguments, `modes` those of the files that it got.
    """

    def __init__(self, name: str, folder: Path, **arguments: Any) -> None:
        self.name, self.folder = name, folder
        self.calls: list[dict[str, Any]] = []
        self.commands: list[str] = []
        self.modes: list[int] = []
        spec = importlib.util.spec_from_file_location(f"action_{name}", ACTIONS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        task: Any = SimpleNamespace(args=arguments, _role=None, check_mode=False, async_val=0, diff=False)
        shell: Any = SimpleNamespace(tmpdir=str(folder))
        connection = SimpleNamespace(_shell=shell, has_pipelining=True, become=None)
        self.action = module.ActionModule(task, connection, None, None, None, None)
        self.action._execute_module = self.execute
        self.action._low_level_execute_command = self.command

    def execute(self, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.calls.append(dict(module_args))
        if path := module_args.get("_secrets"):
            self.modes.append(Path(path).stat().st_mode & 0o777)
        return run_module(self.name, **module_args)

    def command(self, text: str, in_data: bytes = b"") -> dict[str, Any]:
        self.commands.append(text)
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        text = text.replace("-p /run", "-p /nowhere")
        done = subprocess.run(["sh", "-c", text], input=in_data, env=environment, capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("name", ["identity_info", "identity_export"])
def test_modules_that_ask_get_headers_in_a_file_that_is_gone_afterwards(
    tmp_path: Path, name: str, refused: bool
) -> None:
    server = FakeKratos()
    identity = server.add("people-1@people.invalid", {"greenroom": {"set": "people", "seed": "1", "key": "1"}})
    people = tmp_path / "people.jsonl"
    people.write_text(json.dumps({"key": "1", "id": identity, "email": "people-1@people.invalid"}) + "\n")
    given = {"set": "people", "people_file": str(people)} if name == "identity_export" else {}
    if refused:
        server.trouble = lambda asked: error(403, f"{asked.headers['Authorization']} is not enough")
    with serve(server.respond) as site:
        task = Asking(name, tmp_path, url=site.url, headers={"Authorization": TOKEN}, **given)
        result = task.action.run(task_vars={})
        assert {each.headers.get("Authorization") for each in site.asked} == {TOKEN}
    assert bool(result.get("failed")) == refused
    assert ("is not enough" in str(result)) == refused
    assert TOKEN not in json.dumps(task.calls) + "".join(task.commands) + str(result)
    assert task.modes == [0o600]
    assert list(tmp_path.iterdir()) == [people]
    with serve(FakeKratos().respond) as site:
        open_api = Asking(name, tmp_path, url=site.url, **given)
        assert not open_api.action.run(task_vars={}).get("failed")
    assert open_api.commands == []


def test_a_private_ca_and_a_client_certificate_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_TIMEOUT", 0.1)
    authority = Authority(tmp_path)
    authority.context("client")
    (client,) = tmp_path.glob("*.pem")
    key, certificate = tmp_path / "client.key", tmp_path / "client.crt"
    head, mark, tail = client.read_text().partition("-----BEGIN CERTIFICATE-----")
    key.write_text(head)
    certificate.write_text(mark + tail)
    context = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    ours = {"ca_file": authority.ca_file, "client_cert": str(certificate), "client_key": str(key)}
    with serve(FakeKratos().respond, context) as site:
        kratos(site.url, **ours).ask_version()
        kratos(site.url, **{**ours, "client_cert": str(client), "client_key": None}).ask_version()
        for missing, said in (
            ("ca_file", "certificate of 127.0.0.1 not accepted"),
            ("client_cert", "https://127.0.0.1"),
            ("client_key", f"client certificate {certificate}: "),
        ):
            given = {**ours, missing: None, **({"client_key": None} if missing == "client_cert" else {})}
            with pytest.raises(ServerError, match=said):
                kratos(site.url, **given).ask_version()
        with pytest.raises(ServerError, match=r"client certificate /nowhere: No such file"):
            kratos(site.url, ca_file=authority.ca_file, client_cert="/nowhere").ask_version()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "http://kratos.example.org:4434"}, "headers: they would be readable on their way"),
        ({"url": "http://127.0.0.2.example.org"}, "headers: they would be readable on their way"),
        ({"headers": {"X": "se\ncret"}}, "headers: 'X' can't be a header"),
        ({"headers": {"X Y": "secret"}}, "headers: 'X Y' can't be a header"),
        ({"client_key": "/key"}, "client_key: set client_cert, too"),
    ],
)
def test_what_would_give_secrets_away_is_refused_without_showing_them(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsersError) as caught:
        options.access_of({**NOTHING, "url": "https://kratos.example.org", "headers": {"X": "secret"}, **given})
    assert str(caught.value).startswith(said)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a.example.org", "http://127.0.0.1:4434", "http://[::1]:4434", "http://localhost"]
)
def test_headers_may_be_sent_with_tls_or_on_the_same_host(url: str) -> None:
    access = options.access_of({**NOTHING, "url": url, "headers": {"X": "secret"}})
    assert access.headers == {"X": "secret"}
    assert "secret" not in repr(access)
    assert options.ARGUMENTS["headers"]["no_log"] is True


def test_a_clients_secret_travels_with_tls_or_stays_on_the_host() -> None:
    login = {"server": "keycloak", "realm": "shop", "client_id": "greenroom", "client_secret": "s3cret"}
    with pytest.raises(UsersError, match=r"^client_secret: .* use https in url") as caught:
        options.access_of({**NOTHING, "url": "http://id.example.org", **login})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(UsersError, match=r"server: keycloak needs realm, client_id, client_secret, too"):
        options.access_of({**NOTHING, "url": "https://id.example.org", "server": "keycloak"})
    assert options.access_of({**NOTHING, "url": "https://id.example.org", **login}).client_secret == "s3cret"
