# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What app hosts say of their slots counts only as the controller wrote it."""

from __future__ import annotations

import copy
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.greenroom.controller.bundle import signature
from ansible.module_utils.greenroom.controller.bundle.description import describe, facts
from ansible.module_utils.greenroom.controller.bundle.description_schema import problem
from ansible.module_utils.greenroom.controller.bundle.reported import descriptions, refused
from ansible.module_utils.greenroom.controller.catalogue.catalogue import load

ROOT = Path(__file__).resolve().parents[3]
SECRET = "a" * 32
KEY = signature.public_key(SECRET)
VAULT = {"Vault": KEY}


@cache
def services() -> dict[str, Any]:
    """The project's own catalog."""
    found: dict[str, Any] = load(str(ROOT / "services"), lambda path: yaml.safe_load(Path(path).read_text()))
    return found


def description(slot: str = "blue", **changes: Any) -> dict[str, Any]:
    """The description of the project's own services, with one check: theirs are templates."""
    catalogue = {name: {**service, "checks": []} for name, service in services().items()}
    catalogue["portal"]["checks"] = [{"name": "ready", "url": "/readyz", "expect": {"status": 200}}]
    images = {service["image"]: f"registry.test:5000/x@sha256:{'0' * 64}" for service in catalogue.values()}
    members = {"app": {"app1": "198.18.10.21", "app2": "198.18.10.22"}}
    found: dict[str, Any] = describe(catalogue, slot, {"name": "1.0", "id": "0" * 64, "images": images}, members)
    return found | changes


def written(found: dict[str, Any], secret: str = SECRET) -> str:
    """The local fact of a slot, as a run writes it."""
    return str(signature.signed_file(found, "/x", secret)["content"])


