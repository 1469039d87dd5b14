# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Which secrets a rotation replaces, and by which step, so that neither slot loses a login or a key that it uses.

Three kinds of secrets are rotated in three ways:

- A login of a slot: only that of the idle slot is replaced. The run deploys and cuts over. The slot that was live keeps
  its login, so that a rollback works. The next rotation replaces that one.
- A ring: the first rotation appends a key, and cuts over to a slot that knows it. The second one moves it to the front,
  and cuts over to a slot that signs with it. The previous slot knows it already, so nobody is logged out by a rollback.
- Everything else is replaced at once, and reaches hosts and users with the same run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ...common.names import suggestion
from ..catalogue.service_secrets import LOGINS
from ..vault.passwords import generate, new_secret
from ..vault.secrets import CERTIFICATE

STAGED = "staged"
"""The key of a ring's content that says whether the appended key has reached the live slot."""
WRITTEN, KNOWN = "written", "known"
"""Its values: a run has appended the key; the live slot knows it."""

_FIXED = {
    "environment/value/backup-cipher": "the backups that exist are encrypted with it; see docs/backup.md",
    "environment/value/payment-webhook": (
        "the live slot would refuse the payment stub's webhooks until the cutover; write it into Vault, and run "
        "site.yml -e live_checks=report"
    ),
    "environment/value/signing": (
        "bundles of both slots are signed with it; write it into Vault, and run site.yml -e sign_bundles=true"
    ),
}


class RotationError(Exception):
    """Nothing is rotated; the text is one line that says what to do."""


@dataclass(frozen=True)
class Step:
    """What happens to the secret at `path`: `replace`, `issue` a certificate; a ring: `append`, `promote`, `wait`."""

    path: str
    action: str

    def line(self) -> str:
        """Return what the run says about it."""
        return f"{self.path}: {_LINES[self.action]}"


_LINES = {
    "replace": "a new value",
    "issue": "a new certificate",
    "append": "a new key at the end of the ring; rotate it once more to use it",
    "promote": "the newest key moves to the front, and is used from now on",
    "wait": "its new key has not reached the live slot yet; this run takes it there",
}


def plan(
    what: str,
    paths: Collection[str],
    foreign: Collection[str],
    live: str | None,
    rings: Mapping[str, Mapping[str, Any]],
) -> list[Step]:
    """Return the steps of a rotation, sorted by path. Raises RotationError.

    `what` is a path, a class (`login`, `ring`, `value`, `certificate` …), a service, or `<service>/<class>`. `paths`
    are all secrets of the environment, `foreign` those that others issue, and `rings` the contents of the rings.
    """
    own = sorted(path for path in paths if path not in foreign and path.count("/") == 2)
    found = [path for path in own if what in _names(path)]
    if not found:
        raise RotationError(_unknown(what, own, paths, foreign))
    if all(path in _FIXED for path in found):
        raise RotationError(f"{what} is not rotated here: {_FIXED[found[0]]}")
    usable = [path for path in found if path not in _FIXED and not _is_of(path, live)]
    if not usable:
        raise RotationError(
            f"{what} belongs to {live}, the live slot, which uses it; its turn comes when {live} is idle: rotate the "
            f"other slot's now, and this one after the next cutover"
        )
    return [Step(path, _action(path, rings.get(path, {}))) for path in usable]


def replaced(step: Step, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new content of a secret, from its present `content`. Not for certificates."""
    if step.action == "replace":
        made = new_secret(step.path)
        return {key: value for key, value in content.items() if key != "owner"} | made
    keys = str(content["values"]).split(",")
    if step.action == "append":
        return {**content, "values": ",".join([*keys, generate()]), STAGED: WRITTEN}
    if step.action == "promote":
        rest = {key: value for key, value in content.items() if key != STAGED}
        return {**rest, "values": ",".join([keys[-1], *keys[:-1]])}
    return dict(content)


def reached(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the content of a ring whose appended key the live slot knows now, or None if there is no such key."""
    return {**content, STAGED: KNOWN} if content.get(STAGED) == WRITTEN else None


def is_login(path: str) -> bool:
    """Whether a secret is a login that each slot has one of."""
    return path.split("/")[1] in LOGINS


def _names(path: str) -> set[str]:
    """Return what an operator may call a secret: its path, class, service, and both together."""
    owner, kind, name = path.split("/")
    if owner == "environment":
        return {path, name} if kind == "value" else {path, kind}
    return {path, kind, owner, f"{owner}/{kind}"}


def _is_of(path: str, slot: str | None) -> bool:
    return slot is not None and is_login(path) and path.split("/")[2].rpartition("_")[2] == slot


def _action(path: str, content: Mapping[str, Any]) -> str:
    if path.startswith(CERTIFICATE):
        return "issue"
    if path.split("/")[1] != "ring":
        return "replace"
    return {WRITTEN: "wait", KNOWN: "promote"}.get(str(content.get(STAGED)), "append")


def _unknown(what: str, own: Collection[str], paths: Collection[str], foreign: Collection[str]) -> str:
    if what in foreign:
        return f"{what} was issued elsewhere; have a new one issued, and put it: playbooks/secret.yml -e put={what}"
    if what in paths:
        return f"{what} is not rotated here; see docs/secrets.md#rotate"
    known = {name for path in own for name in _names(path)}
    return f'rotate: there is no secret "{what}"{suggestion(what, known)}'
