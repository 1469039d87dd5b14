# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The module notification and the role notify: what is sent, and that nothing stops a cutover."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plays
import pytest
import yaml
from fake_mail import mail_server
from modules import run_module
from plays import DEAD
from webserver import Asked, Reply, Site, serve

EVENT = {"environment": "staging", "event": "verdict", "text": "fail: green at 5 %\n9 of 61 failed", "weight": 5}
SECRET = "T0123/B4567/a-very-long-secret"


@pytest.fixture
def webhook() -> Iterator[Site]:
    def answer(asked: Asked) -> Reply:
        return Reply(404 if asked.path == "/gone" else 200, "ok")

    with serve(answer) as site:
        yield site


def test_a_webhook_gets_the_event_as_json(webhook: Site) -> None:
    result = run_module("notification", event=EVENT, url=f"{webhook.url}/hooks/$secret", secret=SECRET)
    assert (result["sent"], result["changed"]) == (["webhook"], False)
    (asked,) = webhook.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", f"/hooks/{SECRET}", EVENT)
    assert asked.headers["Content-Type"] == "application/json"
    assert SECRET not in result["text"]


def test_a_mail_has_the_event_as_text() -> None:
    with mail_server() as (port, got):
        given: dict[str, Any] = {"to": ["a@example.org", "b@example.org"], "sender": "greenroom@example.org"}
        result = run_module("notification", event=EVENT, host="127.0.0.1", port=port, **given)
    assert result["sent"] == ["mail"]
    (mail,) = got
    assert (mail["To"], mail["From"]) == ("a@example.org, b@example.org", "greenroom@example.org")
    assert mail["Subject"] == "[staging] verdict: fail: green at 5 % 9 of 61 failed"
    assert mail.get_content().startswith("fail: green at 5 %\n9 of 61 failed\n\nenvironment: staging\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "WEBHOOK/gone"}, "the webhook responded with status 404"),
        ({"url": "http://127.0.0.1:1/$secret", "secret": SECRET}, "the webhook did not respond"),
        ({"url": "$secret", "secret": SECRET}, "the webhook did not respond: not an HTTP URL"),
        (
            {"to": ["a@example.org"], "sender": "b@example.org", "host": "127.0.0.1", "port": 1},
            "the mail server 127.0.0.1 port 1 did not accept the mail",
        ),
    ],
)
def test_what_was_not_sent_is_an_error_without_the_address(webhook: Site, given: Any, said: str) -> None:
    given = {name: value.replace("WEBHOOK", webhook.url) if name == "url" else value for name, value in given.items()}
    result = run_module("notification", event=EVENT, timeout=20, **given)
    assert result["failed"]
    assert said in result["msg"]
    assert SECRET not in result["text"]


def test_checking_sends_nothing(webhook: Site) -> None:
    assert run_module("notification", check=True, event=EVENT, url=webhook.url)["sent"] == []
    assert webhook.asked == []


# The role

SECRETS = """
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    _requires_connection = False
    def run(self, tmp=None, task_vars=None):
        with open("FOLDER/vault", "a") as file:
            file.write(f"{self._task.args['paths']}\\n")
        return {"changed": False, **ANSWER, "_ansible_no_log": True}
"""
SHARED = yaml.safe_load((plays.ROOT / "playbooks/group_vars/all/main.yml").read_text())
FOUND = {"secrets": {"environment/value/webhook": {"value": SECRET}}, "unreadable": ""}
SEALED = {"secrets": {}, "unreadable": "Vault is sealed"}


