"""The services' own smoke checks pass with the real programs, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import jinja2
import pytest
import yaml
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.controller.bundle import checks as bundle_checks
from ansible.module_utils.greenroom.controller.catalogue import smoke_checks
from ansible.module_utils.greenroom.people.kratos import Kratos
from ansible.module_utils.greenroom.people.settings_page import SettingsPage
from ansible.module_utils.greenroom.smoke import checks as smoke
from ansible.module_utils.greenroom.smoke.attempt import Settings
from jinja2.nativetypes import NativeEnvironment

from .real import (
    DOMAIN,
    EDGE_PORT,
    PUBLIC_NAME,
    PUBLIC_URL,
    SERVICES,
    KratosServer,
    Mailbox,
    Provider,
    ServeEdge,
    Slot,
    StartPortal,
)

PASSWORD = "a pass phrase of personas"
Run = Callable[[Slot], list[smoke.Verdict]]


def render(value: Any, variables: dict[str, Any]) -> Any:
    """Render all strings in a value, as Ansible does."""
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
    """Create a user and return the address."""
    email = "persona@people.staging.invalid"
    credentials = {"password": {"config": {"password": PASSWORD}}}
    person = {"schema_id": "default", "traits": {"email": email}, "credentials": credentials}
    assert httpx.post(f"{kratos.admin}/admin/identities", json=person).status_code in (201, 409)
    return email


@pytest.fixture
def personas(kratos: KratosServer) -> None:
    """Create the personas that checks log in as, as seeding does."""
    for name in ("two-factor", "linked"):
        address = f"people-{name}@people.staging.invalid"
        credentials: dict[str, Any] = {"password": {"config": {"password": PASSWORD}}}
        if name == "linked":
            credentials["oidc"] = {"config": {"providers": [{"provider": "company", "subject": address}]}}
        person = {"schema_id": "default", "traits": {"email": address}, "credentials": credentials}
        created = httpx.post(f"{kratos.admin}/admin/identities", json=person)
        assert created.status_code in (201, 409)
        if created.status_code == 201 and name == "two-factor":
            page = SettingsPage(Kratos(kratos.admin, 30, web.Deadline(60), kratos.public), created.json()["id"])
            page.set_up_totp()
            page.log_out()


@pytest.fixture
def checks(kratos: KratosServer, mailbox: Mailbox, provider: Provider) -> list[dict[str, Any]]:
    """Return the checks of both services for an environment with this provider."""
    company = {
        "name": "company",
        "label": "the company account",
        "client_id": provider.client["client_id"],
        "smoke_login": True,
    }
    variables = {
        "catalogue": {
            "kratos": {
                "ports": {
                    "admin": {"host": {"green": int(kratos.admin.rsplit(":")[-1])}},
                    "public": {"host": {"green": int(kratos.public.rsplit(":")[-1])}},
                }
            }
        },
        "environment_domain": DOMAIN,
        "environment_name": "staging",
        "environment_public_name": PUBLIC_NAME,
        "environment_public_url": PUBLIC_URL,
        "identity_providers": [company],
        "mail_sandbox_web_port": mailbox.web,
        "providers": {},
        "seed_domain": provider.client["domain"],
        "seed_personas": ["two-factor", {"name": "linked"}],
        "seed_set": "people",
        "smoke_slot": "green",
    }
    catalogue: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for service in ("portal", "kratos"):
        found = yaml.safe_load((SERVICES / service / "checks.yml").read_text(encoding="utf-8"))
        for check in found:
            if check.get("type") == "tls":
                check["port"] = EDGE_PORT
            if "each" in check:
                check["each"] = NativeEnvironment().from_string(check["each"]).render(variables)
        catalogue[service] = {"checks": [render(check, variables) for check in found]}
    wanted: list[dict[str, Any]] = bundle_checks.smoke_checks(
        smoke_checks.checks(catalogue), "here", {"app": ["here"], "ops": ["here"]}
    )
    assert smoke.validate(wanted) == []
    return wanted


@pytest.fixture
def run(checks: list[dict[str, Any]], provider: Provider, persona: str, personas: None, serve_edge: ServeEdge) -> Run:
    """Return a function that runs the checks against a slot."""

    def run_checks(slot: Slot) -> list[smoke.Verdict]:
        settings = Settings(
            url=PUBLIC_URL,
            ca_file=str(serve_edge(slot)),
            resolve={PUBLIC_NAME: "127.0.0.1"},
            expect_slot="green",
            variables={"persona": persona, "release": slot.environment["GREENROOM_RELEASE"]},
            secret_variables={"persona_password": PASSWORD, "provider_company_password": provider.client["password"]},
        )
        verdicts: list[smoke.Verdict] = smoke.run(checks, settings)
        return verdicts

    return run_checks


def test_checks_pass_and_leave_nothing(green: Slot, kratos: KratosServer, mailbox: Mailbox, run: Run) -> None:
    """All pass and leave no mail, no order, and no account except the persona's."""
    verdicts = run(green)
    assert len([verdict for verdict in verdicts if "company" in verdict.name]) == 3
    assert [f"{verdict.name}: {verdict.got}" for verdict in verdicts if not verdict.ok] == []
    mail = httpx.get(f"http://127.0.0.1:{mailbox.web}/email").json()
    assert [message for message in mail if "smoke-" in message["headers"]["to"]] == []
    accounts = httpx.get(f"{kratos.admin}/admin/identities?page_size=500").json()
    assert [account for account in accounts if account["traits"]["email"].startswith("smoke-")] == []


def test_checks_detect_a_broken_candidate(start_portal: StartPortal, run: Run) -> None:
    """A portal that is ready but responds with errors fails its checks."""
    broken = start_portal("green", "1.1.0", "fault: error_rate")
    assert httpx.get(f"{broken.url}/readyz").status_code == 200
    verdicts = run(broken)
    assert any(not verdict.ok for verdict in verdicts)
