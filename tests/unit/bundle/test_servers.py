# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Servers of the data host that run for the slots, although the catalog has done without them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle.servers import slots_use


def bundle(*kinds: str) -> dict[str, Any]:
    secrets = {f"S{number}": {"kind": kind, "name": "x", "owner": "x"} for number, kind in enumerate(kinds)}
    return {"services": {"shop": {"secrets": secrets}, "web": {"secrets": {}}}}


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_a_server_is_needed_as_long_as_a_slot_uses_it(slot: str) -> None:
    bundles = {"blue": bundle(), "green": bundle("login"), slot: bundle("login", "cache")}
    assert slots_use(bundles, "cache")
    assert not slots_use(bundles, "broker")
    assert not slots_use({}, "cache")
