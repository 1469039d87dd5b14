# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filters for synthetic users."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.greenroom.common import totp
from ansible.module_utils.greenroom.people import users


def person_address(key: int | str, user_set: str, seed: str | int, domain: str) -> str:
    """Return the address that identity_seed gives to the user with this number, or the persona with this name.

    Numbers start at 1. The persona need not be a default one.
    """
    try:
        if not users.is_key(key):
            raise users.UsersError(f"'{key}' is neither a user's number nor a persona's name")
        return str(users.Recipe(user_set, str(seed), 0, domain).address(key))
    except users.UsersError as error:
        raise AnsibleFilterError(str(error)) from error


def person_password(key: int | str, secret: str, user_set: str, seed: str | int) -> str:
    """Return the password of a user whose password is derived from the key `secret`, for tests that log in."""
    try:
        return str(users.person_password(secret, user_set, str(seed), key))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def totp_code(secret: str) -> str:
    """Return the current one-time code of a second factor. The secret is base32, or an otpauth:// URL."""
    try:
        return str(totp.code(secret))
    except ValueError as error:
        raise AnsibleFilterError("the secret of one-time codes is base32, or an otpauth:// URL") from error


def personas_wanted(values: Iterable[Any], release: str, features: Collection[str] = ()) -> list[Any]:
    """Return the personas of a list whose `needs` are met by `release` and `features`."""
    try:
        return list(users.personas_wanted(values, str(release), features))
    except users.UsersError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters `person_*`, `personas_wanted` and `totp_code`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names as templates use them."""
        return {
            "person_address": person_address,
            "person_password": person_password,
            "personas_wanted": personas_wanted,
            "totp_code": totp_code,
        }
