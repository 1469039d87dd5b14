"""Secrets that others issue: never generated, put into Vault from where no shell history has them, and listed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.module_utils.greenroom.controller.bundle import given_secrets as given
from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import given_paths, secret_paths, settable
from ansible.module_utils.greenroom.controller.vault import refusals

SECRETS = {
    "API_KEY": {"given": "third-party/key"},
    "TLS_KEY_FILE": {"given": "third-party/tls", "file": "/run/secrets/key.pem"},
    "OWN": {"value": "own"},
    "RING": {"ring": "csrf"},
}
SHOP = normalise("shop", {"secrets": SECRETS}, "/s")
CATALOGUE = {"shop": SHOP}


def test_a_given_secret_has_the_path_that_the_service_names() -> None:
    assert given_paths(CATALOGUE) == ["third-party/key", "third-party/tls"]
    assert "third-party/key" in secret_paths(CATALOGUE)
    assert settable(CATALOGUE) == {"third-party/key": False, "third-party/tls": True, "shop/value/own": False}
    # A service that wants the same secret as a variable limits it to one line.
    other = normalise("other", {"secrets": {"KEY": {"given": "third-party/tls"}}}, "/o")
    assert settable(CATALOGUE | {"other": other})["third-party/tls"] is False


def test_a_missing_given_secret_comes_with_the_playbook_that_puts_it() -> None:
    line = refusals.missing_line("staging", ["a/value/x", "third-party/key"], (), ["third-party/key"])
    assert line == (
        "secrets of staging are missing: a/value/x, third-party/key; "
        "run: ansible-playbook -i inventories/staging playbooks/secrets.yml -e create=missing; "
        "run: ansible-playbook -i inventories/staging playbooks/secret.yml -e put=third-party/key"
    )
    assert "create=missing" not in refusals.missing_line("staging", ["third-party/key"], (), ["third-party/key"])


def test_only_what_services_want_can_be_put() -> None:
    assert given.path_problem("third-party/key", settable(CATALOGUE)) == ""
    problem = given.path_problem("third-party/kye", settable(CATALOGUE))
    assert problem.endswith('did you mean "third-party/key"?')
    assert "known: shop/value/own, third-party/key" in given.path_problem(
        "environment/value/signing", settable(CATALOGUE)
    )


@pytest.mark.parametrize(
    ("content", "several", "text"),
    [
        (b"key\n", False, "key"),
        (b"key\r\n", False, "key"),
        (b" key ", False, " key "),
        (b"-----BEGIN\nx\n", True, "-----BEGIN\nx\n"),
    ],
)
def test_a_value_is_taken_as_it_is_without_the_end_of_its_line(content: bytes, several: bool, text: str) -> None:
    assert given.text_of(content, several) == text


@pytest.mark.parametrize(
    ("content", "several", "reason"),
    [
        (b"", False, "is empty"),
        (b"\n", True, "is empty"),
        (b"a\nb", False, "has more than one line"),
        (b"\xff\xfe", True, "is not text; encode it"),
        (b"a\0b", True, "has a zero byte"),
        (b"x" * 70000, True, "has 70000 bytes; the most is 65535"),
    ],
)
def test_a_value_that_no_container_would_get_is_refused(content: bytes, several: bool, reason: str) -> None:
    with pytest.raises(given.ValueRefusedError, match=reason):
        given.text_of(content, several)


def test_the_list_has_age_origin_and_owner_and_no_value() -> None:
    values = {
        "third-party/key": {"value": "s3cret", "owner": "ada"},
        "third-party/tls": {"value": "s3cret"},
        "shop/value/own": {"value": "s3cret"},
        "environment/certificate/edge": {"private_key": "s3cret"},
        "environment/registry": {"password": "s3cret"},
    }
    written = dict.fromkeys(values, "2026-01-01T10:00:00.123456789Z") | {"environment/registry": ""}
    written["shop/value/own"] = "2026-01-09T12:00:00Z"
    lines = given.listed(values, written, given_paths(CATALOGUE), datetime(2026, 1, 11, tzinfo=UTC))
    assert [" ".join(line.split()) for line in lines] == [
        "environment/certificate/edge 9 days issued by the PKI",
        "environment/registry age not known written elsewhere",
        "shop/value/own 1 day generated",
        "third-party/key 9 days given owner ada",
        "third-party/tls 9 days given owner not known",
    ]
    assert "s3cret" not in "".join(lines)