def test_of_each_slot_the_first_description_that_can_be_read_counts() -> None:
    one, other = written(description()), written(description("green"))
    both = descriptions({"app1": one + other}, VAULT)
    assert sorted(both) == ["blue", "green"]
    # One that is damaged, on a host that lacks the other; a host that has none; a host that has both.
    assert descriptions({"app1": one[: len(one) // 2], "app2": "", "app3": one + other}, VAULT) == both
    assert descriptions({"app1": one[: len(one) // 2] + "\n" + other, "app2": one}, VAULT) == both
    later = written(description(release="1.1"))
    assert descriptions({"app1": one, "app2": later}, VAULT) == {"blue": both["blue"]}
    assert descriptions({"app1": '{"slot": "red"}\n', "app2": "[1]\n", "app3": "{}\n"}, VAULT) == {}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value that is neither a mapping nor a list."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [path]


def changed(found: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of a description with another value at a path."""
    copied = copy.deepcopy(found)
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copied


def test_what_the_controller_wrote_comes_back_without_its_signature() -> None:
    blue, green = description(), description("green")
    texts = {"app1": written(blue), "app2": written(blue) + written(green)}
    assert refused(texts, VAULT) == []
    assert descriptions(texts, VAULT) == json.loads(json.dumps({"blue": blue, "green": green}))


def test_a_description_that_was_changed_in_any_place_is_refused_and_the_host_is_named() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    signed = json.loads(written(description()))
    paths = [path for path in leaves(signed) if path not in [("slot",), ("signature",)]]
    for path in chance.sample(paths, 60):
        other = {"app1": json.dumps(changed(signed, path, "else")), "app2": json.dumps(signed)}
        assert descriptions(other, VAULT) == descriptions({"app2": json.dumps(signed)}, VAULT), path
        (line,) = refused(other, VAULT)
        assert line.startswith("app1: /etc/greenroom/slots/blue.fact "), path


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(description()),
        written(description(), "b" * 32),
        written(description()).replace('"slot": "blue"', '"slot": "green"'),
        json.dumps({**json.loads(written(description())), "signature": ""}),
        json.dumps({**json.loads(written(description())), "signature": ["x"]}),
        json.dumps({**json.loads(written(description())), "signature": "é"}),
        json.dumps({**json.loads(written(description())), "more": 1}),
    ],
    ids=["unsigned", "another key", "of the other slot", "empty", "no text", "no base64", "more keys"],
)
def test_what_the_controller_did_not_sign_is_refused(text: str) -> None:
    assert descriptions({"app1": text}, VAULT) == {}
    assert len(refused({"app1": text}, VAULT)) == 1


def test_a_host_does_not_vouch_for_itself() -> None:
    forged, own = written(description(), "b" * 32), signature.public_key("b" * 32)
    # The app host is an edge host, too.
    assert refused({"app1": forged}, {"app1": own, "edge2": KEY}) != []
    assert refused({"app1": written(description())}, {"app1": own, "edge2": KEY}) == []
    # One of two edge hosts isn't enough.
    assert refused({"app1": forged}, {"edge1": own, "edge2": KEY}) != []
    # An environment of one host has no other.
    assert refused({"one": written(description())}, {"one": KEY}) == []
    assert refused({"one": forged}, {"one": KEY}) != []


def test_edge_hosts_keep_the_key_that_belongs_to_the_secret() -> None:
    text = signature.key_fact(SECRET)
    assert SECRET not in text
    assert signature.public_keys({"edge1": text, "edge2": "", "edge3": text[:5]}) == {"edge1": KEY}


@pytest.mark.parametrize("key", ["", "x", "é", KEY[:-4]])
def test_a_damaged_key_matches_nothing(key: str) -> None:
    assert refused({"app1": written(description())}, {"edge1": key}) != []


def test_a_host_signs_nothing_else_than_descriptions() -> None:
    plan = json.dumps({"slot": "blue", "at": "2026-01-31T12:00:00Z", "units": []}) + "\n"
    unsigned = json.dumps(description()) + "\n"
    (file,) = signature.signed_files(plan + unsigned + "{", "/slots", SECRET)
    assert (file["dest"], file["mode"]) == ("/slots/blue.fact", "0600")
    assert refused({"app1": file["content"]}, VAULT) == []
    assert signature.signed_files(file["content"], "/slots", SECRET) == [file], "signing again changes nothing"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("release",), "1.0\nfrontend evil"),
        (("slot",), "blue\n"),
        (("hosts", "app", 0, "address"), "198.18.10.21 backup\n"),
        (("hosts", "app", 0, "address"), "evil.test"),
        (("hosts", "app", 0, "name"), "app1 check\n"),
        (("services", "portal", "database"), "x all\nhost"),
        (("services", "portal", "ports", "http", "host", "blue"), "22"),
        (("services", "portal", "ports", "http", "host", "blue"), 70000),
        (("services", "portal", "ports", "http", "from"), ["0.0.0.0/0; drop"]),
        (("services", "portal", "ports", "http", "bind"), "::"),
        (("services", "portal", "name"), "kratos"),
        (("services", "portal", "routes", 0, "path"), "/ x\n"),
        (("services", "portal", "routes", 0, "port"), "nowhere"),
        (("services", "portal", "routes", 0, "limit"), "login open\n"),
        (("services", "portal", "routes", 0, "exclude"), ["/x /\n"]),
        (("services", "portal", "routes", 0, "timeout"), "5s\n/evil x"),
        (("services", "portal", "routes", 0, "timeout"), 5),
        (("services", "portal", "headers"), {"X-Frame-Options": '"\nserver evil'}),
        (("services", "portal", "headers"), {"X-Evil": "x"}),
        (("services", "portal", "health", "path"), "/readyz\n  server evil"),
        (("services", "portal", "calls"), ["kratos.nowhere"]),
        (("services", "portal", "calls"), ["nobody.admin"]),
        (("services", "portal", "calls"), ["kratos.admin }\n accept"]),
        (("services", "portal", "health"), {"port": "http"}),
        (("services", "portal", "health"), {"path": "/", "port": "http", "command": ["ready"]}),
        (("services", "portal", "health"), {"tcp": True}),
        (("services", "portal", "health"), {"port": "nowhere", "grpc": True}),
        (("services", "portal"), None),
        (("services",), []),
        (("toggles",), {"x": "yes"}),
        (("images", "portal"), "image --privileged"),
    ],
)
def test_values_that_no_controller_writes_are_refused_even_where_no_key_is_known(
    path: tuple[Any, ...], value: Any
) -> None:
    found = json.loads(json.dumps(description()))
    assert problem(found) == ""
    said = problem(changed(found, path, value))
    assert said, path
    assert "evil" not in said
    if path != ("slot",):
        assert refused({"app1": json.dumps(changed(found, path, value))}, {}) != []


def test_a_bundle_of_a_version_without_ids_and_toggles_is_valid() -> None:
    found = description()
    assert problem({key: value for key, value in found.items() if key not in ("id", "toggles")}) == ""


def test_a_damaged_fact_is_no_description() -> None:
    assert list(facts(written(description())[:-20])) == []
    assert refused({"app1": written(description())[:-20]}, VAULT) == []
