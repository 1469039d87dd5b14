# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""One-time codes."""

from __future__ import annotations

import base64

import pytest
from ansible.module_utils.greenroom.common import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(moment: int, code: str) -> None:
    assert totp.code(SECRET, moment, 8) == code
    assert totp.code(SECRET, moment) == code[2:]


def test_a_secret_may_be_written_as_people_and_programs_do() -> None:
    url = f"otpauth://totp/portal:me?algorithm=SHA1&digits=6&issuer=portal&period=30&secret={SECRET}"
    spaced = " ".join(SECRET[start : start + 4] for start in range(0, 32, 4)).lower()
    assert {totp.code(text, 59) for text in (SECRET, url, spaced)} == {"287082"}
    assert totp.code("GEZDGNBVGY3TQ", 59) == totp.code("GEZDGNBVGY3TQ===", 59)


@pytest.mark.parametrize("text", ["", "not base32!", "otpauth://totp/portal:me?issuer=portal"])
def test_other_texts_are_no_secrets(text: str) -> None:
    with pytest.raises(ValueError, match=r"secret is empty|Non-base32|padding"):
        totp.code(text)
