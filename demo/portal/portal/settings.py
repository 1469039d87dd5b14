"""The portal's settings: environment variables and one YAML file of options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


class SettingsError(Exception):
    """A setting is missing or invalid; the message names it and never shows a value that may be secret."""


class Features(BaseModel):
    """Feature toggles. The variable PORTAL_<NAME> (true or false) of the environment replaces a value."""

    model_config = ConfigDict(extra="forbid")

    new_checkout: bool = Field(default=False, description="orders have a quantity")
    receipts: bool = Field(default=False, description="a worker sends a receipt by mail for each order")
    test_endpoints: bool = Field(default=False, description="/slow and /ping for load tests")


class Synthetic(BaseModel):
    """Synthetic users, who place orders all day long."""

    model_config = ConfigDict(extra="forbid")

    domain: str = Field(default="", description="the domain of their addresses; empty: there are none")
    order_days: int = Field(default=30, ge=1, description="days after which their orders are removed")


class Options(BaseModel):
    """The file of options."""

    model_config = ConfigDict(extra="forbid")

    features: Features = Features()
    synthetic: Synthetic = Synthetic()
    fault: Literal["none", "never_ready", "crash", "hang", "error_rate"] = Field(
        default="none", description="for drills: the fault of this release"
    )
    error_percent: int = Field(default=50, ge=1, le=100, description="percentage of pages that fail with error_rate")
    strict_schema: bool = Field(default=False, description="don't start on a schema that is newer than this version's")

    @classmethod
    def read(cls, path: Path) -> Options:
        """Read the file; a missing one means all defaults."""
        if not path.exists():
            return cls()
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (OSError, yaml.YAMLError) as error:
            raise SettingsError(f"{path}: {error}") from None
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"{path}: {problems}") from None


TEST_KEY = "sk_test_"
SMTP_SCHEMES = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class Settings:
    """The settings of one portal process."""

    database_url: URL = field(repr=False)
    csrf_keys: tuple[str, ...] = field(repr=False, default=())
    """Newest first: the first one signs, all are accepted. The worker has no forms and needs none."""
    broker_url: str = field(repr=False, default="")
    """For the worker: the broker (`amqps://…?cafile=…`), and the mail server below."""
    smtp_host: str = ""
    smtp_port: int = 25
    smtp_url: str = field(repr=False, default="")
    """Replaces both where the mail server needs TLS or a login."""
    mail_from: str = "orders@portal.invalid"
    payment_key: str = field(repr=False, default="")
    """The secret key at the payment provider, a test key; without it, orders can't be paid. Then its address, and the
    secret with which it signs webhooks."""
    payment_url: str = "https://api.stripe.com"
    payment_webhook: str = field(repr=False, default="")
    kratos_url: str = "http://kratos:4433"
    kratos_admin_url: str = "http://kratos:4434"
    environment: str = "development"
    slot: str = "none"
    release: str = "unknown"
    release_id: str = "unknown"
    """Tells releases of the same name apart."""
    version: str = "1.1.0"
    host: str = "0.0.0.0"
    port: int = 8080
    metrics_port: int = 8081
    grace_seconds: int = 12
    """Seconds that a stop waits for open requests."""
    options: Options = field(default_factory=Options)

    @property
    def order_notes(self) -> bool:
        """Whether orders have notes: since 1.1."""
        return tuple(int(part) for part in self.version.split(".")[:2]) >= (1, 1)

    @property
    def schema_head(self) -> str:
        """Newest migration that this version needs. A database with it, or with a higher one, is new enough."""
        return "0006" if self.order_notes else "0005"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, worker: bool = False) -> Settings:
        """Read the environment (or a mapping) of a portal or worker; raise SettingsError with the variable's name."""
        env = os.environ if environment is None else environment

        def required(name: str) -> str:
            if not env.get(name):
                raise SettingsError(f"environment variable {name} is missing")
            return env[name]

        def port(name: str, default: int) -> int:
            try:
                return int(env.get(name, default))
            except ValueError:
                raise SettingsError(f"environment variable {name} is not a port") from None

        def mail_url(name: str) -> str:
            url = env.get(name, "")
            try:
                parts = urlsplit(url)
                fits = parts.scheme in SMTP_SCHEMES and bool(parts.hostname) and parts.port != 0
            except ValueError:
                fits = False
            if url and not fits:
                raise SettingsError(f"environment variable {name} is not a URL such as smtp://user:password@host:587/")
            return url

        def toggled(features: Features) -> Features:
            changes = {}
            for name in Features.model_fields:
                variable = f"PORTAL_{name.upper()}"
                if env.get(variable, "false") not in ("true", "false"):
                    raise SettingsError(f"environment variable {variable} is neither true nor false")
                if variable in env:
                    changes[name] = env[variable] == "true"
            return features.model_copy(update=changes)

        payment_key = "" if worker else env.get("STRIPE_KEY", "")
        if payment_key and not payment_key.startswith(TEST_KEY):
            raise SettingsError(f"environment variable STRIPE_KEY does not start with {TEST_KEY}: this is a demo")
        options = Options.read(Path(env.get("PORTAL_CONFIG", "/etc/portal/portal.yml")))
        keys = () if worker else tuple(key for key in required("PORTAL_CSRF_KEYS").split(",") if key)
        if not (keys or worker) or any(len(key) < 16 for key in keys):
            raise SettingsError("environment variable PORTAL_CSRF_KEYS needs keys of 16 characters or more")
        try:
            # libpq accepts postgres://, but SQLAlchemy needs the driver's name.
            database_url = make_url(required("DATABASE_URL")).set(drivername="postgresql+psycopg")
        except (ArgumentError, ValueError):
            raise SettingsError("environment variable DATABASE_URL is not a database URL") from None
        return cls(
            database_url=database_url,
            csrf_keys=keys,
            broker_url=required("BROKER_URL") if worker else "",
            smtp_host=required("SMTP_HOST") if worker and not env.get("SMTP_URL") else "",
            smtp_url=mail_url("SMTP_URL") if worker else "",
            smtp_port=port("SMTP_PORT", cls.smtp_port),
            mail_from=env.get("MAIL_FROM", cls.mail_from),
            payment_key=payment_key,
            payment_url=env.get("STRIPE_API", cls.payment_url).rstrip("/"),
            payment_webhook=required("STRIPE_WEBHOOK") if payment_key else "",
            kratos_url=env.get("KRATOS_PUBLIC_URL", cls.kratos_url).rstrip("/"),
            kratos_admin_url=env.get("KRATOS_ADMIN_URL", cls.kratos_admin_url).rstrip("/"),
            environment=env.get("GREENROOM_ENVIRONMENT", cls.environment),
            slot=env.get("GREENROOM_SLOT", cls.slot),
            release=env.get("GREENROOM_RELEASE", cls.release),
            release_id=env.get("GREENROOM_RELEASE_ID", cls.release_id),
            version=env.get("PORTAL_VERSION", cls.version),
            host=env.get("PORTAL_HOST", cls.host),
            port=port("PORTAL_PORT", cls.port),
            metrics_port=port("PORTAL_METRICS_PORT", cls.metrics_port),
            options=options.model_copy(update={"features": toggled(options.features)}),
        )
