"""A real Ory Kratos accepts the users that are generated for its schema, whatever the schema is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.greenroom.common import web
from ansible.module_utils.greenroom.controller.people import hashing
from ansible.module_utils.greenroom.people import ownership, users
from ansible.module_utils.greenroom.people.invent import phones
from ansible.module_utils.greenroom.people.invent.places import country_of, places_of
from ansible.module_utils.greenroom.people.invent.randomness import Stream
from ansible.module_utils.greenroom.people.kratos import Kratos
from identity_schemas import DEPLOYED, LOGIN, WIDE, schema

from bench.identity_seed import servers
from bench.identity_seed.servers import Server

KEY = "a key of at least sixteen bytes"
PASSWORD = "correct horse 7"
LOCALES = ["en_US", "de_DE", "ja_JP", "ar_AA"]

Take = Callable[[dict[str, Any]], None]


def alone(name: str, node: dict[str, Any]) -> dict[str, Any]:
    """An identity schema whose only trait is the login."""
    document = schema({})
    document["properties"]["traits"].update(properties={name: node}, required=[name])
    return document


PHONE = {"type": "string", "format": "tel", "ory.sh/kratos": {**LOGIN, "verification": {"via": "sms"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A separate Kratos."""
    with servers.kratos(tmp_path_factory.mktemp("kratos"), {"fsync": "off"}) as running:
        yield running


@pytest.fixture
def take(server: Server) -> Take:
    """Restart Kratos with another schema and without identities."""

    def change(document: dict[str, Any]) -> None:
        for identity in server.identities():
            server.ask("DELETE", f"/admin/identities/{identity['id']}")
        server.kill()
        (server.folder / "schema.json").write_text(json.dumps(document))
        server.start()

    return change


def create(server: Server, bodies: list[dict[str, Any]]) -> None:
    """Create all in one batch; fail if one is refused."""
    status, answer = server.ask("PATCH", "/admin/identities", {"identities": [{"create": body} for body in bodies]})
    assert status == 200, answer
    assert [each for each in answer["identities"] if each["action"] != "create"] == []


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(DEPLOYED, id="deployed"),
        pytest.param(WIDE, id="wide"),
        pytest.param(
            alone("username", {"type": "string", "pattern": "^[a-z0-9-]+$", "ory.sh/kratos": LOGIN}), id="names"
        ),
        pytest.param(alone("phone", PHONE), id="numbers"),
    ],
)
def test_kratos_accepts_all_users_and_their_passwords(server: Server, take: Take, document: dict[str, Any]) -> None:
    take(document)
    status, read = server.ask("GET", f"{server.public}/schemas/default")
    assert (status, read) == (200, document)
    personas = list(users.DEFAULT_PERSONAS)
    recipe = users.Recipe.of(
        {
            "set": "people",
            "seed": "1",
            "count": 60,
            "domain": "x.test",
            "personas": personas,
            "locales": LOCALES,
            "verified": 0.5,
        }
    )
    inventor = users.Inventor(recipe, read)
    shared = hashing.hash_password(PASSWORD, 10)

    def hash_of(key: str) -> str:
        return shared if key == "2" else str(users.derived_hash(users.person_password(KEY, "people", "1", key)))

    seal = ownership.Seal("people", "the key of the set")
    bodies = {key: seal.sealed(inventor.identity(key, hash_of(key))) for key in (*personas, *map(str, range(1, 61)))}
    create(server, list(bodies.values()))

    # A derived password, the same after Kratos has hashed it again, a shared one, a wrong one.
    own = users.person_password(KEY, "people", "1", 1)
    assert [server.logs_in(inventor.login(1), own) for _ in range(2)] == [True, True]
    assert server.logs_in(inventor.login(2), PASSWORD)
    assert not server.logs_in(inventor.login(2), own)
    for persona, enters in (("admin", True), ("unverified", True), ("inactive", False), ("recovery-only", False)):
        password = users.person_password(KEY, "people", "1", persona)
        assert server.logs_in(inventor.login(persona), password) == enters, persona

    # Kratos has stored what was sent.
    found = {each["metadata_admin"]["greenroom"]["key"]: each for each in server.identities()}
    assert found.keys() == bodies.keys()
    for key, body in bodies.items():
        kept = [(each["value"], each["verified"]) for each in found[key].get("verifiable_addresses") or []]
        assert sorted(kept) == sorted((each["value"], each["verified"]) for each in body["verifiable_addresses"])
        assert (found[key]["traits"], found[key]["state"]) == (body["traits"], body["state"])

    # A comparison recognizes everybody, whatever they log in with.
    listed = [each for page in Kratos(server.admin, 30, web.Deadline(60), server.public).everybody(2) for each in page]
    for each in listed:
        mark = each["metadata_admin"]["greenroom"]
        assert (seal.proof(each, mark), ownership.is_as_made(each, mark)) == (ownership.SIGNED, True), each
    assert len(listed) == len(bodies)


def test_kratos_accepts_every_kind_of_phone_number(server: Server, take: Take) -> None:
    take(alone("phone", PHONE))
    stream = Stream()
    numbers = {phones.numbered(block, number) for block in (10_000, 79_999) for number in (1, phones.CAPACITY)}
    numbers |= {phones.personal("people", name) for name in users.DEFAULT_PERSONAS}
    for locale in ("en_US", "en_CA", "fr_CA", "en_GB", "de_DE", "fr_FR", "sv_SE", "en_AU", "ja_JP"):
        for place in places_of(locale):
            for area in place.areas.split("/"):
                numbers.add(phones.local(country_of(locale), area, stream))
    create(server, [{"schema_id": "default", "traits": {"phone": number}} for number in sorted(numbers)])
