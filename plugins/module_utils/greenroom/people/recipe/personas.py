# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Personas: synthetic users with a name and a purpose. All other users have numbers."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ...common.names import suggestion

STATES = ("active", "inactive")
GENDERS = ("", "female", "male")
NEEDS = ("feature", "release")

# With at most 24 characters, the local part fits in the 64 that email allows. A leading digit would be a number.
_NAME = re.compile(r"(?!.*--)[a-z]([a-z0-9-]{0,22}[a-z0-9])?\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_RELEASE = re.compile(r"(>=|<=|==|!=|>|<)\s*([0-9]+(\.[0-9]+)*)\Z")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


class UsersError(ValueError):
    """Synthetic users can't be generated as requested; the message is one line that says why."""


def is_persona_name(name: object) -> bool:
    """Return whether this is a valid persona name."""
    return _NAME.match(str(name)) is not None


@dataclass(frozen=True)
class Persona:
    """One named synthetic user.

    If `verified` is None, the set's share decides. `first` and `last` replace the generated name, `gender` is `female`
    or `male`, by default what the first name says. `traits` override the set's traits. The default `locale` is the
    first of the set. `needs` limits the persona to environments where it has a purpose: {feature: x},
    {release: ">=1.1"} or both.

    `totp` and `recovery_codes` are its second factors. `providers` are the sign-in providers that it is linked to, as
    names or as {name: subject}; an empty subject is its address. `schema_id` replaces the set's. `organization` is the
    UUID of an organization.
    """

    name: str
    state: str = "active"
    verified: bool | None = None
    password: bool = True
    first: str = ""
    last: str = ""
    gender: str = ""
    locale: str = ""
    traits: Mapping[str, Any] = field(default_factory=dict)
    metadata_public: Mapping[str, Any] = field(default_factory=dict)
    metadata_admin: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    totp: bool = False
    recovery_codes: bool = False
    providers: Mapping[str, str] | Sequence[str] = ()
    schema_id: str = ""
    organization: str = ""

    def __post_init__(self) -> None:
        """Reject values that can't be an address, or that Kratos would reject."""
        if not is_persona_name(self.name):
            raise UsersError(
                f"'{self.name}' can't be a persona's name: "
                "use up to 24 lowercase letters, digits and single dashes, and start with a letter"
            )
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, _KINDS[each.name]):
                raise UsersError(f"persona {self.name}: {each.name} can't be {value!r}")
        if self.state not in STATES:
            raise UsersError(f"persona {self.name}: state must be one of {', '.join(STATES)}, not '{self.state}'")
        if self.gender not in GENDERS:
            raise UsersError(f"persona {self.name}: gender must be female or male, not '{self.gender}'")
        for need, value in self.needs.items():
            if need not in NEEDS:
                raise UsersError(f"persona {self.name}: '{need}' can't be needed{suggestion(need, NEEDS)}")
            if not isinstance(value, str) or (need == "release" and not _RELEASE.match(value)):
                raise UsersError(f"persona {self.name}: '{value}' is not a {need}; write a release as '>=1.1'")
        if self.state == "inactive" and self.factors:
            raise UsersError(f"persona {self.name}: an inactive user can't set up {' and '.join(self.factors)}")
        if self.organization and not _UUID.match(self.organization):
            raise UsersError(f"persona {self.name}: organization must be a UUID, not '{self.organization}'")
        for provider, subject in self.links("").items():
            if not isinstance(provider, str) or not isinstance(subject, str):
                raise UsersError(f"persona {self.name}: providers can't be {self.providers!r}")

    @property
    def factors(self) -> tuple[str, ...]:
        """The second factors that the persona has, as Kratos names them."""
        return tuple(kind for kind, wanted in (("totp", self.totp), ("lookup_secret", self.recovery_codes)) if wanted)

    @property
    def has_credentials(self) -> bool:
        """Whether the persona has more than a password."""
        return bool(self.factors or self.providers or self.organization)

    def links(self, address: str) -> dict[str, str]:
        """Return {provider: subject} of the persona's accounts at sign-in providers; `address` is its own."""
        if isinstance(self.providers, Mapping):
            return {provider: subject or address for provider, subject in self.providers.items()}
        return dict.fromkeys(self.providers, address)

    def wanted(self, release: str, features: Collection[str]) -> bool:
        """Return whether `release` and `features` meet the persona's `needs`. Raises UsersError."""
        if self.needs.get("feature", "") not in ("", *features):
            return False
        condition = _RELEASE.match(self.needs.get("release", ""))
        return condition is None or _COMPARE[condition[1]](_version(self.name, release), _version("", condition[2]))


