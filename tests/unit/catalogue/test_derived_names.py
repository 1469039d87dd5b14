"""No two names that follow from the catalog are equal, and none is taken: or the catalog is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.greenroom.controller.bundle.commands import COMMANDS
from ansible.module_utils.greenroom.controller.bundle.description import describe
from ansible.module_utils.greenroom.controller.bundle.edge_routes import edge_backends
from ansible.module_utils.greenroom.controller.bundle.files import files
from ansible.module_utils.greenroom.controller.bundle.units import unit_name
from ansible.module_utils.greenroom.controller.catalogue import derived_names
from ansible.module_utils.greenroom.controller.catalogue.catalogue import folders, normalise
from ansible.module_utils.greenroom.controller.catalogue.derived_names import FOLDER
from ansible.module_utils.greenroom.controller.catalogue.service_checks import problems
from ansible.module_utils.greenroom.controller.catalogue.service_schema import structure_errors
from ansible.module_utils.greenroom.controller.catalogue.service_secrets import secret_paths
from ansible.module_utils.greenroom.controller.validate.services import taken_ports
from ansible.module_utils.greenroom.data_stores import broker, postgres
from ansible.module_utils.greenroom.images.start import trial_name
from ansible.module_utils.greenroom.switch.bluegreen import SLOTS

GROUPS = {"app": ["app1"], "edge": ["edge1"], "data": ["data1"]}
PAIRS = 2000
STEMS = ("a", "b", "c", "blue", "green", "http", "dead", "trial", "migrate", "seed", "prepare", "pg", "environment")
# What exists without any service.
FIXED = {
    "role": {"postgres", "backup", "public", "none"},
    "database": {"postgres", "template0", "template1", "all", "replication", "sameuser", "samerole", "samegroup"},
    "secret": {f"environment/value/{stem}" for stem in STEMS},
    "name in a network": {"localhost"},
    "broker login": {"guest"},
}


def service(name: str, **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = normalise(name, {"image": "app", **keys}, f"/services/{name}")
    return found


def lines(*services: dict[str, Any], **options: Any) -> list[str]:
    """The problems between services."""
    return [line for _name, line in problems({each["name"]: each for each in services}, GROUPS, **options)]


def derived(own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (what it names, name) for all names that hosts and servers get from a service, as the code makes them."""
    name, catalogue = own["name"], {own["name"]: own}
    for slot in SLOTS:
        yield "unit", unit_name(name, slot)
        yield from (("file", item["dest"]) for item in files([own], f"/etc/greenroom/slots/{slot}", slot))
        container = unit_name(name, slot).removesuffix(".service")
        # A container's name is a name in its network, too, and the unit gives it the service's name as an alias.
        yield from (("name in a network", each) for each in (container, trial_name(container)))
        release = {"name": "1.0", "id": "0", "images": {"app": "app@sha256:0"}}
        backends = edge_backends(
            describe(catalogue, slot, release, {"app": {"app1": "192.0.2.1"}}), "shop.example.test"
        )
        yield from (("backend", f"{backend['name']}_{slot}") for backend in backends)
    yield "name in a network", name
    yield from (("name in a network", f"{name}-{key}") for key in (*COMMANDS, "seed"))
    yield from (("secret", path) for path in secret_paths(catalogue))
    passwords: dict[str, Any] = {path: {"password": "x"} for path in secret_paths(catalogue)}
    found = postgres.desired(catalogue, passwords, SLOTS)["databases"]
    for database, content in found.items():
        yield "database", database
        yield from (("role", role) for role in (database, *content["logins"]))
    wanted = broker.desired(catalogue, passwords, SLOTS, "staging")
    yield from (("broker login", login) for login in wanted["logins"])
    made = broker.plan(wanted, {})
    yield from (("exchange", item["name"]) for item in made.get("exchanges", ()))


