# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)

"""What is known of images, keys and variables in compose files, and what Greenroom has instead."""

from __future__ import annotations

import re
from typing import Any

from plugins.module_utils.greenroom.controller.catalogue.release import parse_image
from plugins.module_utils.greenroom.controller.catalogue.service_schema import SCHEMA

DATABASES = ("postgres", "postgresql", "postgis", "pgvector", "timescaledb", "timescaledb-ha")
BROKERS = ("rabbitmq",)
REDIS = "a Redis server"
STORES = {
    **dict.fromkeys(("redis", "valkey", "keydb", "dragonfly", "redis-stack", "redis-stack-server"), REDIS),
    **dict.fromkeys(("mysql", "mariadb", "percona"), "a MySQL server"),
    **dict.fromkeys(("mongo", "mongodb"), "a MongoDB server"),
    **dict.fromkeys(("elasticsearch", "opensearch"), "a search server"),
    **dict.fromkeys(("clickhouse", "clickhouse-server"), "a ClickHouse server"),
    **dict.fromkeys(("meilisearch", "typesense"), "a search server"),
    **dict.fromkeys(("memcached",), "a Memcached server"),
    **dict.fromkeys(("minio",), "an object store"),
    **dict.fromkeys(("nats", "kafka", "mosquitto", "eclipse-mosquitto"), "a message broker"),
}
"""Programs that keep data which both slots need: they run outside of slots."""
REPLACED = {
    **dict.fromkeys(("traefik", "nginx-proxy", "caddy", "caddy-docker-proxy"), "the edge hosts' HAProxy does this"),
    **dict.fromkeys(("acme-companion", "certbot", "https-portal"), "a run issues the edge's certificates"),
    **dict.fromkeys(("maildev", "mailhog", "mailpit", "mailcatcher"), "the mail sandbox on the ops hosts does this"),
    **dict.fromkeys(("watchtower", "autoheal"), "a release says which images run, and systemd restarts them"),
    **dict.fromkeys(("postgres-backup-local", "postgres-backup-s3"), "playbooks/backup.yml does this"),
}

DONE = {
    "restart": "systemd restarts a program that ends",
    "container_name": "the container is named after service and slot",
    "hostname": "other services of the slot reach it by the service's name",
    "networks": "each slot has a network of its own; `calls` opens ports in it",
    "links": "other services are reached by name, if `calls` names their port",
    "logging": "what the program prints goes to the journal",
    "init": "Podman handles signals and ended processes without it",
    "depends_on": "a deploy waits for the health of all services",
    "tty": "no terminal is needed",
    "stdin_open": "no terminal is needed",
    "pull_policy": "the release pins images by digest",
    "platform": "the release pins images by digest",
    "read_only": "the image is always read-only",
    "stop_signal": "the program gets the image's stop signal",
    "develop": "for development only",
    "attach": "for development only",
    "annotations": "nothing here reads them",
}
"""Keys of a service that need nothing in service.yml."""
REFUSED = {
    "privileged": "a service has no rights on its host",
    "devices": "a service has no devices",
    "device_cgroup_rules": "a service has no devices",
    "gpus": "a service has no devices",
    "network_mode": "each slot has a network of its own",
    "pid": "a service has processes of its own",
    "ipc": "a service has memory of its own",
    "userns_mode": "`userns: true` gives a service a user namespace",
    "cap_drop": "a service has no capabilities anyway, unless it names them",
    "security_opt": "a service can't gain rights anyway",
    "sysctls": "the kernel's settings are the host's",
    "extra_hosts": "names come from the hosts' DNS",
    "dns": "names come from the hosts' DNS",
    "dns_search": "names come from the hosts' DNS",
    "domainname": "names come from the hosts' DNS",
    "mac_address": "Greenroom chooses addresses",
    "group_add": "the program has one group",
    "working_dir": "set it in the image, or start with a command that changes the folder",
    "configs": "put files into the service's folder `config/`, and set `config_path`",
    "profiles": "every service runs in every environment; remove the folder if you don't want it",
    "extends": "this file only was read; run `docker compose config` first, and convert its output",
    "build": "build the image and push it to your registry; the release file names it",
    "volumes_from": "name the volumes in `volumes`, with `of`",
    "runtime": "Podman runs containers with its own runtime",
    "cgroup_parent": "systemd places containers",
    "oom_score_adj": "systemd places containers",
    "scale": "a service runs once on each host of its group: add hosts",
}
"""Keys of a service that can't be carried, with the reason."""
HANDLED = {
    *("image", "command", "entrypoint", "environment", "env_file", "ports", "expose", "volumes", "healthcheck"),
    *("deploy", "user", "tmpfs", "shm_size", "ulimits", "cap_add", "labels", "mem_limit", "cpus", "secrets"),
    "stop_grace_period",
}
# Ports of programs that speak something other than HTTP.
NO_WEB_PORTS = {22, 25, 53, 110, 143, 465, 587, 993, 995, 1883, 3306, 5432, 5672, 6379, 8883, 27017}

