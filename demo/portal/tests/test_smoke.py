"""The services' own smoke checks pass against the real things, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jinja2
import pytest
import yaml
from ansible.module_utils.greenroom import smoke
from ansible.module_utils.greenroom.smoke_attempt import Settings

from .real import (
    DOMAIN,
    EDGE_PORT,
    PUBLIC_NAME,
    PUBLIC_URL,
    SERVICES,
    KratosServer,
    Mailbox,
    ServeEdge,
    Slot,
    StartPortal,
)

PASSWORD = "a pass phrase of personas"


def render(value: Any, variables: dict[str, Any]) -> Any:
    """Render all strings within a value, as Ansible does."""
    if isinstance(value, str):
        return jinja2.Template(value, undefined=jinja2.StrictUndefined).render(variables)
    if isinstance(value, dict):
        return {render(key, variables): render(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, variables) for item in value]
    return value


@pytest.fixture(scope="module")
def green(start_portal: StartPortal) -> Slot:
    """Return a portal with its newest schema."""
    return start_portal("green", "1.1.0")


@pytest.fixture
def persona(kratos: KratosServer) -> str:
    """Create a person and return the address."""
    email = "persona@people.staging.invalid"
    credentials = {"password": {"config": {"password": PASSWORD}}}
    person = {"schema_id": "default", "traits": {"email": email}, "credentials": credentials}
    assert httpx.post(f"{kratos.admin}/admin/identities", json=person).status_code in (201, 409)
    return email


def run(slot: Slot, kratos: KratosServer, mailbox: Mailbox, persona: str, certificate: Path) -> list[smoke.Verdict]:
    """Run the checks of both services."""
    variables = {
        "catalogue": {"kratos": {"ports": {"admin": {"host": {"green": int(kratos.admin.rsplit(":")[-1])}}}}},
        "environment_domain": DOMAIN,
        "environment_name": "staging",
        "environment_public_name": PUBLIC_NAME,
        "environment_public_url": PUBLIC_URL,
        "mail_sandbox_web_port": mailbox.web,
        "release": {"name": slot.environment["GREENROOM_RELEASE"]},
        "smoke_slot": "green",
    }
    checks = []
    for service in ("portal", "kratos"):
        text = (SERVICES / service / "checks.yml").read_text(encoding="utf-8")
        for check in yaml.safe_load(text):
            check.pop("on", None)
            if check.get("type") == "tls":
                check["port"] = EDGE_PORT
            checks.append(render(check, variables))
    assert smoke.validate(checks) == []
    settings = Settings(
        url=PUBLIC_URL,
        ca_file=str(certificate),
        resolve={PUBLIC_NAME: "127.0.0.1"},
        expect_slot="green",
        variables={"persona": persona},
        secret_variables={"persona_password": PASSWORD},
    )
    verdicts: list[smoke.Verdict] = smoke.run(checks, settings)
    return verdicts


def test_checks_pass_and_leave_nothing(
    green: Slot, kratos: KratosServer, mailbox: Mailbox, persona: str, serve_edge: ServeEdge
) -> None:
    """All pass; no mail, no account but the persona's, no order stays."""
    verdicts = run(green, kratos, mailbox, persona, serve_edge(green))
    assert [f"{verdict.name}: {verdict.got}" for verdict in verdicts if not verdict.ok] == []
    mail = httpx.get(f"http://127.0.0.1:{mailbox.web}/email").json()
    assert [message for message in mail if "smoke-" in message["headers"]["to"]] == []
    accounts = httpx.get(f"{kratos.admin}/admin/identities?preview_credentials_identifier_similar=smoke-").json()
    assert accounts == []


def test_a_broken_candidate_is_caught(
    start_portal: StartPortal, kratos: KratosServer, mailbox: Mailbox, persona: str, serve_edge: ServeEdge
) -> None:
    """A portal that is ready and gives errors fails its checks."""
    broken = start_portal("green", "1.1.0", "fault: error_rate")
    assert httpx.get(f"{broken.url}/readyz").status_code == 200
    verdicts = run(broken, kratos, mailbox, persona, serve_edge(broken))
    assert any(not verdict.ok for verdict in verdicts)