def generated(chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two services whose names are made of the same few parts."""

    def word(joints: str) -> str:
        parts = chance.choices(STEMS, k=chance.randrange(1, 4))
        return "".join(f"{chance.choice(joints)}{part}" for part in parts)[1:]

    def one(number: int) -> dict[str, Any]:
        name, port, database = word("-_"), word("_"), word("_")
        keys: dict[str, Any] = {
            "ports": {port: {"container": 8000 + number, "from": ["edge"]}},
            "health": {"port": port, "path": "/"},
            "routes": [{"path": f"/{number}"}],
            "database": database,
            "secrets": {"DSN": {"login": database}, "RING": {"ring": word("-_")}, "VALUE": {"value": word("-_")}},
        }
        if chance.random() < 0.5:
            queue = word("-_")
            keys |= {"queues": {queue: {}}, "activation": "live_only", "routes": []}
            keys["secrets"]["BROKER"] = {"broker": word("-_")}
        return service(name, **keys)

    return one(1), one(2)


def is_refused(*services: dict[str, Any]) -> bool:
    names = [each["name"] for each in services]
    return bool(len(set(names)) < len(names) or lines(*services) or not all(map(FOLDER.fullmatch, names)))


def equal_names(*services: dict[str, Any]) -> set[tuple[str, str]]:
    """The names that follow from more than one of the services, or that exist without any."""
    fixed = {(kind, name) for kind, names in FIXED.items() for name in names}
    found = [set(derived(each)) for each in services] + [fixed]
    return {
        name for index, names in enumerate(found) for name in names if any(name in other for other in found[:index])
    }


def test_generated_names_differ_or_are_refused() -> None:
    chance = random.Random("names")
    accepted, clashes = 0, []
    for _ in range(PAIRS):
        pair = generated(chance)
        if is_refused(*pair):
            continue
        accepted += 1
        clashes += [(each, pair) for each in equal_names(*pair)]
    assert clashes == []
    assert accepted > PAIRS // 10


def test_the_search_finds_equal_names() -> None:
    """The control: some refused pairs do have equal names."""
    chance = random.Random("names")
    pairs = [pair for pair in (generated(chance) for _ in range(PAIRS)) if pair[0]["name"] != pair[1]["name"]]
    kinds = {kind for pair in pairs if is_refused(*pair) for kind, _name in equal_names(*pair)}
    assert {"role", "name in a network", "secret", "database", "broker login"} <= kinds


@pytest.mark.parametrize(
    "database", ["postgres", "template0", "template1", "backup", "all", "replication", "sameuser", "public", "pg_x"]
)
def test_a_database_name_that_postgresql_or_the_backup_has_is_refused(database: str) -> None:
    (line,) = lines(service("shop", database=database))
    assert line.startswith(f'database: "{database}" is ')
    assert line.endswith("; choose another name")


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("shop", "shop-blue"), 'the folder\'s name: the container or network name "shop-blue" is also one of shop'),
        (
            ("shop-seed", "shop"),
            'the folder\'s name: the container or network name "shop-seed" is also one of shop-seed',
        ),
        (("environment",), "the folder's name \"environment\" is the environment's own folder in Vault"),
        (("localhost",), 'the folder\'s name "localhost" is the name of the container itself'),
    ],
)
def test_a_folder_whose_names_are_taken_is_refused(names: tuple[str, ...], line: str) -> None:
    assert any(each.startswith(line) for each in lines(*map(service, names)))


def test_databases_whose_roles_are_equal_are_refused() -> None:
    (line,) = lines(service("a", database="shop"), service("b", database="shop_green"))
    assert line == 'database: the PostgreSQL role "shop_green" is also one of a; choose another name'


@pytest.mark.parametrize(
    "name", ["Shop", "größe", "shop@1", "shop api", "shop_api", "", "shop\n", "-a", "a-", "a" * 41]
)
def test_a_folder_that_is_no_name_is_refused(name: str) -> None:
    assert not FOLDER.fullmatch(name)


@pytest.mark.parametrize("name", ["a", "shop", "shop-2", "status", "load", "a" * 40])
def test_other_folders_are_services(name: str) -> None:
    assert FOLDER.fullmatch(name)
    assert lines(service(name)) == []


def test_a_hidden_folder_is_no_service(tmp_path: Path) -> None:
    for name in (".git", "shop"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "service.yml").write_text("image: app")
    assert list(folders(str(tmp_path))) == ["shop"]


@pytest.mark.parametrize("key", ["environment", "secrets"])
def test_the_variables_of_greenroom_are_refused(key: str) -> None:
    value = {"environment": "blue", "secrets": {"value": "slot"}}[key]
    own = service("shop", **{key: {"GREENROOM_SLOT": value}})
    assert lines(own) == [f"{key}.GREENROOM_SLOT: Greenroom sets the variables GREENROOM_*; choose another name"]


def test_a_port_that_a_host_has_is_refused() -> None:
    ports = [
        {"name": "ssh", "ports": [22], "groups": ["app", "data"]},
        {"name": "node exporter", "ports": ["29100"], "groups": ["app"]},
        {"name": "postgres", "ports": [5432], "groups": ["data"]},
        {"name": "shared address", "protocol": "vrrp", "groups": ["edge"]},
    ]
    own = {"ssh": 22, "metrics": 19100, "sql": 5432}
    listed = {name: {"container": 80, "host": number, "from": ["edge"]} for name, number in own.items()}
    shop = service("shop", ports=listed, health={"port": "ssh", "path": "/"})
    assert lines(shop, taken=taken_ports(ports, GROUPS)) == [
        "ports.ssh: port 22 in blue is taken by ssh; set another `host`",
        "ports.metrics: port 29100 in green is taken by node exporter; set another `host`",
    ]
    # If the database is on the same host, its port is taken there.
    both = GROUPS | {"data": ["app1"]}
    assert ("app1", 5432) in taken_ports(ports, both)


@pytest.mark.parametrize(
    "part",
    [
        {"image": "app\n"},
        {"database": "shop\n"},
        {"memory": "1G\n"},
        {"publishes": ["jobs\n"]},
        {"environment": {"A\n": "x"}},
        {"ports": {"http\n": {"container": 80, "from": []}}},
        {"queues": {"jobs\n": {}}},
        {"toggles": {"a\n": {"description": "x", "variable": "A"}}},
        {"config_path": "/etc/shop\n"},
        {"config_path": "/etc/%h"},
        {"config_path": "/etc/shop:rw"},
        {"environment": {1: "x"}},
        {"secrets": {True: {"value": "x"}}},
    ],
)
def test_what_is_no_name_is_refused(part: dict[str, Any]) -> None:
    assert len(structure_errors({"image": "app", **part})) == 1


def test_containers_with_one_ethernet_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"shop-blue": "same", "inbox-green-trial": "same"}
    monkeypatch.setattr(derived_names, "mac_address", lambda container: addresses.get(container, container))
    assert lines(service("shop"), service("inbox")) == [
        "the Ethernet address of inbox-green-trial would be that of shop-blue; choose another folder's name"
    ]
