# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""Convert `environment` and `env_file`: databases, secrets, addresses of other services, plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from plugins.module_utils.greenroom.controller.catalogue.schema_terms import DATABASE, VARIABLE

from .known import STORES, program, secret_kind, supported
from .project import Draft, Project
from .reading import Key, parse_env

_URL = re.compile(
    r"^(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<login>[^@/]*)@)?(?P<host>[^:/?#]+)(?::(?P<port>\d+))?(?:/(?P<path>[^?#]*))?"
)
_PLACE = re.compile(r"(?<![\w.-])([A-Za-z][A-Za-z0-9_-]*):(\d{2,5})(?!\d)")
# Ends of the names of variables that have one part of a login.
_PARTS = {
    "host": ("HOSTNAME", "HOST", "SERVER", "ADDRESS"),
    "port": ("PORT",),
    "user": ("USERNAME", "USER", "LOGIN"),
    "password": ("PASSWORD", "PASS", "PASSWD"),
    "name": ("DATABASE", "DBNAME", "DB_NAME", "NAME", "DB"),
}


@dataclass(frozen=True)
class Variable:
    """A variable of a container; `place` is where the file sets it."""

    name: str
    value: str
    place: tuple[Key, ...]
    source: str
    """The value as it is written, before variables in it were replaced."""


def variables(project: Project, name: str) -> list[Variable]:
    """Return the variables of a service; what can't be read is noted."""
    service = project.services[name]
    found: dict[str, Variable] = {}
    files = service.get("env_file") or []
    for index, item in enumerate(files if isinstance(files, list) else [files]):
        place: tuple[Key, ...] = ("services", name, "env_file", index)
        path = str(item.get("path") if isinstance(item, dict) else item)
        file = project.compose.path.parent / path
        if not file.is_file():
            project.drop(place, f"{path} is not there; put its variables into `environment` or `secrets`")
            continue
        for key, text in parse_env(file.read_text(encoding="utf-8")).items():
            found[key] = Variable(key, text, (*place, key), text)
    for where, key, given in _set(service.get("environment")):
        place = ("services", name, "environment", where)
        value = project.compose.variables.get(key) if given is None else given
        if value is None and not secret_kind(key, ""):
            project.drop(place, "has no value in the file; set it in `environment`")
            continue
        text = str(value).lower() if isinstance(value, bool) else str("" if value is None else value)
        source = project.compose.sources.get(place, text)
        found[key] = Variable(key, text, place, source.partition("=")[2] if isinstance(where, int) else source)
    return list(found.values())


def _set(given: Any) -> Iterator[tuple[Key, str, Any]]:
    """Yield the place in `environment`, the name and the value of each variable; None takes the caller's value."""
    if isinstance(given, dict):
        yield from ((key, str(key), value) for key, value in given.items())
        return
    for index, item in enumerate(given or []):
        name, mark, value = str(item).partition("=")
        yield index, name, value if mark else None