_SECRET = re.compile(
    r"(?:^|_)(?:PASSWORDS?|PASSWD|PASS|PWD|PASSPHRASE|SECRETS?|TOKEN|SALT|PEPPER|CREDENTIALS?|(?:API|ACCESS|ENCRYPTION|"
    r"SIGNING|MASTER|VAULT|AUTH|PRIVATE|TOTP_VAULT|LICENSE|APP)_?KEY|KEY_BASE|PRIMARY_KEY|DETERMINISTIC_KEY|OTP)"
    r"(?:_|$)"
)
_NO_SECRET = re.compile(
    r"_FILE$|_ENABLED?$|_PATH$|_(?:MIN_|MAX_)?LENGTH$|_EXPIR\w*$|_TTL$|_HEADER$|_ALGORITHM$|^DISABLE_|_TYPE$|_ID$|_URL$"
    r"|PUBLIC_KEY$|_LIFETIME$|_COST$|_MODE$|_REQUIRED$|_CHECK\w*$"
)
# Secrets that a third party issued: a random value would be wrong.
_FOREIGN = re.compile(
    r"SMTP|MAIL|AWS|S3_|STORAGE|GOOGLE|SLACK|AZURE|OIDC|OAUTH|SAML|LDAP|GITHUB|GITLAB|DISCORD|STRIPE|SENTRY|TWILIO|"
    r"FACEBOOK|TWITTER|API_KEY|CLIENT_SECRET|LICENSE|DEEPL|RECAPTCHA|HCAPTCHA|MAXMIND|PADDLE|PRIVATE_KEY|BIND_"
)
_OPTIONS = {"true", "false", "yes", "no", "on", "off", "none", "null", "0", "1"}


def secret_kind(name: str, value: str) -> str:
    """Return "own" for a secret that may be a random value, "foreign" for one that a third party issued, or ""."""
    upper = name.upper().replace("-", "_").replace(".", "_")
    if re.search(r"://[^/\s:@]*:[^/\s@]+@", value):
        return "foreign"
    if not _SECRET.search(upper) or _NO_SECRET.search(upper) or value.lower() in _OPTIONS:
        return ""
    return "foreign" if _FOREIGN.search(upper) else "own"


def supported(key: str) -> bool:
    """Whether service.yml has a key such as `volumes`, `routes[].host` or `secrets.<name>.given`."""
    schema: Any = SCHEMA
    for part in key.replace("[]", ".[]").split("."):
        inner = {"[]": "items", "<name>": "additionalProperties"}.get(part)
        schema = schema.get(inner) if inner else (schema.get("properties") or {}).get(part)
        if not isinstance(schema, dict):
            return False
    return True


def any_reference() -> bool:
    """Whether a release file accepts references with a tag and a digest, of any registry."""
    try:
        parse_image(f"registry.invalid/a/b:1@sha256:{'0' * 64}", "")
    except ValueError:
        return False
    return True


def program(image: str) -> str:
    """Return the last part of an image's name, without tag and digest: `hub.example.test/a/web:1` is `web`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