_KINDS: dict[str, Any] = {
    **dict.fromkeys(("name", "state", "first", "last", "gender", "locale", "schema_id", "organization"), str),
    **dict.fromkeys(("traits", "metadata_public", "metadata_admin", "needs"), Mapping),
    "verified": (bool, type(None)),
    **dict.fromkeys(("password", "totp", "recovery_codes"), bool),
    "providers": (Mapping, list, tuple),
}


def _version(name: str, text: str) -> tuple[int, ...]:
    """Convert 1.10.0 to (1, 10): trailing zeros don't count."""
    try:
        parts = [int(part) for part in text.split(".")]
    except ValueError:
        raise UsersError(f"persona {name} needs a release number, and '{text}' is not one") from None
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


_LONG_FIRST = "Maximiliane-Konstantine Friederike-Wilhelmine Theodora Alexandrina Philippa-Leopoldine " * 2
_LONG_LAST = "Wolfeschlegelsteinhausenbergerdorff-Oberhuber von und zu Hohenfels-Langenscheidt " * 2

DEFAULT_PERSONAS: dict[str, Persona] = {
    persona.name: persona
    for persona in (
        Persona("admin", verified=True, metadata_public={"roles": ["admin"]}),
        Persona("unverified", verified=False),
        Persona("inactive", state="inactive", verified=True),
        Persona("recovery-only", verified=True, password=False),
        Persona("two-factor", verified=True, totp=True, recovery_codes=True),
        Persona("long-name", verified=True, first=_LONG_FIRST.strip(), last=_LONG_LAST.strip(), gender="female"),
        Persona("one-letter", verified=True, first="I", last="O", gender="male"),
        Persona("right-to-left", verified=True, first="عبد الرحمن", last="الخوارزمي", gender="male"),
        Persona("emoji", verified=True, first="Zoë 👩🏽\u200d🚀", last="Sunny ☀️", gender="female"),
    )
}
"""Personas that playbooks can use by name. First and last names are cut to the length that the schema allows."""


def personas_of(values: Iterable[Any]) -> tuple[Persona, ...]:
    """Return the personas that a playbook lists, as names of default ones or mappings of a persona's fields.

    A mapping starts from the default persona in `like`, or the one with its `name`. Raises UsersError.
    """
    found: dict[str, Persona] = {}
    for value in values:
        persona = _persona(value)
        if persona.name in found:
            raise UsersError(f"persona {persona.name}: listed twice")
        found[persona.name] = persona
    return tuple(found.values())


def _persona(value: Any) -> Persona:
    if isinstance(value, str):
        if value not in DEFAULT_PERSONAS:
            raise UsersError(f"unknown persona '{value}'{suggestion(value, DEFAULT_PERSONAS)}")
        return DEFAULT_PERSONAS[value]
    if not isinstance(value, Mapping) or "name" not in value:
        raise UsersError(f"a persona is a name or a mapping with a name, not {value!r}")
    given = {str(key): each for key, each in value.items() if each is not None}
    name, like = given["name"], given.pop("like", None)
    if like is not None and like not in DEFAULT_PERSONAS:
        raise UsersError(f"persona {name}: like: unknown persona '{like}'{suggestion(str(like), DEFAULT_PERSONAS)}")
    for key in given.keys() - _KINDS:
        raise UsersError(f"persona {name}: unknown key '{key}'{suggestion(key, _KINDS)}")
    start = DEFAULT_PERSONAS.get(like or str(name))
    return replace(start, **given) if start else Persona(**given)


def personas_wanted(values: Iterable[Any], release: str, features: Collection[str] = ()) -> list[Any]:
    """Return the personas of a list whose `needs` are met by `release` and `features`. Raises UsersError."""
    listed = list(values)
    pairs = zip(listed, personas_of(listed), strict=True)
    return [value for value, persona in pairs if persona.wanted(str(release), features)]