class Environment:
    """The variables of one service, converted."""

    def __init__(self, project: Project, draft: Draft) -> None:
        self.project, self.draft = project, draft
        self.plain: dict[str, str] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.found: list[Variable] = []

    def convert(self) -> None:
        """Convert all variables, and set the keys of the draft."""
        self.found = variables(self.project, self.draft.source)
        taken = self._parts(self.found)
        for variable in self.found:
            if variable.name not in taken:
                self._one(variable)
        keys = self.draft.keys
        for key, value in (("secrets", self.secrets), ("environment", self.plain), ("calls", self.calls)):
            if value:
                keys[key] = value

    def _one(self, variable: Variable) -> None:
        if not re.match(VARIABLE[0], variable.name):
            self.project.drop(variable.place, f"its name is not {VARIABLE[1]}")
        elif "\n" in variable.value.rstrip("\n"):
            self.project.drop(variable.place, "has several lines; give the service a file (docs/secrets.md)")
        elif not self._url(variable) and not self._secret(variable):
            self._plain(variable)

    def _url(self, variable: Variable) -> bool:
        """Convert the URL of a database, a broker or another store; return whether it is one."""
        match = _URL.match(variable.value)
        there = self.project.by_host(match["host"]) if match else ""
        if not match or not there:
            return False
        kind = self.project.kind(there)
        if kind == "database":
            name = (match["path"] or "").strip("/") or self._database_of(there)
            self._login(variable, name, {} if match["scheme"] == "postgres" else {"form": match["scheme"]})
        elif kind == "broker":
            self.project.drop(
                variable.place,
                f"name the queues in `queues` and `publishes`, and write `{variable.name}: {{broker: "
                f"{self.draft.name}}}` into `secrets`",
            )
        elif kind == "store":
            what = f"the address of {STORES[program(self.project.image(there))]} of your own"
            self._foreign(variable, what, secret=":" in (match["login"] or ""))
        elif kind == "replaced":
            self._replaced(variable, there)
        return kind != "service"

    def _database_of(self, there: str) -> str:
        environment = {item.name: item.value for item in variables(self.project, there)}
        return environment.get("POSTGRES_DB") or environment.get("POSTGRES_USER") or "postgres"

    def _database(self, name: str) -> str:
        """Return the name of the database in Greenroom."""
        fitting = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
        if not re.match(DATABASE["pattern"], fitting) or fitting in ("postgres", "backup"):
            fitting = re.sub(r"[^a-z0-9_]+", "_", self.draft.name)
        return fitting

    def _login(self, variable: Variable, database: str, more: dict[str, Any]) -> None:
        """Give the service a login of a database, which belongs to the first service that uses it."""
        name = self._database(database)
        owner = self.project.databases.setdefault(name, self.draft.name)
        if owner == self.draft.name:
            if self.draft.keys.get("database", name) != name:
                self.project.drop(variable.place, f"a second database ({name}); name it in `databases`")
                return
            self.draft.keys["database"] = name
        key, value = next(iter(more.items()), ("", ""))
        if key == "form" and not supported("secrets.<name>.form"):
            why = f"the URL begins with postgres:// instead of {value}://; check whether the program accepts it"
            self.project.drop(variable.place, why)
            more = {}
        self.secrets[variable.name] = {"login": name, **more, **({} if owner == self.draft.name else {"of": owner})}

    def _parts(self, found: list[Variable]) -> set[str]:
        """Convert variables that have one part of a login each; return the names of all of them."""
        taken: set[str] = set()
        for variable in found:
            there = self.project.by_host(variable.value) if variable.value else ""
            kind = self.project.kind(there) if there else ""
            end = next((end for end in _PARTS["host"] if variable.name.upper().endswith(end)), "")
            if not end or kind not in ("database", "store", "broker"):
                continue
            stem = variable.name[: -len(end)]
            group = {
                part: item
                for part, ends in _PARTS.items()
                for item in found
                if item.name.upper() in {f"{stem}{end}".upper() for end in ends}
            }
            taken |= {item.name for item in group.values()}
            name = group["name"].value if "name" in group else self._database_of(there) if kind == "database" else ""
            if kind == "database" and not supported("secrets.<name>.part"):
                self._login(variable, name, {})
                url = self.secrets.pop(variable.name, {})
                names = ", ".join(item.name for item in group.values())
                self.project.drop(
                    variable.place,
                    f"{names}: parts of a login; let the program read one URL, as in `secrets: {{DATABASE_URL: "
                    f"{yaml.safe_dump(url, default_flow_style=True).strip()}}}`",
                )
                continue
            for part, item in group.items():
                if kind == "database":
                    self._login(item, name, {"part": part})
                else:
                    what = STORES.get(program(self.project.image(there)), "the broker")
                    self._foreign(item, f"the {part} of {what} of your own", secret=part == "password")
        return taken

    def _foreign(self, variable: Variable, what: str, secret: bool = True) -> None:
        """Convert a value that only the operator knows."""
        if secret and supported("secrets.<name>.given"):
            name = secret_name(variable.name)
            owner = self.project.secrets.setdefault((variable.source or variable.name, name), self.draft.name)
            self.secrets[variable.name] = {"given": f"{owner}/{name}"}
            self.project.note(variable.place, f"given: {what}; put it in before the first run")
        else:
            into = "a file in `config/` that reads it from Vault (`secrets_read_only`)" if secret else "`environment`"
            self.project.drop(variable.place, f"{what}: put it into {into}")

    def _secret(self, variable: Variable) -> bool:
        """Convert a secret; return whether it is one."""
        kind = secret_kind(variable.name, variable.value)
        if kind and self._of_store(variable.name):
            self._foreign(variable, "the password of a server of your own")
        elif kind == "foreign":
            self._foreign(variable, "a secret that a third party issued")
        elif kind:
            name = secret_name(variable.name)
            # Services that get the same value have the same secret.
            same = (variable.source or variable.value or variable.name, name)
            owner = self.project.secrets.setdefault(same, self.draft.name)
            self.secrets[variable.name] = {"value": name, **({} if owner == self.draft.name else {"of": owner})}
            if variable.value:
                self.project.note(variable.place, "a secret: it gets a new random value")
        return bool(kind)

    def _of_store(self, name: str) -> bool:
        """Whether a variable is named after a store that runs outside of slots, such as REDIS_PASSWORD."""
        stores = [each for each in self.project.services if self.project.kind(each) == "store"]
        return any(program(self.project.image(each)).split("-")[0].upper() in name.upper() for each in stores)

    def _mail(self, host: str) -> bool:
        """Whether a host name is the one of a mail sandbox in the file."""
        there = self.project.by_host(host)
        return bool(there) and self.project.kind(there) == "replaced" and "mail" in program(self.project.image(there))

    def _mail_port(self, name: str) -> bool:
        """Whether a variable is the port that belongs to the host of a mail sandbox."""
        stem = name.upper().removesuffix("PORT")
        hosts = {f"{stem}{end}" for end in _PARTS["host"]}
        return stem != name.upper() and any(
            item.name.upper() in hosts and self._mail(item.value) for item in self.found
        )

    def _replaced(self, variable: Variable, there: str) -> None:
        if self._mail(there):
            self.plain[variable.name] = variable.value.replace(there, "mail.{{ environment_domain }}")
        else:
            self.project.drop(variable.place, f"{there} was not carried")

    def _plain(self, variable: Variable) -> None:
        missing = self.project.compose.missing.get(variable.place)
        if missing:
            words = " and ".join(f"${{{name}}}" for name in missing)
            self.project.drop(variable.place, f"{words} has no value; set it in `environment`")
            return
        value = variable.value
        if "{{" in value or "{%" in value or "{#" in value:
            value = f"{{% raw %}}{value}{{% endraw %}}"
        if variable.name.upper().endswith("SSLMODE") and value in ("disable", "allow", "prefer"):
            self.project.drop(variable.place, f"{value}: the database is reached with TLS, and the URL says how")
            return
        there = self.project.by_host(value)
        if self._mail(value):
            value = "mail.{{ environment_domain }}"
        elif self._mail_port(variable.name):
            value = "{{ mail_sandbox_smtp_port }}"
        elif there and there in self.project.drafts:
            value = self.project.drafts[there].name
        for host, number in _PLACE.findall(value):
            other = self.project.by_host(host)
            if other in self.project.drafts and other != self.draft.source:
                called = self.project.drafts[other]
                value = value.replace(f"{host}:{number}", f"{called.name}:{number}")
                call = f"{called.name}.{called.port(int(number))}"
                self.calls += [call] if call not in self.calls else []
            elif other and other not in self.project.drafts:
                self.project.drop(variable.place, f"{other} was not carried; write the address of your own")
                return
        self.plain[variable.name] = value


def secret_name(variable: str) -> str:
    """Return the name of the secret of a variable."""
    return re.sub(r"[^a-z0-9]+", "-", variable.lower()).strip("-")[:40].strip("-")
