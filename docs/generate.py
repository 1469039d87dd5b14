#!/usr/bin/env python3
"""Write docs/reference/ from the code: role variables, modules, service.yml, commands and alerts.

`make docs` writes the pages. `--check` writes nothing; if a page is outdated, it names the page and exits with 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by docs/generate.py; change its sources and run `make docs`. -->"

MARKUP = re.compile(r"\b(RV|[BCIOPV])\(((?:[^()]|\([^()]*\))*)\)")
"""Ansible's markup in descriptions: C(code), O(option), V(value), I(emphasis) ..."""

SERVICE_KEYS = {
    "image": "The image's name in the release file (`releases/<name>.yml`).",
    "group": "The group whose hosts run the service. All of its hosts must also be in `app`.",
    "activation": "`always`: runs in both slots. `live_only`: runs for the live slot only, such as a queue consumer or "
    "a scheduler. `singleton`: like `live_only`, but on the first host of the group only; it may have routes, and a "
    "cutover stops it in one slot before it starts it in the other.",
    "entrypoint": "The program to start in place of the image's entry point, and its first arguments. The commands of "
    "`command`, `migrate`, `prepare` and `seed` follow.",
    "command": "Arguments for the entry point.",
    "user": 'The user of the process: a number or a name, and perhaps `:` and a group (`"999:1000"`). Without a group, '
    "a number's is the same number, and a name's is in the image. For numbers below 1000, 65534 and names, "
    "[the container has a user namespace](../images.md#the-user).",
    "userns": "Whether the container has a user namespace. Default: if `user` needs one.",
    "capabilities": "Capabilities that the container keeps, one by one, such as `NET_BIND_SERVICE`. "
    "[Which ones](../images.md#capabilities).",
    "writable": "Folders that the program can write to, by path, with their size. They are in memory, belong to "
    "`user`, begin with the files that the image has there, and are lost at a restart.",
    "shm": "The size of `/dev/shm`. Default: 64 MB.",
    "ulimits": 'Resource limits by name, such as `nofile`: one number, or `"soft:hard"`.',
    "memory": "The memory limit of the service. An environment can set another one (`environment_sizes`).",
    "cpus": "How many CPUs the service may use, such as 0.5. An environment can set another number "
    "(`environment_sizes`). Default: no limit.",
    "stop_timeout": "How many seconds the service has to stop before it is killed.",
    "ports": "The ports that the service listens on, by name. You choose the names.",
    "ports.<name>.container": "The port inside the container.",
    "ports.<name>.host": "The host port in blue; in green it is 10000 higher. Default: `container` plus 10000. A port "
    "that the host has already is refused (`firewall_ports`).",
    "ports.<name>.from": "The groups whose hosts can reach the port. If empty, the port is bound to 127.0.0.1 only.",
    "database": "A PostgreSQL database. Greenroom creates it with an owner role and one login for each slot. Names "
    "that PostgreSQL or the backup uses are refused, such as `postgres`, `backup`, `all` and `pg_x`.",
    "databases": "Further PostgreSQL databases: a list of names, or a mapping `{<name>: {extensions: […]}}`. Each has "
    "an owner role and logins of its own.",
    "extensions": "Extensions of `database`, created before its migrations. For one whose Debian package Greenroom "
    "does not know: `{name: h3, package: postgresql-17-h3}`. [Data stores](../data-stores.md#extensions).",
    "cache": "Keys in the environment's Valkey, a server that speaks Redis' protocol. `cache: {}` is enough. [Data "
    "stores](../data-stores.md#a-cache).",
    "cache.prefix": "What the names of all keys and channels of the service begin with. Default: its name and `:`.",
    "cache.slots": "`shared`: both slots use the same keys. `own`: the prefix of each slot ends with its name and `:`. "
    "Default: `shared`.",
    "migrate": "Arguments to migrate the database. The command runs once, on one host, before the candidate starts.",
    "prepare": "Arguments of a second command, which runs like `migrate` and after it. Use it for rows that the "
    "service otherwise creates at its first start, because two instances that start at once would create them twice.",
    "seed": "Arguments of the command that creates, updates or removes the service's generated data. It runs once, on "
    "one host, when users, volume, seed or database schema have changed since the last time. For details, see "
    "[bring your own service](../bring-your-own-service.md#invented-data).",
    "schedule": "[Scheduled jobs](../jobs.md#scheduled-jobs), by name: commands that run at certain times, for the "
    "live slot only, on the first host of the group.",
    "schedule.<name>.command": "Arguments for the image's entry point, in a new container like the service's own.",
    "schedule.<name>.at": "When the job runs: a calendar expression of systemd, such as `*-*-* 02:00` or "
    "`Mon..Fri 07:30 Europe/Berlin`, or the five fields of cron, such as `0 2 * * *`. Without a time zone, the host's.",
    "schedule.<name>.timeout": "How long a run of the job may take, such as `90s`, `30m` or `4h`. After that, it is "
    "stopped, and counts as failed. Default: `1h`.",
    "schedule.<name>.persistent": "`true`: a run that was missed because the host was down follows when it is up "
    "again. Default: `false`.",
    "hooks": "[Commands before and after parts of a run](../jobs.md#hooks), by hook. Each runs once, on one host.",
    **{
        f"hooks.{hook}": f"Arguments for the image's entry point, {when}"
        for hook, when in {
            "before_deploy": "before a candidate is written. Runs in the live slot; in a first run not at all.",
            "before_migrate": "before the databases are migrated. Runs in the candidate.",
            "after_migrate": "after the databases were migrated. Runs in the candidate.",
            "after_deploy": "when the candidate is ready, before it can get traffic.",
            "before_cutover": "after the smoke checks, before the slot that it runs in gets traffic.",
            "after_cutover": "when the slot that it runs in has all traffic and has passed its bake.",
        }.items()
    },
    "console": "Arguments for the image's entry point that start an interactive console (`make console`). Default: the "
    "image's `/bin/sh`.",
    "heads": "An SQL query for the version of the database schema. If the result has changed, `seed` runs again, and a "
    "deploy tries whether the live release [would start again](../release.md#would-the-old-release-start-again).",
    "queues": "Broker queues that the service consumes, by name. Jobs that can't be done go to the dead-letter queue "
    "`<name>.dead`. Requires the activation `live_only` or `singleton`.",
    "queues.<name>.delivery_limit": "How often the broker delivers a job before it moves it to the "
    "dead-letter queue. Default: 20.",
    "publishes": "Queues that the service adds jobs to. It publishes to the exchange with the queue's name.",
    "secrets": "Secrets, as environment variables of the container. Each has exactly one of `login`, `broker`, "
    "`cache`, `ring`, `value`, `given` or `provider`.",
    "secrets.<name>.login": "The URL of this database, with the slot's login. The certificate is verified: "
    "`postgres://…?sslmode=verify-full`.",
    "secrets.<name>.broker": "The URL of the broker, with the slot's login of this name: `amqps://…?cafile=…`. The "
    "login can consume the service's `queues` and publish to its `publishes`, and nothing else.",
    "secrets.<name>.cache": "The URL of the cache of this service, with the slot's login: `rediss://…`.",
    "secrets.<name>.ring": "A comma-separated list of keys, newest first. Both slots get all of them.",
    "secrets.<name>.value": "A single random value.",
    "secrets.<name>.given": "The path in Vault of a value that was issued elsewhere, such as `third-party/key`. "
    "Nothing generates it; [playbooks/secret.yml](../secrets.md#secrets-that-others-issue) puts it there.",
    "secrets.<name>.provider": "The name or the kind of a [provider](../providers.md#use-a-provider-in-a-service) that "
    "the environment uses.",
    "secrets.<name>.field": "Which secret or value of the provider. Default: `key`.",
    "secrets.<name>.optional": "`true`: without the provider, the variable is missing. Default: `false`, and such an "
    "environment is refused.",
    "secrets.<name>.file": "The path of a file in the container with the secret, which may have several lines. Only "
    "the container's user can read it. The variable's value is this path.",
    "secrets.<name>.form": "Another form of a login: `jdbc`, `keywords` (libpq's `host=… dbname=…`), or the scheme of "
    "the URL, such as `postgresql+psycopg2`. [Data stores](../data-stores.md#the-form-that-your-program-reads).",
    "secrets.<name>.part": "One part of a login instead of the URL: the server's `host`, `port` or `ca` (the file of "
    "the CA), the login's `user` or `password`, the `name` of the database or of the broker's virtual "
    "host, or the `prefix` of keys in the cache.",
    "secrets.<name>.options": "Options of the URL of a `login`, which replace `sslmode` and `sslrootcert`, or of a "
    "`cache`.",
    "secrets.<name>.of": "The service that owns the secret. Default: this service.",
    "providers": "[Providers](../providers.md) that the service calls and takes nothing else from.",
    "environment": "Environment variables that are not secret. Values are texts, numbers, `true` or `false`, can be "
    "templates, and have one line. A value is from a [provider](../providers.md#use-a-provider-in-a-service) as "
    "`{provider: <name or kind>, field: url, default: <value without it>}`. "
    "`GREENROOM_ENVIRONMENT`, `GREENROOM_SLOT`, `GREENROOM_RELEASE` and `GREENROOM_RELEASE_ID` are always set.",
    "toggles": "Feature toggles, by name; no other service may use the name. An environment turns them on and off with "
    "`environment_toggles`. A change is a new bundle.",
    "toggles.<name>.description": "What the feature is.",
    "toggles.<name>.default": "The value in an environment that sets none. Default: `false`.",
    "toggles.<name>.variable": "The environment variable of the container, which is `true` or `false`.",
    "config_path": "The mount point of the service's folder `config/`, read-only. `.j2` files in it are rendered.",
    "config_of": "The service whose `config/` is mounted. Default: this service.",
    "volumes": "Folders of the host in which the service keeps files across deploys, by name: "
    "[volumes](../volumes.md).",
    "volumes.<name>.path": "The mount point in the container.",
    "volumes.<name>.shared": "`slots`: both slots of a host have the same files. `per_slot`: each slot has its own, "
    "which a deploy copies from the live slot. Default: `slots`.",
    "volumes.<name>.of": "The service that the volume belongs to; it has a volume of this name. Default: this service.",
    "volumes.<name>.read_only": "Whether this service only reads. Default: `false`.",
    "volumes.<name>.commands": "Whether scheduled jobs, hooks, one-time commands and consoles may use the files of a "
    "singleton while it runs. Default: `false`.",
    "volumes.<name>.per_host": "Whether each host may have files of its own. Needed if several hosts run the service, "
    "except with NFS. Default: `false`.",
    "health": "The check that shows whether the service is ready. Required if the service has ports. It has exactly "
    "one of `path`, `tcp`, `grpc` and `command`.",
    "health.port": "The port's name. Required, except with `command`.",
    "health.path": "The path of a page. Requests to it have the environment's public name as `Host`, and "
    "`X-Forwarded-Proto: https`, as those of visitors.",
    "health.method": "The method of the request. Default: `GET`.",
    "health.status": "The status of the response when the service is ready. Default: 200.",
    "health.headers": 'Headers of the request, by name. Values are ASCII characters without `"`, `\\` and `$`.',
    "health.tcp": "The service is ready when the port accepts connections.",
    "health.grpc": "The service is ready when it says so to gRPC's standard check (`grpc.health.v1.Health/Check`). If "
    "the port has a route, the edge sends requests to it over HTTP/2.",
    "health.service": "The service that the check of `grpc` asks about. Default: the server as a whole.",
    "health.command": "The service is ready when this command ends with exit code 0 in its container. The edge only "
    "connects to the ports that have routes.",
    "health.start_period": "How long the service may take to become ready, in seconds. Default: "
    "`bundle_ready_seconds`.",
    "metrics": "The page with metrics for Prometheus.",
    "metrics.port": "The port's name. Hosts in `ops` can reach the port unless its `from` is empty.",
    "metrics.path": "The page's path.",
    "calls": "Ports of other services that the service may connect to, as `<service>.<port>`, such as `kratos.admin`; "
    "the firewall closes all others of its slot.",
    "identities": "The port of the Ory Kratos admin API. Only one service can set it. Greenroom creates synthetic "
    "users there; if no service sets it, there are none.",
    "load": "The service has the endpoints that a [drill](../drill.md#the-load-test-endpoints) requests. If no service "
    "has them, a drill needs `drill_path`.",
    "load.toggle": "The service's toggle that turns these endpoints on. Default: they are always there.",
    "canary": "What a [canary](../canary.md) observes of the service while it is part of the candidate.",
    "canary.probes": "Paths at the public address that Greenroom probes in both slots. They must be cheap and change "
    "no data. Default, if no service sets any: the paths of the routes.",
    "canary.metric": "A counter for the purpose of the service, such as orders.",
    "canary.metric.name": "The name of the counter. If it has labels, the sum is compared.",
    "canary.metric.port": "The port's name. Default: the port of `metrics`.",
    "canary.metric.path": "The page's path. Default: the path of `metrics`.",
    "canary.steps": "The steps of a cutover, if the operator names none (`-e canary=`): weights in percent, and "
    "`pause` to wait for an operator. A cutover takes the steps of all services together.",
    "canary.step_seconds": "How long to watch each step, at least, in seconds. Default: 60.",
    "canary.limits": "Limits for the requests and the metric of this service, which are then judged apart. Default: "
    "those of the role canary, `canary_<name>`.",
    "canary.limits.minimum": "Requests that each slot needs of this service in a step.",
    "canary.limits.alpha": "Probability that a verdict fails a candidate that is as good as the live slot.",
    "canary.limits.error_margin": "Margin for failed requests, as a fraction.",
    "canary.limits.refused_margin": "Margin for refused requests, as a fraction.",
    "canary.limits.latency_factor": "The candidate may take this many times as long.",
    "canary.limits.latency_ms": "The candidate may always take this many milliseconds longer.",
    "canary.limits.metric_drop": "Fraction of `metric` per request that may be missing.",
    "canary.queries": "Queries to the environment's Prometheus about the candidate, run after each interval. A value "
    "beyond its limit fails the candidate. Without a value, there is no pass.",
    "canary.queries[].name": "What the query measures, for the verdict.",
    "canary.queries[].query": "The query (PromQL). `$slot` stands for the candidate's slot. All series in the response "
    "must be within the limit.",
    "canary.queries[].above": "A value above this number fails the candidate. Set this or `below`.",
    "canary.queries[].below": "A value below this number fails the candidate.",
    "routes": "The public paths that lead to the service. The longest matching path wins.",
    "routes[].host": "The host name, or a list of them. `*.example.com` is for all names one label below. Values can "
    "be templates. Default: the environment's own names (`edge_public_names`). [More](../routes.md#host-names).",
    "routes[].path": "The path, including everything below it: `/order` matches `/order/1`, but not `/orders`.",
    "routes[].exclude": "Paths below `path` that the edge serves to nobody. The pages in `health` and `metrics` are "
    "among them, unless a route has exactly their path.",
    "routes[].port": "The port's name. Default: the first port with `edge` in `from`.",
    "routes[].limit": "The class of rate limits, a key of `edge_limits`. Default: `default`.",
    "routes[].auth": "`false` allows requests without the environment's password, for example for an API with its own "
    "login. Default: `true`.",
    "routes[].timeout": "How long the client or the service may send nothing, such as `90s`, `30m` or `4h` (24 hours "
    "at most): for events, long polls, slow uploads and WebSockets. Default: 60 s, for the service's response "
    "`edge_server_seconds`, for WebSockets an hour.",
    "routes[].strip": "`true` removes `path` from the path that the service gets, and tells it in "
    "`X-Forwarded-Prefix`. Default: `false`.",
    "routes[].body": "The largest body of a request. A larger one, or one that doesn't say how large it is, gets 413. "
    "Default: no limit.",
    "routes[].sticky": "`true` sends a browser to the same host each time, by a cookie. It holds for all routes of the "
    "port. Default: `false`.",
    "routes[].http2": "`true` if the port expects HTTP/2 without TLS. It holds for all routes of the port. Default: "
    "`false`, or `true` if the port's health check is `grpc`.",
    "routes[].client_certificate": "`required`: only clients with a certificate of `edge_client_ca` get in.",
    "redirects": "Host names and paths that the edge redirects. [More](../routes.md#redirects).",
    "redirects[].host": "The host name, or a list of them. Default: the environment's own names.",
    "redirects[].path": "The path, including everything below it. Default: `/`.",
    "redirects[].to": "Where to. What follows `path`, and the query, are added.",
    "redirects[].status": "Default: 301.",
    "tcp_routes": "Ports of the edge hosts that lead to the service, for protocols other than HTTP. "
    "[More](../routes.md#tcp).",
    "tcp_routes[].listen": "The port of the edge hosts. The firewall opens it to `firewall_public_sources`.",
    "tcp_routes[].host": "The host names that clients name when TLS begins (SNI), if several services share the port.",
    "tcp_routes[].port": "The port's name. Default: the first port with `edge` in `from`.",
    "tcp_routes[].timeout": "How long a connection may be silent. Default: an hour.",
    "headers": "Values of security headers that the edge adds to responses without them, instead of its own. An empty "
    "value means that the edge adds none.",
    "headers.Content-Security-Policy": "What pages may load, and who may frame them.",
    "headers.X-Content-Type-Options": "Whether browsers may guess types.",
    "headers.X-Frame-Options": "Who may frame the pages, for old browsers.",
    "headers.Referrer-Policy": "What other sites learn about the page that links to them.",
    "headers.Permissions-Policy": "Which features of the browser pages may use.",
}
"""The meaning of each key of service.yml. Must have exactly the keys of the schema."""

