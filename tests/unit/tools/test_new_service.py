# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""`make service`: the file is valid, explains each key of the schema, and what it shows of a key is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ansible.module_utils.greenroom.controller.catalogue import catalogue, smoke_schema
from ansible.module_utils.greenroom.controller.catalogue.service_schema import SCHEMA, structure_errors

from docs.generate import SERVICE_KEYS
from tools import new_service
from tools.new_service import NewServiceError


def paths(schema: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """The schema of each key, dotted, also of values in mappings whose keys are free."""
    found = {}
    for name, value in schema.get("properties", {}).items():
        found[f"{prefix}{name}"] = value
        for mark, below in ((".<name>", value.get("additionalProperties")), ("[]", value.get("items"))):
            if isinstance(below, dict):
                found |= {f"{prefix}{name}{mark}": below, **paths(below, f"{prefix}{name}{mark}.")}
        found |= paths(value, f"{prefix}{name}.")
    return found


def test_a_new_service_is_valid_and_has_a_check(tmp_path: Path) -> None:
    files = new_service.write("my-shop", 3000, "/", tmp_path)
    service = yaml.safe_load(files[0].read_text())
    assert structure_errors(service) == []
    assert service["ports"]["http"]["container"] == 3000
    found = catalogue.load(str(tmp_path), lambda file: yaml.safe_load(Path(file).read_text()))
    assert [check["url"] for check in found["my-shop"]["checks"]] == ["/"]
    assert smoke_schema.file_problems(found["my-shop"]["checks"]) == []


def test_each_key_is_explained_and_can_be_taken_into_use() -> None:
    text = new_service.service_file("shop", 8080, "/shop")
    prose = " ".join(re.sub(r"^#? *# ", "", line) for line in text.splitlines())
    for key in SERVICE_KEYS:
        assert " ".join(new_service.meaning(key).split()) in " ".join(prose.split()), key
    # Without those that the file has already.
    active, commented = [], []
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not re.match(r"# \S", line)]
        active += [line for line in lines if not line.startswith("#")]
        commented += [line.removeprefix("#") for line in lines if line.startswith("#")]
    assert set(yaml.safe_load("\n".join(active))) | set(yaml.safe_load("\n".join(commented))) == set(
        SCHEMA["properties"]
    )


def test_what_is_shown_of_a_key_is_allowed() -> None:
    known = paths(SCHEMA)
    assert set(new_service.EXAMPLES) <= set(known)
    assert set(new_service.NAMES) <= set(known)
    for key, value in new_service.EXAMPLES.items():
        jsonschema.validate(value, known[key])


def test_a_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    new_service.write("shop", 8080, "/shop", tmp_path)
    (tmp_path / "shop" / "service.yml").write_text("mine")
    with pytest.raises(NewServiceError, match=r"exists\. Choose another name"):
        new_service.write("shop", 8080, "/shop", tmp_path)
    assert (tmp_path / "shop" / "service.yml").read_text() == "mine"


@pytest.mark.parametrize(("name", "port", "line"), [("My_Shop", 80, "NAME: "), ("shop", 0, "PORT: 0 is not a port")])
def test_what_can_be_no_service_is_refused(tmp_path: Path, name: str, port: int, line: str) -> None:
    with pytest.raises(NewServiceError, match=line):
        new_service.write(name, port, "/", tmp_path)
    assert list(tmp_path.iterdir()) == []
