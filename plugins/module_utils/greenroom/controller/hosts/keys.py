# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""The SSH key files of the accounts on a host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Roles that may only forward the ports of admin pages.
FORWARDERS = ("viewer", "tester")


def key_files(accounts: Iterable[Mapping[str, Any]], has_pages: bool) -> list[dict[str, str]]:
    """Return one `template_tree` file for each account, with its SSH keys, at the path that sshd reads.

    Accounts that may only see admin pages get keys only on hosts with such pages (`has_pages`).
    """
    return [
        {
            "dest": f"/etc/ssh/authorized_keys.d/{account['name']}",
            "content": "".join(f"{key}\n" for key in account["ssh_keys"]),
        }
        for account in accounts
        if has_pages or account["role"] not in FORWARDERS
    ]