WORDS = {
    "array": "list",
    "boolean": "true or false",
    "integer": "integer",
    "number": "number",
    "object": "mapping",
    "string": "string",
}
"""Names of the JSON types."""


def code(value: object) -> str:
    """Return `value` as inline code: strings unchanged, everything else as JSON."""
    return f"`{value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)}`"


def prose(text: object) -> str:
    """Return a description (a string or a list of paragraphs) as one line of Markdown."""
    joined = " ".join(map(str, text)) if isinstance(text, list) else str(text or "")
    return " ".join(MARKUP.sub(_marked, joined).split())


def _marked(match: re.Match[str]) -> str:
    return f"*{match[2]}*" if match[1] in "BI" else f"`{match[2]}`"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table, with an empty line after it."""
    lines = [head, tuple("---" for _ in head), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def _type(option: Mapping[str, Any]) -> str:
    kind = str(option.get("type", "str"))
    kind += f" of {option['elements']}" if "elements" in option else ""
    return f"{kind}: {', '.join(map(code, option['choices']))}" if "choices" in option else kind


def _default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "required"
    return code(option["default"]) if option.get("default") is not None else ""


def option_rows(options: Mapping[str, Any], nested: str, prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Yield name, type, default and meaning of options, each followed by its suboptions (in key `nested`), dotted."""
    for name, option in options.items():
        yield f"`{prefix}{name}`", _type(option), _default(option), prose(option["description"])
        below = option.get(nested)
        if isinstance(below, Mapping):
            many = "[]" if option.get("type") == "list" else ""
            yield from option_rows(below, nested, f"{prefix}{name}{many}.")


