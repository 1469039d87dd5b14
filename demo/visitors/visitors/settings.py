"""The visitors' settings: one JSON file, and secrets from environment variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .journeys import JOURNEYS
from .schedule import Habits
from .site import Site

KEYS = {"url", "ca_file", "mail_url", "visitor", "people", "seed", "logins", "journeys", "interval", "load"}


class SettingsError(Exception):
    """A setting is missing or invalid; the message names it and never shows a value that may be secret."""


@dataclass(frozen=True)
class Load:
    """Parameters and thresholds of the load test."""

    users: int = 10
    ramp: int = 10
    """Seconds until all users have started."""
    duration: int = 60
    """Seconds from the start of the first user."""
    p95_ms: float = 2000.0
    error_percent: float = 1.0


@dataclass(frozen=True)
class Settings:
    """All settings."""

    site: Site
    habits: Habits
    interval: int
    """Minutes between two starts of the simulation; an hour is a multiple of it."""
    load: Load

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str]) -> Settings:
        """Read the file and the secrets. Raises SettingsError."""
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path}: {error}") from None
        if not isinstance(given, dict):
            raise SettingsError(f"{path}: expected an object")
        for key in given.keys() - KEYS:
            raise SettingsError(f"{path}: {key}: unknown; known are {', '.join(sorted(KEYS))}")
        try:
            return cls._of(given, environment)
        except KeyError as error:
            raise SettingsError(f"{path}: {error.args[0]}: missing") from None
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{path}: {error}") from None

    @classmethod
    def _of(cls, given: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
        users = tuple(given["people"])
        mail_url = str(given.get("mail_url", "")).rstrip("/")
        journeys = {name: int(weight) for name, weight in given["journeys"].items() if weight}
        for name in journeys.keys() - JOURNEYS.keys():
            raise SettingsError(f"journeys: {name}: unknown journey; known are {', '.join(JOURNEYS)}")
        if not mail_url:
            journeys.pop("recover", None)
        if not users or not journeys:
            raise SettingsError("people and journeys: each needs at least one entry")
        interval = int(given.get("interval", 10))
        if interval < 1 or 60 % interval:
            raise SettingsError(f"interval: an hour isn't a multiple of {interval} minutes")
        site = Site(
            url=given["url"].rstrip("/"),
            ca_file=given["ca_file"],
            mail_url=mail_url,
            users=users,
            visitor=given.get("visitor", ""),
            password=environment.get("VISITORS_PASSWORD", ""),
            edge_password=environment.get("VISITORS_EDGE_PASSWORD", ""),
            passwords=json.loads(environment.get("VISITORS_PASSWORDS", "{}")),
        )
        if not site.password and not site.passwords:
            raise SettingsError("environment variable VISITORS_PASSWORD is missing")
        habits = Habits(str(given["seed"]), len(users), journeys, **given.get("logins", {}))
        if not 0 <= habits.quietest <= habits.busiest:
            raise SettingsError("logins: quietest must be 0 or more, and busiest at least quietest")
        load = Load(**given.get("load", {}))
        if "load" in given and load.users > len(users):
            raise SettingsError(
                f"load.users: {load.users}, but people has only {len(users)}; each needs one of its own"
            )
        return cls(site, habits, interval, load)
