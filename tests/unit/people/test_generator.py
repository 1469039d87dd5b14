"""The generator's archive: written on the controller, used on hosts that only have Python."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible.module_utils.greenroom.people import generator
from ansible.module_utils.greenroom.people.users import Inventor, Recipe, UsersError

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "services/kratos/config/identity.schema.json"

ON_A_HOST = """
import json, sys, types
sys.path.insert(0, {library!r})
from greenroom.people import users
users.use_generator({archive!r})
recipe = users.Recipe.of({{"set": "people", "seed": "1", "count": 9, "domain": "x.test", "locales": ["de_AT"]}})
inventor = users.Inventor(recipe, json.load(open({schema!r})))
import faker, fastjsonschema
print(json.dumps([[inventor.identity(key) for key in range(1, 9)], faker.__file__, fastjsonschema.__file__]))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = generator.generator_archive(tmp_path_factory.mktemp("generator"), ["de_AT"])
    return made


def test_a_host_needs_only_python_and_the_archive(archive: Path) -> None:
    code = ON_A_HOST.format(library=str(ROOT / "plugins/module_utils"), archive=str(archive), schema=str(SCHEMA))
    # -I and -S: no site-packages, no environment.
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=800
    )
    made, *files = json.loads(answer.stdout)
    assert all(file.startswith(str(archive.with_suffix(""))) for file in files)
    recipe = Recipe.of({"set": "people", "seed": "1", "count": 9, "domain": "x.test", "locales": ["de_AT"]})
    here = Inventor(recipe, json.loads(SCHEMA.read_text()))
    assert made == [here.identity(key) for key in range(1, 9)]


def test_the_archive_has_the_requested_locales_and_their_imports(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
    locales = {name.split("/")[3] for name in names if name.startswith("faker/providers/") and name.count("/") == 4}
    assert locales >= {"de_AT", "de", "en_US", "en", "la"}
    assert not locales & {"fr_FR", "ja_JP"}
    assert all(name.endswith(".py") for name in names)
    assert archive.stat().st_size < 1_000_000


def test_identical_archives_have_the_same_name_and_are_written_once(archive: Path, tmp_path: Path) -> None:
    before = archive.stat().st_mtime_ns
    assert generator.generator_archive(archive.parent, ["de_AT", "en_US"]) == archive
    assert archive.stat().st_mtime_ns == before
    other = generator.generator_archive(tmp_path / "new", ["de_AT"])
    assert (other.name, other.read_bytes()) == (archive.name, archive.read_bytes())
    assert generator.generator_archive(tmp_path, ["fr_FR"]).name != archive.name
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [archive.name]


def test_a_host_knows_the_name_of_its_archive(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = generator.generator_digest()
    assert generator.archive_name(digest, ["de_AT"]) == archive.name
    assert generator.archive_name("other packages", ["de_AT"]) != archive.name
    sources = generator._sources()
    name = "faker/generator.py"
    monkeypatch.setattr(generator, "_sources", lambda: {**sources, name: sources[name] + b"#"})
    assert generator.generator_digest() != digest


def test_an_unknown_locale_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsersError, match="the generator has no locale 'xx_XX'"):
        generator.generator_archive(tmp_path, ["xx_XX"])


def test_the_version_has_the_pinned_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = (ROOT / "requirements.txt").read_text()
    for name, version in zip(*[iter(generator.generator_version().split())] * 2, strict=True):
        assert f"\n{name}=={version} " in pinned

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(UsersError, match="faker is missing on the controller"):
        generator.generator_version()


def test_an_invalid_archive_is_rejected_without_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = list(sys.path)
    (tmp_path / "generator.zip").write_text("half of it")
    for name in ("generator.zip", "missing.zip"):
        with pytest.raises(UsersError, match="the generator can't be read"):
            generator.use_generator(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["generator.zip"]
    assert sys.path == before


def test_two_processes_can_unpack_concurrently(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    copy = tmp_path / archive.name
    copy.write_bytes(archive.read_bytes())
    folder = copy.with_suffix("")
    real = zipfile.ZipFile.extractall

    def beaten(self: zipfile.ZipFile, path: str) -> None:
        real(self, path)
        folder.mkdir()
        (folder / "first").touch()

    monkeypatch.setattr(zipfile.ZipFile, "extractall", beaten)
    generator.use_generator(copy)
    assert sys.path[0] == str(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, copy.name]
    assert [path.name for path in folder.iterdir()] == ["first"]
