# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Two providers, and a service that uses them, for tests."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.greenroom.controller.catalogue.catalogue import normalise

CATALOG: dict[str, Any] = {
    "payment": {
        "kind": "payment",
        "modes": {
            "sandbox": {
                "url": "https://api.pay.test",
                "hosts": ["files.pay.test"],
                "secrets": {"key": {"given": "pay/sandbox"}},
            },
            "stub": {"url": "http://stub.test:8420", "values": {"key": "sk_test_x"}},
        },
        "budget": {"minute": 60, "day": 1000},
    },
    "relay": {
        "kind": "mail",
        "modes": {
            "live": {
                "url": "smtps://mail.test",
                "secrets": {"user": {"given": "mail/user"}, "password": {"given": "mail/password"}},
                "values": {"from": "a@mail.test"},
            },
            "stub": {"url": "smtp://sandbox.test:1025", "tls": "none"},
        },
        "recipients": ["*@mail.test"],
    },
}
SHOP = normalise(
    "shop",
    {
        "image": "shop",
        "secrets": {
            "PAY_KEY": {"provider": "payment"},
            "MAIL_URL": {"provider": "mail", "field": "login_url", "optional": True},
            "OWN": {"given": "own/key"},
        },
        "environment": {
            "PAY_URL": {"provider": "payment"},
            "MAIL_FROM": {"provider": "mail", "field": "from", "default": "nobody@mail.test"},
            "PLAIN": 1,
        },
    },
    "/services/shop",
)
