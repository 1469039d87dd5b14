# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Credentials of personas besides passwords. The loopback tests set them up in a real Kratos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.people import users
from ansible.module_utils.greenroom.people.client import RefusedError
from ansible.module_utils.greenroom.people.credentials import Credentials, Difference
from ansible.module_utils.greenroom.people.kratos import Kratos
from ansible.module_utils.greenroom.people.ledger import Ledger
from ansible.module_utils.greenroom.people.settings_page import SettingsPage
from fake_kratos import error
from webserver import Asked, Reply, serve

DOMAIN = "people.staging.invalid"


def recipe(*personas: Any) -> users.Recipe:
    return users.Recipe.of({"set": "people", "seed": "1", "count": 0, "domain": DOMAIN, "personas": personas})


class Listing:
    """A Kratos that lists one identity, and a ledger that knows it."""

    def __init__(self, credentials: dict[str, Any]) -> None:
        self.credentials = credentials

    def by_id(self, ids: Sequence[str], kinds: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        yield [{"id": each, "credentials": self.credentials} for each in ids]

    def ids(self, keys: Sequence[str], statuses: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(keys, "1")


def differences(persona: Any, credentials: dict[str, Any], exact: bool = True) -> list[Difference]:
    server = Listing(credentials)
    state = "exact" if exact else "present"
    compared = Credentials(cast("Kratos", server), recipe(persona), cast("Ledger", server), state)
    found = list(compared._differences(compared._ids()))
    assert compared.planned(()) == len(found)
    return found


class Book:
    """A ledger that knows one persona with this status."""

    def __init__(self, status: str) -> None:
        self.status = status

    def ids(self, keys: Sequence[str], statuses: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(keys, "1") if self.status in statuses else {}


@pytest.mark.parametrize(
    ("status", "state", "renew", "planned"),
    [
        ("current", "exact", True, 0),
        ("outdated", "exact", False, 0),
        ("outdated", "exact", True, 1),
        # `present` creates nobody again.
        ("outdated", "present", True, 0),
    ],
)
def test_check_mode_tells_that_a_persona_that_is_created_again_gets_its_factors_again(
    status: str, state: str, renew: bool, planned: int
) -> None:
    server = cast("Kratos", Listing({"totp": {"config": {"totp_url": "otpauth:"}}}))
    persona = {"name": "it", "totp": True}
    credentials = Credentials(server, recipe(persona), cast("Ledger", Book(status)), state)
    assert credentials.planned((), renew) == planned


def codes(*used: str) -> dict[str, Any]:
    return {"config": {"recovery_codes": [{"code": "a", "used_at": each or None} for each in used]}}


def test_recovery_codes_are_made_anew_only_when_all_are_used_up() -> None:
    persona = {"name": "it", "recovery_codes": True}
    assert differences(persona, {"lookup_secret": codes("2026-01-01T00:00:00Z", "")}) == []
    (found,) = differences(persona, {"lookup_secret": codes("2026-01-01T00:00:00Z")})
    assert found.missing == ("lookup_secret",)


def test_only_exact_removes_what_somebody_added() -> None:
    credentials = {"totp": {"config": {"totp_url": "otpauth:"}}, "oidc": {"identifiers": ["other:me"]}}
    assert differences("admin", credentials, exact=False) == []
    (found,) = differences("admin", credentials)
    assert (found.unwanted, found.foreign, found.missing) == (("totp",), ("other:me",), ())


def test_accounts_at_providers_are_compared_by_provider_and_subject() -> None:
    persona = {"name": "it", "providers": {"company": "", "other": "1234"}}
    mine = f"company:people-it@{DOMAIN}"
    assert differences(persona, {"oidc": {"identifiers": [mine, "other:1234"]}}) == []
    (found,) = differences(persona, {"oidc": {"identifiers": ["other:1234", "other:5"]}})
    assert (found.unlinked, found.foreign) == ({"company": f"people-it@{DOMAIN}"}, ("other:5",))


@pytest.mark.parametrize(
    ("persona", "words"),
    [
        ({"name": "it", "totp": True, "state": "inactive"}, "an inactive user can't set up totp"),
        ({"name": "it", "organization": "acme"}, "organization must be a UUID, not 'acme'"),
        ({"name": "it", "totp": "yes"}, "totp can't be 'yes'"),
        ({"name": "it", "providers": [5]}, "providers can't be"),
        ({"name": "it", "recovery_code": True}, 'did you mean "recovery_codes"'),
    ],
)
def test_impossible_credentials_are_refused_before_anything_is_changed(persona: Any, words: str) -> None:
    with pytest.raises(users.UsersError, match=words):
        recipe(persona)


def test_a_kratos_without_second_factors_or_recovery_says_what_to_enable() -> None:
    pages = {"POST /admin/recovery/code": error(404, "Recovery is not allowed")}

    def respond(asked: Asked) -> Reply:
        return pages[f"{asked.method} {asked.path.partition('?')[0]}"]

    with serve(respond) as site:
        server = Kratos(site.url, 5, web.Deadline(20), site.url)
        with pytest.raises(RefusedError, match=r"second factors need account recovery .*selfservice\.flows\.recovery"):
            SettingsPage(server, "1")
        body = '{"recovery_code": "1", "recovery_link": "http://x.invalid/recovery?flow=f"}'
        pages["POST /admin/recovery/code"] = Reply(201, body)
        pages["POST /self-service/recovery"] = Reply(
            422, "{}", [("Set-Cookie", "ory_kratos_session=s; Path=/; Secure")]
        )
        pages["GET /self-service/settings/browser"] = Reply(200, '{"id": "f", "ui": {"nodes": []}}')
        with pytest.raises(RefusedError, match="no totp_secret_key; enable totp and lookup_secret in Kratos"):
            SettingsPage(server, "1").set_up_totp()
        assert site.asked[-1].headers["Cookie"] == "ory_kratos_session=s"