OPTION_HEAD = ("Option", "Type", "Default", "Meaning")


def roles() -> str:
    """Return the page about all role variables."""
    lines = ["# Roles and their variables", "", NOTE, ""]
    lines += ["Set a variable in an inventory or with `-e`. Greenroom rejects names that no role declares.", ""]
    for file in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        for spec in yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"].values():
            lines += [f"## {file.parts[-3]}", "", f"{prose(spec['short_description'])}.", ""]
            lines += [prose(spec["description"]), ""] if spec.get("description") else []
            rows = list(option_rows(spec.get("options") or {}, "options"))
            lines += table(OPTION_HEAD, rows) if rows else ["This role has no variables.", ""]
    return "\n".join(lines)


def modules() -> str:
    """Return the page about all modules in library/."""
    lines = ["# Modules", "", NOTE, ""]
    fragment_loader.add_directory(str(ROOT / "plugins/doc_fragments"))
    for file in sorted((ROOT / "library").glob("*.py")):
        document, examples, returned, _metadata = get_docstring(str(file), fragment_loader)
        lines += [f"## {document['module']}", "", f"{prose(document['short_description'])}.", ""]
        lines += [f"- {prose(paragraph)}" for paragraph in document["description"]] + [""]
        shown = {name: option for name, option in document["options"].items() if not name.startswith("_")}
        lines += table(OPTION_HEAD, list(option_rows(shown, "suboptions")))
        lines += ["Examples:", "", "```yaml", examples.strip(), "```", ""]
        results = [(f"`{name}`", str(value["type"]), prose(value["description"])) for name, value in returned.items()]
        lines += ["Returns:", "", *table(("Value", "Type", "Meaning"), results)]
    return "\n".join(lines)


