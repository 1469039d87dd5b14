"""Problems in one service.yml: each is one line with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue.catalogue import DEFAULTS
from ansible.module_utils.greenroom.controller.catalogue.route_schema import SECURITY_HEADERS
from ansible.module_utils.greenroom.controller.catalogue.service_schema import (
    SCHEMA,
    structure_errors,
)

A_PUBLIC_PATH = "a path that starts with /, of letters, digits and ._~!$&()*+,=:@-, without // and the parts . and .."
A_VALUE = 'a text of ASCII characters without ", \\ and $'
A_PATH = "a path that starts with / and has no space, #, \\ or quotation mark"
A_MOUNT = "a path that starts with / and has only letters, digits, -, _, . and /"
A_USER = "a user's number or name, or user:group, such as 1000, www-data or 999:1000"
ROOT = Path(__file__).resolve().parents[3]
TOGGLE = {"description": "Something new", "variable": "A"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("services/*/service.yml")), ids=lambda path: path.parent.name)
def test_the_services_of_the_project_are_valid(path: Path) -> None:
    assert structure_errors(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_schema_and_defaults_have_the_same_keys() -> None:
    assert set(SCHEMA["properties"]) == set(DEFAULTS)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ({"rutes": []}, 'rutes: unknown key; did you mean "routes"?'),
        ({"routes": [{"path": "/", "prt": "http"}]}, 'routes[0].prt: unknown key; did you mean "port"?'),
        ({"routes": [{"port": "http"}]}, "routes[0].path: missing"),
        ({"routes": [{"path": "x"}]}, f'routes[0].path: "x" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a b"}]}, f'routes[0].path: "/a b" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a#b"}]}, f'routes[0].path: "/a#b" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a\n"}]}, f'routes[0].path: "/a\n" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a%2fb"}]}, f'routes[0].path: "/a%2fb" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a;b"}]}, f'routes[0].path: "/a;b" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a//b"}]}, f'routes[0].path: "/a//b" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/a/.."}]}, f'routes[0].path: "/a/.." is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/./a"}]}, f'routes[0].path: "/./a" is not {A_PUBLIC_PATH}'),
        ({"routes": [{"path": "/", "exclude": ["a"]}]}, f'routes[0].exclude[0]: "a" is not {A_PUBLIC_PATH}'),
        (
            {"headers": {"Server": "x"}},
            f"headers.Server: unknown key; known: {', '.join(sorted(SECURITY_HEADERS))}",
        ),
        ({"headers": {"Referrer-Policy": 'a"b'}}, f'headers.Referrer-Policy: "a"b" is not {A_VALUE}'),
        ({"headers": {"Referrer-Policy": "a$b"}}, f'headers.Referrer-Policy: "a$b" is not {A_VALUE}'),
        ({"headers": {"Referrer-Policy": "a\n"}}, f'headers.Referrer-Policy: "a\n" is not {A_VALUE}'),
        ({"health": {"port": "x", "path": "/'"}}, f'health.path: "/\'" is not {A_PATH}'),
        ({"metrics": {"port": "x", "path": "/\\"}}, f'metrics.path: "/\\" is not {A_PATH}'),
        ({"config_path": '/"'}, f'config_path: "/"" is not {A_MOUNT}'),
        (
            {"ports": {"http": {"container": "80", "from": []}}},
            'ports.http.container: expected an integer, got "80"',
        ),
        (
            {"ports": {"http": {"container": 80.0, "from": []}}},
            "ports.http.container: expected an integer, got 80.0",
        ),
        ({"ports": {"http": {"container": 0, "from": []}}}, "ports.http.container: 0 is too small; the minimum is 1"),
        (
            {"ports": {"http": {"container": 70000, "from": []}}},
            "ports.http.container: 70000 is too large; the maximum is 65535",
        ),
        ({"ports": {"http": {"container": 80}}}, "ports.http.from: missing"),
        (
            {"ports": {"Http": {"container": 80, "from": []}}},
            'ports: "Http" is not a name of lowercase letters, digits and _',
        ),
        ({"user": -1}, "user: -1 is too small; the minimum is 0"),
        ({"user": 65536}, "user: 65536 is too large; the maximum is 65535"),
        ({"user": True}, "user: expected an integer or a string, got True"),
        ({"user": "1a"}, f'user: "1a" is not {A_USER}'),
        ({"user": "a:b:c"}, f'user: "a:b:c" is not {A_USER}'),
        ({"user": "033"}, f'user: "033" is not {A_USER}'),
        ({"userns": "auto"}, 'userns: expected true or false, got "auto"'),
        ({"entrypoint": "/bin/sh"}, 'entrypoint: expected a list, got "/bin/sh"'),
        ({"entrypoint": []}, "entrypoint: is empty"),
        (
            {"entrypoint": ["/bin/my prog"]},
            'entrypoint[0]: "/bin/my prog" is not a program of letters, digits, _, ., /, + and -',
        ),
        ({"entrypoint": ["/bin/sh", 5]}, "entrypoint[1]: expected a string, got 5"),
        ({"capabilities": "CHOWN"}, 'capabilities: expected a list, got "CHOWN"'),
        ({"writable": ["/app/tmp"]}, "writable: expected a mapping, got a list"),
        ({"writable": {"app": "1M"}}, f'writable: "app" is not {A_MOUNT}'),
        ({"writable": {"/app": "1"}}, 'writable./app: "1" is not a size like 256M or 1G'),
        ({"writable": {"/app": 5}}, "writable./app: expected a string, got 5"),
        ({"shm": "64"}, 'shm: "64" is not a size like 256M or 1G'),
        ({"ulimits": {"nfile": 5}}, 'ulimits: unknown value "nfile"; did you mean "nofile"?'),
        (
            {"ulimits": {"nofile": "5:"}},
            'ulimits.nofile: "5:" is not a limit, or soft:hard, such as 65536 or 1024:4096',
        ),
        ({"cpus": 0}, "cpus: 0 is too small; it must be above 0"),
        ({"cpus": "2"}, 'cpus: expected a number, got "2"'),
        ({"image": None}, "image: expected a string, got nothing"),
        ({"routes": [{"path": "/", "timeout": "30"}]}, 'routes[0].timeout: "30" is not a time such as 90s, 30m or 4h'),
        ({"routes": [{"path": "/", "timeout": 30}]}, "routes[0].timeout: expected a string, got 30"),
        ({"memory": "lots"}, 'memory: "lots" is not a size like 256M or 1G'),
        ({"activation": "liveonly"}, 'activation: unknown value "liveonly"; did you mean "live_only"?'),
        (
            {"environment": {"A": []}},
            "environment.A: expected a string or a number or true or false or a mapping, got a list",
        ),
        ({"environment": {"a=b": "x"}}, 'environment: "a=b" is not a name of letters, digits, _, . and -'),
        (
            {"secrets": {"DSN": {"login": "shop", "ring": "x"}}},
            "secrets.DSN: needs exactly one of login, broker, cache, ring, value, given, provider",
        ),
        (
            {"secrets": {"DSN": {}}},
            "secrets.DSN: needs exactly one of login, broker, cache, ring, value, given, provider",
        ),
        ({"queues": {"jobs": {"delivery_limit": 0}}}, "queues.jobs.delivery_limit: 0 is too small; the minimum is 1"),
        ({"publishes": ["Jobs"]}, 'publishes[0]: "Jobs" is not a name of lowercase letters, digits, - and _'),
        ({"seed": "seed"}, 'seed: expected a list, got "seed"'),
        ({"heads": ""}, 'heads: "" is not a query'),
        ({"command": "serve"}, 'command: expected a list, got "serve"'),
        ({"health": {"port": "http"}}, "health: needs exactly one of path, tcp, grpc, command"),
        ({"health": {"path": "/up"}}, "health.port: missing"),
        ({"health": {"grpc": True}}, "health.port: missing"),
        (
            {"health": {"port": "http", "path": "/up", "tcp": True}},
            "health: needs exactly one of path, tcp, grpc, command",
        ),
        ({"health": {"port": "http", "tcp": False}}, "health.tcp: can only be true; leave it out instead"),
        (
            {"health": {"port": "http", "grpc": True, "service": "a b"}},
            'health.service: "a b" is not a name of letters, digits, _, . and -',
        ),
        ({"health": {"command": []}}, "health.command: is empty"),
        ({"health": {"command": "ready"}}, 'health.command: expected a list, got "ready"'),
        ({"health": {"command": ["a"], "port": "http"}}, "health.port: has no meaning with `command`; remove it"),
        (
            {"health": {"port": "http", "tcp": True, "status": 204}},
            "health.status: has no meaning with `tcp`; remove it",
        ),
        (
            {"health": {"port": "http", "path": "/", "service": "x"}},
            "health.service: has no meaning with `path`; remove it",
        ),
        (
            {"health": {"port": "http", "tcp": True, "start_period": "2m"}},
            'health.start_period: expected an integer, got "2m"',
        ),
        (
            {"health": {"port": "http", "tcp": True, "start_period": 3601}},
            "health.start_period: 3601 is too large; the maximum is 3600",
        ),
        ({"toggles": {"a": {"variable": "A"}}}, "toggles.a.description: missing"),
        ({"toggles": {"a": {"description": "x"}}}, "toggles.a.variable: missing"),
        ({"toggles": {"a": TOGGLE | {"defualt": True}}}, 'toggles.a.defualt: unknown key; did you mean "default"?'),
        ({"toggles": {"a": TOGGLE | {"default": "yes"}}}, 'toggles.a.default: expected true or false, got "yes"'),
        (
            {"toggles": {"a": TOGGLE | {"variable": "new one"}}},
            'toggles.a.variable: "new one" is not a name of letters, digits, _, . and -',
        ),
        ({"toggles": {"A-b": TOGGLE}}, 'toggles: "A-b" is not a name of lowercase letters, digits and _'),
        ({"load": {"togle": "a"}}, 'load.togle: unknown key; did you mean "toggle"?'),
    ],
)
def test_a_problem_is_reported_with_its_key(part: dict[str, Any], line: str) -> None:
    assert structure_errors({"image": "shop", **part}) == [line]


@pytest.mark.parametrize(
    "health",
    [
        {"port": "http", "path": "/up", "method": "HEAD", "status": 204, "headers": {"A": "b"}, "start_period": 1},
        {"port": "http", "tcp": True, "start_period": 600},
        {"port": "http", "grpc": True},
        {"port": "http", "grpc": True, "service": "shop.v1.Orders"},
        {"command": ["pg_isready", "--quiet"]},
    ],
)
def test_each_kind_of_health_check_is_valid(health: dict[str, Any]) -> None:
    assert structure_errors({"image": "shop", "health": health}) == []


def test_all_problems_are_reported_at_once() -> None:
    assert structure_errors({"rutes": [], "user": -1}) == [
        'rutes: unknown key; did you mean "routes"?',
        "image: missing",
        "user: -1 is too small; the minimum is 0",
    ]


@pytest.mark.parametrize("raw", [None, "text", [1], 3])
def test_a_file_without_a_mapping_is_reported(raw: Any) -> None:
    (line,) = structure_errors(raw)
    assert line.startswith("expected a mapping, got ")


def test_invalid_secrets_are_reported_once() -> None:
    assert structure_errors({"image": "x", "secrets": {"A": "b"}}) == ['secrets.A: expected a mapping, got "b"']
    assert structure_errors({"image": "x", "secrets": "b"}) == ['secrets: expected a mapping, got "b"']