def notify(folder: Path, answer: dict[str, Any] = FOUND, events: int = 1, *options: str, **given: Any) -> str:
    """Run the role for some events on two edge hosts, and a task after it; returns the output."""
    action = folder / "action"
    action.mkdir()
    (action / "environment_secrets.py").write_text(
        SECRETS.replace("FOLDER", str(folder)).replace("ANSWER", repr(answer))
    )
    connection = folder / "connection"
    connection.mkdir()
    (connection / "dead.py").write_text(DEAD)
    plays.configure(folder, library=plays.ROOT / "library", action_plugins=action, connection_plugins=connection)
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "environment_name": "staging",
        "environment_domain": "staging.test",
        "environment_run": {"id": "run-1"},
        "environment_ca_file": "/nothing/ca.crt",
        "environment_prober": "ops1",
        "slot_bundles": {"green": {"release": "1.1"}},
        "mail_address": "127.0.0.1",
        "mail_sandbox_smtp_port": 1,
        "secrets_url": "https://127.0.0.1:1",
        "secrets_auth": {"auth_method": "token"},
        "notify_wanted": SHARED["notify_wanted"],
        **given,
    }
    dead = {"ansible_connection": "dead"}
    groups = {"edge": {"hosts": {"edge1": None, "edge2": None}}, "ops": {"hosts": {"ops1": None, "ops2": dead}}}
    plays.write_hosts(folder, groups, variables)
    event = {"event": "start", "slot": "green", "weight": 5, "text": "green gets 5 % of public traffic."}
    include = {"name": "Notify", "ansible.builtin.include_role": {"name": "notify"}, "vars": {"notify_event": event}}
    after = {"name": "Go on", "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}}
    play = {"hosts": "edge", "gather_facts": False, "any_errors_fatal": True, "tasks": [*[include] * events, after]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = plays.run(folder, *options)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "edge1 goes on" in output
    assert "edge2 goes on" in output
    assert SECRET not in output
    return " ".join(output.split())


def test_an_event_is_sent_once_to_both(tmp_path: Path, webhook: Site) -> None:
    with mail_server() as (port, got):
        output = notify(
            tmp_path, notify_webhook_url=f"{webhook.url}/hook", notify_mail_to=["a@example.org"], notify_mail_port=port
        )
    (asked,) = webhook.asked
    body = json.loads(asked.body)
    assert body.pop("time")
    assert body == {
        "environment": "staging",
        "event": "start",
        "release": "1.1",
        "run": "run-1",
        "slot": "green",
        "text": "green gets 5 % of public traffic.",
        "weight": 5,
    }
    assert [mail["Subject"] for mail in got] == ["[staging] start: green gets 5 % of public traffic."]
    assert "Not notified" not in output
    assert not (tmp_path / "vault").exists()


def test_a_secret_part_of_the_address_comes_from_vault(tmp_path: Path, webhook: Site) -> None:
    notify(tmp_path, FOUND, 2, "-v", notify_webhook_url=f"{webhook.url}/hooks/$secret")
    assert [asked.path for asked in webhook.asked] == [f"/hooks/{SECRET}"] * 2
    assert (tmp_path / "vault").read_text() == "['environment/value/webhook']\n", "read once in a run"


def test_without_its_secret_the_webhook_is_not_called(tmp_path: Path, webhook: Site) -> None:
    output = notify(tmp_path, SEALED, notify_webhook_url=f"{webhook.url}/hooks/$secret")
    assert "Not notified of 'start': Vault is sealed" in output
    assert webhook.asked == []


def test_what_fails_is_reported_and_stops_nothing(tmp_path: Path, webhook: Site) -> None:
    output = notify(
        tmp_path,
        notify_webhook_url=f"{webhook.url}/gone",
        notify_mail_to=["a@example.org"],
        environment_prober="ops2",
    )
    assert "Not notified of 'start': the webhook responded with status 404; " in output
    assert "no route to host" in output


def test_by_default_nobody_is_notified(tmp_path: Path) -> None:
    assert "Not notified" not in notify(tmp_path)


def test_checking_notifies_nobody(tmp_path: Path, webhook: Site) -> None:
    notify(tmp_path, FOUND, 1, "--check", notify_webhook_url=webhook.url)
    assert webhook.asked == []
