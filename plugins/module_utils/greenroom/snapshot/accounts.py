# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Who may log in, with which keys and which rights, and how SSH answers."""

from __future__ import annotations

import glob
import grp
import os
import pwd
from collections import defaultdict

from .keys import fingerprint
from .reading import Items, Unread, UnreadError, has, is_root, needs_root, output, text

_SYSTEM = 1000
"""User IDs below it belong to programs; packages choose them, in the order of installation."""
_NO_SHELLS = ("nologin", "false", "sync", "")
# Their values are long lists that depend on the OpenSSH package, whose version is compared.
_SSH_LISTS = ("algorithms", "ciphers", "macs")


def accounts() -> Items:
    """Yield shell, home, groups and lock of each account that may log in, and who is in administrators' groups."""
    groups = defaultdict(list)
    for group in grp.getgrall():
        for member in group.gr_mem:
            groups[member].append(group.gr_name)
    passwords = _passwords()
    for user in pwd.getpwall():
        shell = os.path.basename(user.pw_shell)
        if shell in _NO_SHELLS or (user.pw_uid < _SYSTEM and user.pw_name not in groups and user.pw_uid):
            continue
        yield (
            user.pw_name,
            {
                "shell": user.pw_shell,
                "home": user.pw_dir,
                "groups": sorted({*groups[user.pw_name], group_name(user.pw_gid)}),
                "password": passwords.get(user.pw_name, "none") if passwords is not None else Unread("needs root"),
            },
        )
    for group in grp.getgrall():
        if group.gr_name in ("sudo", "wheel", "adm", "docker", "root") and group.gr_mem:
            yield f"group {group.gr_name}", sorted(group.gr_mem)


def user_name(number: int) -> str:
    """Return the account with a user ID, the ID itself if there is none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return the group with a group ID, the ID itself if there is none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _passwords() -> dict[str, str] | None:
    if not is_root():
        return None
    kinds = {}
    for line in text("/etc/shadow").splitlines():
        name, hashed = line.split(":")[:2]
        kinds[name] = "locked" if hashed[:1] in ("!", "*") else "set" if hashed else "empty"
    return kinds


def rights() -> Items:
    """Yield what sudo allows to whom, by file."""
    needs_root()
    for path in ["/etc/sudoers", *sorted(glob.glob("/etc/sudoers.d/*"))]:
        # sudo itself ignores such names.
        if path.endswith("~") or "." in os.path.basename(path):
            continue
        lines = [" ".join(line.split()) for line in text(path).splitlines()]
        yield path, [line for line in lines if line and not line.startswith("#")]


def ssh() -> Items:
    """Yield sshd's settings in effect, defaults included."""
    if not has("sshd"):
        return
    needs_root()
    found = defaultdict(list)
    for line in output("sshd", "-T").splitlines():
        name, _space, value = line.partition(" ")
        if not any(word in name for word in _SSH_LISTS):
            found[name].append(value)
    for name, values in sorted(found.items()):
        yield name, sorted(values)


def authorized_keys() -> Items:
    """Yield fingerprints of the keys that open an account: `<user>: <comment or number>`."""
    for user in pwd.getpwall():
        for name in ("authorized_keys", "authorized_keys2"):
            path = os.path.join(user.pw_dir, ".ssh", name)
            try:
                content = text(path)
            except UnreadError as error:
                yield f"login of {user.pw_name}", Unread(str(error))
                continue
            for number, line in enumerate(line for line in content.splitlines() if line and line[0] != "#"):
                yield f"login of {user.pw_name} ({number + 1})", fingerprint(line)