def schema_rows(schema: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Yield key, value, default and meaning of each key of service.yml, in the order of the schema."""
    for name, value in schema["properties"].items():
        key = f"{prefix}{name}"
        if name in schema["required"]:
            default = "required"
        else:
            default = code(defaults[name]) if defaults.get(name) is not None else ""
        yield f"`{key}`", _shape(value), default, SERVICE_KEYS[key]
        below = value.get("additionalProperties") or value.get("items") or value
        if isinstance(below, Mapping) and "properties" in below:
            mark = ".<name>." if value.get("additionalProperties") else "[]." if "items" in value else "."
            yield from schema_rows(below, {}, f"{key}{mark}")


def _shape(value: Mapping[str, Any]) -> str:
    """Describe the allowed values."""
    if "const" in value:
        return code(json.dumps(value["const"]))
    if "enum" in value:
        return ", ".join(map(code, value["enum"]))
    kinds = [value["type"]] if isinstance(value["type"], str) else value["type"]
    text = str(value.get("description") or " or ".join(WORDS[kind] for kind in kinds))
    text += " of strings" if value.get("items", {}).get("type") == "string" and "description" not in value else ""
    return text + (f" from {value['minimum']}" if "minimum" in value and "pattern" not in value else "")


def services() -> str:
    """Return the page about service.yml. Raises KeyError if schema and SERVICE_KEYS have different keys."""
    sys.path.insert(0, str(ROOT))
    package = "plugins.module_utils.greenroom.controller.catalogue"
    schema = importlib.import_module(f"{package}.service_schema").SCHEMA
    defaults = importlib.import_module(f"{package}.catalogue").DEFAULTS
    rows = list(schema_rows(schema, defaults))
    unknown = SERVICE_KEYS.keys() - {row[0].strip("`") for row in rows}
    if unknown:
        raise KeyError(f"service.yml has no key {', '.join(sorted(unknown))}")
    lines = ["# service.yml", "", NOTE, ""]
    lines += ["This page lists all keys. Greenroom rejects other keys and suggests the closest known one.", ""]
    lines += ["For instructions, see [bring your own service](../bring-your-own-service.md).", ""]
    return "\n".join([*lines, *table(("Key", "Value", "Default", "Meaning"), rows)])


def playbook_options() -> dict[str, Any]:
    """Return {option: specification} of what operators give for a run: without a role's prefix, and set nowhere.

    An inventory may set the default of an option, such as `bake`.
    """
    spec = ROOT / "roles/environment/meta/argument_specs.yml"
    options = yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"]["options"]["options"]
    files = ROOT.glob("playbooks/group_vars/all/*.yml")
    given = {name for file in files for name in yaml.safe_load(file.read_text(encoding="utf-8")) or {}}
    given |= {name for name, spec in options.items() if spec.get("required") or name.startswith("environment_")}
    return {name: spec for name, spec in options.items() if name not in given}


def commands() -> str:
    """Return the page about the Makefile's targets and the options of playbooks."""
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    rows = [(f"`make {name}`", f"{text[0].upper()}{text[1:]}.") for name, text in targets]
    lines = ["# Commands", "", NOTE, "", "`make` alone prints this list.", ""]
    lines += table(("Command", "Does"), rows)
    lines += ["## Options of playbooks", ""]
    lines += ["Give options with `-e`, as in `-e to=blue`; [roles' variables](roles.md), such as `release_name`, too."]
    lines += ["Greenroom rejects misspelled names and wrong values.", ""]
    return "\n".join([*lines, *table(OPTION_HEAD, list(option_rows(playbook_options(), "options")))])


def alert_rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (part, rule) of each alert in the templates of Prometheus' rules, with variables' names as thresholds."""
    for file in sorted(
        (ROOT / "roles/monitoring/templates").glob("*/prometheus/rules/*.yml.j2"), key=lambda file: file.name
    ):
        text = re.sub(r"^{%.*%}\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        # What is there without a part.
        text = re.sub(r"^  \[\]\n", "", text, flags=re.MULTILINE)
        for group in yaml.safe_load(re.sub(r"{{ (.*?) }}", r"\1", text.replace("}}h", "}} h")))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield file.name.removesuffix(".yml.j2"), rule


def alerts() -> str:
    """Return the page about all alerts."""
    lines = ["# Alerts", "", NOTE, "", "What to do for each, and who gets them: [alerts](../alerts.md).", ""]
    rows = [
        (
            f"[{rule['alert']}](../alerts.md#{rule['alert'].lower()})",
            part,
            str(rule["labels"]["severity"]),
            f"{rule['annotations']['summary']}.",
            str(rule.get("for", "at once")),
            ", ".join(
                map(code, dict.fromkeys(re.findall(r"\bmonitoring_\w+", f"{rule['expr']} {rule.get('for', '')}")))
            ),
        )
        for part, rule in alert_rules()
    ]
    return "\n".join([*lines, *table(("Alert", "Part", "Severity", "Meaning", "After", "Thresholds"), rows)])


def pages() -> dict[Path, str]:
    """Return {file: content} of all reference pages."""
    made = {"roles": roles, "modules": modules, "services": services, "commands": commands, "alerts": alerts}
    return {REFERENCE / f"{name}.md": page().rstrip() + "\n" for name, page in made.items()}


def outdated() -> list[str]:
    """Return the names of the outdated pages."""
    return [
        file.name for file, text in pages().items() if not file.exists() or file.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write or check the pages. Return the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is outdated")
    if parser.parse_args().check:
        wrong = outdated()
        for name in wrong:
            print(f"docs/reference/{name} is outdated: run `make docs`")
        return 1 if wrong else 0
    REFERENCE.mkdir(exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
