"""Users log in through a sign-in provider, with this environment's client."""

from __future__ import annotations

from environment import Environment

PATH = "environment/oidc/company"


def comers(environment: Environment) -> list[str]:
    """The addresses of users that smoke checks have created."""
    addresses = [one["traits"]["email"] for one in environment.identities()]
    return sorted(address for address in addresses if address.startswith("smoke-"))


def test_a_new_user_signs_up_through_the_provider_and_is_removed(staging: Environment) -> None:
    # Interrupted smoke checks may have left users.
    before = comers(staging)
    run = staging.play("playbooks/smoke.yml", "-v", ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    assert run.code == 0, run.output
    for name in ("The login redirects to the provider company", "A new user signs up through the provider company"):
        assert name in run.output
    assert comers(staging) == before


def test_the_edge_allows_forms_to_redirect_to_the_provider(staging: Environment) -> None:
    config = staging.ask("edge1", "cat /etc/haproxy/haproxy.cfg").stdout
    assert "form-action 'self' https://198.18.30.11:9443" in config


def test_only_kratos_has_the_client_secret(staging: Environment) -> None:
    folder = f"/etc/greenroom/slots/{staging.live()}/kratos"
    secret = staging.secret(PATH)["client_secret"]
    file = f"{folder}/config/providers.secret.yml"
    listing = staging.ask("app1", f"stat -c '%a %u' {file}; grep -rlF -e '{secret}' {folder}").stdout
    assert listing.splitlines() == ["400 1000", file]
